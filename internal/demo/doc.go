// Package demo holds the story that `make demo` tells (demo.sh, and a file for each
// chapter), and the tests that keep it true, and docs/airgap.md with it.
package demo

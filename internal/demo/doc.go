// Package demo holds the story that `make demo` tells (demo.sh) and the test
// that keeps it true.
package demo

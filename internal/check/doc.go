// Package check holds the rules of the repository as a whole, as tests: which
// way imports point, what lies where, how long a file may get, and what no
// file may name. Its scripts are the parts of `make check` and `make fuzz`.
package check

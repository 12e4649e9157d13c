// Package killtest kills the program while it publishes, again and again, and
// then reads what is left. It has tests only.
package killtest

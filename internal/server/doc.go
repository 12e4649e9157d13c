// Package server is the broker: it keeps feeds for many Spaces in one store.
// It can delay or lose, it cannot forge, and it never looks inside a payload.
//
// Every operation takes the caller, asks whether it may, writes the audit
// line, and then acts; there is no other door. The same code runs behind HTTP
// (feedhttp), and inside a command that was given --store.
package server

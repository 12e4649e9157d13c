// Package server is the broker: it keeps feeds for many Spaces in one store.
// It can delay or lose, it cannot forge, and it never looks inside a payload.
//
// What changes something is checked, carried out or refused, and then written
// to the audit log; reads ask first whether the caller may. There is no other
// door. The same code runs behind HTTP (feedhttp), and inside a command that was
// given --store.
package server

// Package agent says when an agent does what: when a subscription's windows are
// open, when its rules are due, how long to wait after errors and how fast contents
// may come. It also keeps what became of each subscription, for people to see, and
// lets the agents of a Space, or the servers of a store, agree on who does what (Desk).
//
// What is done then is the command's: the same following, planning and applying
// as that of airlock pull.
package agent

package soak

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
)

// op is something that a client asked, and what it was told.
type op struct {
	Client    int
	Call, Ret time.Duration // since the run began
	Batch     []statement   // nil for a read
	Result    result
	// At is the index of the batch's first entry, or of the entry that has the
	// version already; of a read, how many entries the log had.
	At    int64
	Head  signing.ID // what should have been named; zero where nothing was
	Least int64      // of a read: what the client had seen before
	Root  tlog.Hash  // of a read
}

// statement is one of a batch: a version of a name that follows another statement.
type statement struct {
	ID, Previous  signing.ID // Previous is zero where nothing is named
	Name, Version string
}

// result is what a client was told.
type result int

const (
	committed result = iota
	unclear          // or nothing that says whether it was committed
	notHead
	taken
	seen // a read
)

func (o *op) String() string {
	when := fmt.Sprintf("client %d, %s to %s: ", o.Client, o.Call.Round(time.Microsecond), o.Ret.Round(time.Microsecond))
	if o.Result == seen {
		return when + fmt.Sprintf("saw %d entries with root %.8s, after %d", o.At, o.Root, o.Least)
	}
	for _, s := range o.Batch {
		when += fmt.Sprintf("%s@%s %.8s after %.8s, ", s.Name, s.Version, digits(s.ID), digits(s.Previous))
	}
	switch o.Result {
	case committed:
		return when + fmt.Sprintf("committed at %d", o.At)
	case notHead:
		return when + fmt.Sprintf("refused: the newest is %.8s", digits(o.Head))
	case taken:
		return when + fmt.Sprintf("refused: entry %d has the version", o.At)
	}
	return when + "no clear answer"
}

func digits(id signing.ID) string { return fmt.Sprintf("%x", id[:4]) }

// What the checker is given besides commits: at a moment the log has so many
// entries at least, or at most, as an operation says; and at the end of the window
// it is the one that lies in the store.
type (
	atLeast struct {
		*op
		size int64
	}
	atMost struct {
		*op
		size int64
	}
	whole struct{ state }
)

// state is a log as far as it is linearized: how many entries it has, and the
// last that came in this window.
type state struct {
	size int64
	last *link
}

// link is an entry of this window, with all before it.
type link struct {
	statement
	before *link
	sum    [sha256.Size]byte // over all of the window's entries up to it
}

func (s state) add(st statement) state {
	next := &link{statement: st, before: s.last}
	h := sha256.New()
	if s.last != nil {
		h.Write(s.last.sum[:])
	}
	h.Write(st.ID[:])
	h.Sum(next.sum[:0])
	return state{s.size + 1, next}
}

func (s state) sum() [sha256.Size]byte {
	if s.last == nil {
		return [sha256.Size]byte{}
	}
	return s.last.sum
}

func (s state) equal(other state) bool { return s.size == other.size && s.sum() == other.sum() }

// head returns the newest statement about a name.
func (w *window) head(s state, name string) signing.ID {
	for l := s.last; l != nil; l = l.before {
		if l.Name == name {
			return l.ID
		}
	}
	return w.Heads[name]
}

// model is a feed, from where the window begins.
func (w *window) model() porcupine.Model {
	return porcupine.Model{
		Init:              func() any { return state{size: w.Base} },
		Step:              func(s, in, _ any) (bool, any) { return w.step(s.(state), in) },
		Equal:             func(a, b any) bool { return a.(state).equal(b.(state)) },
		Hash:              func(s any) uint64 { sum := s.(state).sum(); return binary.BigEndian.Uint64(sum[:]) },
		DescribeOperation: func(in, _ any) string { return fmt.Sprint(in) },
		DescribeState:     func(s any) string { return fmt.Sprintf("%d entries", s.(state).size) },
	}
}

func (w *window) step(s state, in any) (bool, any) {
	switch o := in.(type) {
	case atLeast:
		return s.size >= o.size, s
	case atMost:
		return s.size <= o.size, s
	case whole:
		return s.equal(o.state), s
	case *op:
		return w.commit(s, o)
	}
	return false, s
}

// commit adds a batch, where it stands where it was said to, and each statement
// follows the newest about its name.
func (w *window) commit(s state, o *op) (bool, state) {
	next := s
	for _, st := range o.Batch {
		if w.head(next, st.Name) != st.Previous {
			return false, s
		}
		next = next.add(st)
	}
	return o.At == s.size, next
}

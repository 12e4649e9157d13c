package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
)

// A lease lets one of the servers of a store do what only one is to do. It is a
// cell, which its holder swaps again and again; who has seen the same in it for
// leaseGone times as long, by its own clock, takes it. Clocks that differ change
// nothing.
//
// Canonical JSON, at most 1 KiB:
//
//	{"beat":12,"format":"airlock-lease 1","holder":"<32 hex> <26 letters and digits>","term":3}
//
// A holder is named by its server, and by the process: one server runs with a home
// at a time, so what an earlier process of it held is free.
//
// A holder that was taken for gone may still be at work. What it does under its
// term it must not be able to write once another term has begun: who begins one
// writes its number wherever the holder writes, before anything else.
type leaseCell struct {
	Beat   int64  `json:"beat"`
	Format string `json:"format"`
	Holder string `json:"holder"` // empty where it was given back
	Term   int64  `json:"term"`   // grows with each holder
}

const (
	leaseFormat = "airlock-lease 1"
	maxLease    = 1 << 10
	leaseEvery  = 3 * time.Second
	leaseGone   = 4
)

func parseLease(key string, raw []byte) (c leaseCell, err error) {
	err = parseDocument(raw, maxLease, &c, &c.Format, leaseFormat)
	if err == nil && (c.Beat < 0 || c.Term < 1) {
		err = fmt.Errorf("beat %d of term %d", c.Beat, c.Term)
	}
	if err != nil {
		err = fmt.Errorf("store: %s: %w", key, err)
	}
	return c, err
}

// lease is a lease as one process sees it. It is for one goroutine.
type lease struct {
	cells storage.Cells
	key   string
	every time.Duration // how often beat is to be called
	id    string        // of the server; empty for one that has none
	self  string
	now   func() time.Time // monotonic: not set by anybody

	cell   leaseCell // as it was read or written last
	tag    string    // "" for one that must be read
	seen   time.Time // since when the cell is as it is
	beaten time.Time // when this process wrote it last
}

func newLease(cells storage.Cells, key, id string, every time.Duration) *lease {
	return &lease{cells: cells, key: key, every: every, id: id, self: id + " " + rand.Text(), now: time.Now}
}

// free reports whether nobody holds the lease any more.
func (l *lease) free() bool {
	id, _, _ := strings.Cut(l.cell.Holder, " ")
	return l.cell.Holder == "" || id != "" && id == l.id || l.now().Sub(l.seen) > leaseGone*l.every
}

// term returns the number of the term that this process holds the lease for, 0
// where it does not, or did not say so in time.
func (l *lease) term() int64 {
	if l.cell.Holder != l.self || l.now().Sub(l.beaten) > (leaseGone-1)*l.every {
		return 0
	}
	return l.cell.Term
}

// beat holds on to the lease, or takes it where nobody does.
func (l *lease) beat(ctx context.Context) error {
	if l.tag == "" || l.cell.Holder != l.self {
		if err := l.load(ctx); err != nil {
			return err
		}
	}
	next := l.cell
	switch {
	case next.Holder == l.self:
		next.Beat++
	case l.free():
		next = leaseCell{Format: leaseFormat, Holder: l.self, Term: next.Term + 1}
	default:
		return nil
	}
	return l.write(ctx, next)
}

// load reads the cell.
func (l *lease) load(ctx context.Context) error {
	raw, tag, err := l.cells.Load(ctx, l.key)
	if errors.Is(err, fs.ErrNotExist) {
		l.cell, l.tag = leaseCell{}, ""
		return nil
	}
	if err != nil {
		return err
	}
	c, err := parseLease(l.key, raw)
	if err != nil {
		return err
	}
	if c != l.cell || l.seen.IsZero() {
		l.seen = l.now()
	}
	l.cell, l.tag = c, tag
	return nil
}

// write swaps the cell. Where that fails it is read again first: the answer may
// have been lost.
func (l *lease) write(ctx context.Context, next leaseCell) error {
	raw, err := signing.MarshalCanonical(next)
	if err != nil {
		return err
	}
	before := l.now()
	tag, err := l.cells.Swap(ctx, l.key, l.tag, raw)
	if err != nil {
		l.tag = ""
		if errors.Is(err, storage.ErrConflict) {
			return nil // another process was faster
		}
		return err
	}
	l.cell, l.tag, l.beaten, l.seen = next, tag, before, before
	return nil
}

// release lets another process take the lease at once.
func (l *lease) release(ctx context.Context) error {
	if l.term() == 0 {
		return nil
	}
	l.beaten = time.Time{} // whether or not the answer comes
	next := l.cell
	next.Holder = ""
	return l.write(ctx, next)
}

package soak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
)

// window is what happened to a feed between two moments at which nobody asked
// anything of it, and its log at the second.
type window struct {
	From, To time.Duration // since the run began
	Base     int64         // entries at the first moment
	Heads    map[string]signing.ID
	Log      []signing.ID // the entries from Base on, at the second
	Ops      []*op
	// Loose are batches of before that nobody knew the end of, by the first
	// statement's ID.
	Loose map[signing.ID]*op
	// Roots are those of the log, by size, for all sizes that were seen.
	Roots map[int64]tlog.Hash
}

// brokenError is a piece of history that no log gives.
type brokenError struct {
	Rule  string
	Piece []*op
	Log   []signing.ID // around it
	From  int64        // index of the first of Log
}

func (e *brokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", e.Rule)
	for _, o := range e.Piece {
		fmt.Fprintf(&b, "  %s\n", o)
	}
	for i, id := range e.Log {
		fmt.Fprintf(&b, "  entry %d is %s\n", e.From+int64(i), digits(id))
	}
	return b.String()
}

// check holds a window against the model. The error is a *brokenError where there
// is no order in which a log could have done all of it.
func (w *window) check() error {
	commits := w.commits()
	var points []point
	for _, o := range w.Ops {
		p, rule := w.points(o, commits)
		if rule != "" {
			return w.broken(rule, commits, o)
		}
		points = append(points, p...)
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	return w.hold(commits, points)
}

// end is the index after the last entry.
func (w *window) end() int64 { return w.Base + int64(len(w.Log)) }

// commits returns the batches that are committed, in order: those of which it was
// said, and those that nobody knew the end of, where the log says it now. One that
// is not in the log had no effect yet.
func (w *window) commits() []*op {
	at := map[signing.ID]int64{}
	for i, id := range slices.Backward(w.Log) {
		at[id] = w.Base + int64(i) // of one that is there twice, the first
	}
	var out []*op
	settle := func(o *op, from time.Duration) {
		if i, ok := at[o.Batch[0].ID]; ok {
			done := *o
			done.Call, done.Ret, done.Result, done.At = from, w.To, committed, i
			out = append(out, &done)
		}
	}
	for _, o := range w.Ops {
		switch o.Result {
		case committed:
			out = append(out, o)
		case unclear:
			settle(o, o.Call)
		}
	}
	for _, o := range w.Loose {
		settle(o, w.From)
	}
	slices.SortFunc(out, func(a, b *op) int { return cmp.Compare(a.At, b.At) })
	return out
}

// loose returns the batches that may still come.
func (w *window) loose() map[signing.ID]*op {
	out := maps.Clone(w.Loose)
	for _, o := range w.Ops {
		if o.Result == unclear {
			out[o.Batch[0].ID] = o
		}
	}
	for _, id := range w.Log {
		delete(out, id)
	}
	return out
}

// heads returns the newest statement about each name at the end of the window.
func (w *window) heads() map[string]signing.ID {
	out := maps.Clone(w.Heads)
	for _, o := range w.commits() {
		for _, st := range o.Batch {
			out[st.Name] = st.ID
		}
	}
	return out
}

// broken returns the error about a piece of a history, with what was committed
// around it.
func (w *window) broken(rule string, commits []*op, piece ...*op) error {
	const beside = 2
	at := w.misfit(commits)
	if len(piece) > 0 {
		at = piece[0].At
		if i := slices.Index(w.Log, piece[0].Head); piece[0].Result == notHead && i >= 0 {
			at = w.Base + int64(i)
		}
	}
	lo := min(max(w.Base, at-beside), w.end())
	hi := min(max(w.Base, at+beside), w.end())
	out := &brokenError{Rule: rule, From: lo, Log: w.Log[lo-w.Base : min(hi+1, w.end())-w.Base], Piece: piece}
	for _, o := range commits {
		if o.At+int64(len(o.Batch)) > lo && o.At <= hi {
			out.Piece = append(out.Piece, o)
		}
	}
	slices.SortFunc(out.Piece, func(a, b *op) int { return cmp.Compare(a.Call, b.Call) })
	return out
}

// misfit returns the first index at which commits and log are not the same, or
// where the chain breaks, or the end of the log where it is the times that do not
// fit.
func (w *window) misfit(commits []*op) int64 {
	s := state{size: w.Base}
	for _, o := range commits {
		ok, next := w.commit(s, o)
		if !ok || next.size > w.end() {
			break
		}
		for i, st := range o.Batch {
			if w.Log[s.size-w.Base+int64(i)] != st.ID {
				return s.size
			}
		}
		s = next
	}
	return s.size
}

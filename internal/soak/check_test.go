package soak

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"airlock/signing"
)

const (
	// maxStale is how old the log may be that a reader is shown: a server keeps a
	// head for 200 ms, and waits up to 10 s for the answer of the store.
	maxStale = 11 * time.Second
	// checkLimit bounds a check. It takes milliseconds where all is well.
	checkLimit = 2 * time.Minute
)

// point is something that must hold at a moment: atLeast or atMost.
type point struct {
	of *op
	at time.Duration
	in any
}

// points returns what an operation says of how many entries there were, and when,
// or the rule that it breaks whatever the order. What is so at one moment between
// call and return, and at all later ones, is so at the return; and what is so at
// all earlier ones, at the call. A log only grows, so an operation that saw it with
// lo to hi entries is two such points, and the checker has nothing to search but
// when each batch took effect.
func (w *window) points(o *op, commits []*op) (_ []point, rule string) {
	switch o.Result {
	case seen:
		root, known := w.Roots[o.At]
		switch {
		case o.At < o.Least:
			return nil, "a client saw the log go back"
		case o.At > w.end():
			return nil, "a client was shown more than there is"
		case known && root != o.Root, !known && o.At >= w.Base:
			return nil, "a client was shown another log than the one in the store"
		case w.inside(o.At, commits):
			return nil, "a client was shown half a batch"
		case o.At < w.Base && o.Call-maxStale <= w.From:
			return nil, "" // as it was before the window
		}
		return between(o, o.At, o.At, o.Call-maxStale), ""
	case notHead:
		lo, hi, ok := w.newest(o.Head, o.Batch[0].Name, commits)
		if !ok || o.Head == o.Batch[0].Previous {
			return nil, "a batch was refused for no reason"
		}
		return between(o, lo, hi, o.Call), ""
	case taken:
		if !w.has(o.At, o.Batch[0], commits) {
			return nil, "a batch was refused for no reason"
		}
		return between(o, o.At+1, w.end(), o.Call), ""
	}
	return nil, ""
}

func between(o *op, lo, hi int64, call time.Duration) []point {
	return []point{{o, call, atMost{o, hi}}, {o, o.Ret, atLeast{o, lo}}}
}

// inside reports whether a log of that size ends within a batch.
func (w *window) inside(size int64, commits []*op) bool {
	return slices.ContainsFunc(commits, func(o *op) bool { return o.At < size && size < o.At+int64(len(o.Batch)) })
}

// newest returns with how many entries, from and to, a statement was the newest
// about a name that readers could see. The zero head stands for none.
func (w *window) newest(head signing.ID, name string, commits []*op) (lo, hi int64, ok bool) {
	now, hi := w.Heads[name], w.end()
	ok = now == head
	lo = w.Base
	for _, o := range commits {
		last := now
		for _, st := range o.Batch {
			if st.Name == name {
				last = st.ID
			}
		}
		switch {
		case last == now:
		case ok:
			return lo, o.At, true
		default:
			now, lo, ok = last, o.At+int64(len(o.Batch)), last == head
		}
	}
	return lo, hi, ok
}

// has reports whether entry at is about a version of a name. What came before the
// window is not remembered, and is taken for it.
func (w *window) has(at int64, st statement, commits []*op) bool {
	if at < w.Base {
		return true
	}
	for _, o := range commits {
		if i := at - o.At; i >= 0 && i < int64(len(o.Batch)) {
			return o.Batch[i].Name == st.Name && o.Batch[i].Version == st.Version
		}
	}
	return false
}

// hold asks the checker for an order.
func (w *window) hold(commits []*op, points []point) error {
	result := w.possible(commits, points)
	switch {
	case result == porcupine.Ok:
		return nil
	case result == porcupine.Unknown:
		return fmt.Errorf("the window from %s to %s with %d operations was not checked in %s", w.From, w.To, len(w.Ops), checkLimit)
	case w.possible(commits, nil) != porcupine.Ok:
		return w.broken("the log is not what was said of it: something acknowledged is lost, doubled or elsewhere, something refused is there, or came before it was asked for", commits)
	}
	// The smallest set of points that no order suits. Of more points fewer orders
	// suit, so the last of the set ends the shortest run of them that none suits.
	var piece []point
	for w.possible(commits, piece) == porcupine.Ok {
		n := sort.Search(len(points), func(n int) bool {
			return w.possible(commits, append(points[:n:n], piece...)) != porcupine.Ok
		})
		piece = append(piece, points[n-1])
		points = points[:n-1]
	}
	var ops []*op
	for _, p := range piece {
		if !slices.Contains(ops, p.of) {
			ops = append(ops, p.of)
		}
	}
	return w.broken("something was shown, or refused, at a time at which the log was not so", commits, ops...)
}

// possible reports whether there is an order of commits that suits all points, and
// gives the log that is there.
func (w *window) possible(commits []*op, points []point) porcupine.CheckResult {
	var history []porcupine.Operation
	known := map[signing.ID]statement{}
	for _, o := range commits {
		history = append(history, porcupine.Operation{ClientId: o.Client, Input: o, Call: int64(o.Call), Return: int64(o.Ret)})
		for _, st := range o.Batch {
			known[st.ID] = st
		}
	}
	for _, p := range points {
		history = append(history, porcupine.Operation{ClientId: p.of.Client, Input: p.in, Call: int64(p.at), Return: int64(p.at)})
	}
	end := state{size: w.Base}
	for _, id := range w.Log {
		st := known[id]
		st.ID = id // also of one from nowhere, or that was refused
		end = end.add(st)
	}
	history = append(history, porcupine.Operation{Input: whole{end}, Call: int64(w.To) + 1, Return: int64(w.To) + 1})
	return porcupine.CheckOperationsTimeout(w.model(), history, checkLimit)
}

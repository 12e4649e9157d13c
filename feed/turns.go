package feed

import (
	"context"
	"sync"
)

// Turns does work for many callers at once: who comes while a turn is under way
// takes the next one, with all others who do, and one of them does the work for
// all. A turn takes nobody any more when its work begins, so a caller is never
// given what was read before it came. J is what callers bring, R what they get.
type Turns[J, R any] struct {
	working chan struct{} // holds one while a turn is under way

	mu   sync.Mutex
	next *turn[J, R] // takes more; nil where nobody waits
}

type turn[J, R any] struct {
	job    J
	done   bool // by who fills Turns.working, as is what follows
	result R
	err    error
}

// NewTurns returns turns of which none has begun.
func NewTurns[J, R any]() *Turns[J, R] {
	return &Turns[J, R]{working: make(chan struct{}, 1)}
}

// Do returns what the caller's turn gives. join adds what the caller brings to
// what others brought, and reports whether there was room; an empty job has room.
// work does not end when ctx does, being for all, and bounds itself. Where ctx ends
// first whoever else waits, or comes next, does the work.
func (t *Turns[J, R]) Do(ctx context.Context, join func(*J) bool, work func(context.Context, J) (R, error)) (R, error) {
	mine := t.join(join)
	select {
	case t.working <- struct{}{}:
		defer func() { <-t.working }()
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
	if !mine.done {
		t.begin(mine)
		mine.result, mine.err = work(context.WithoutCancel(ctx), mine.job)
		var none J
		mine.done, mine.job = true, none
	}
	return mine.result, mine.err
}

func (t *Turns[J, R]) join(add func(*J) bool) *turn[J, R] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == nil || !add(&t.next.job) {
		t.next = &turn[J, R]{}
		add(&t.next.job)
	}
	return t.next
}

// begin has who comes from here on wait for another turn.
func (t *Turns[J, R]) begin(taken *turn[J, R]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == taken {
		t.next = nil
	}
}

package feed

import (
	"context"
	"errors"
	"sync"

	"airlock/storage"
)

// Turns does work for many callers at once: who comes while a turn is under way
// takes the next one, with all others who do, and one of them does the work for
// all. A turn takes nobody any more when its work begins, so a caller is never
// given what was read before it came. Where the store does not answer, those who
// wait for the next turn are told with the others, who would wait as long again.
// J is what callers bring, R what they get.
type Turns[J, R any] struct {
	working chan struct{} // holds one while a turn is under way

	mu   sync.Mutex
	next *turn[J, R] // takes more; nil where nobody waits
}

type turn[J, R any] struct {
	job    J
	done   chan struct{} // closed once what follows is there
	result R
	err    error
}

// NewTurns returns turns of which none has begun.
func NewTurns[J, R any]() *Turns[J, R] {
	return &Turns[J, R]{working: make(chan struct{}, 1)}
}

// Do returns what the caller's turn gives. join adds what the caller brings to
// what others brought, and reports whether there was room; an empty job has room.
// work does not end when ctx does, being for all, and bounds itself; who waits ends
// with ctx. Where all who wait for a turn have left, whoever comes next has it done.
func (t *Turns[J, R]) Do(ctx context.Context, join func(*J) bool, work func(context.Context, J) (R, error)) (R, error) {
	mine := t.join(join)
	select {
	case t.working <- struct{}{}:
		go t.take(context.WithoutCancel(ctx), mine, work)
	case <-mine.done:
	case <-ctx.Done():
	}
	select {
	case <-mine.done:
		return mine.result, mine.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

// take does a turn's work, unless it was done, and lets the next one begin.
func (t *Turns[J, R]) take(ctx context.Context, taken *turn[J, R], work func(context.Context, J) (R, error)) {
	defer func() { <-t.working }()
	select {
	case <-taken.done:
		return
	default:
	}
	t.begin(taken)
	taken.result, taken.err = work(ctx, taken.job)
	var none J
	taken.job = none
	close(taken.done)
	if errors.Is(taken.err, storage.ErrAway) {
		t.giveUp(taken.err)
	}
}

// giveUp ends the next turn without its work.
func (t *Turns[J, R]) giveUp(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		t.next.err = why
		close(t.next.done)
		t.next = nil
	}
}

func (t *Turns[J, R]) join(add func(*J) bool) *turn[J, R] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == nil || !add(&t.next.job) {
		t.next = &turn[J, R]{done: make(chan struct{})}
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

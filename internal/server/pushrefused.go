package server

import (
	"errors"
	"fmt"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/trust"
)

// refusal is what the inbox says of a feed that it does not take. It says so of that
// feed alone: the others go on, and it is asked again at a time of its own.
type refusal struct {
	times int // in a row
	until time.Time
	err   error
}

// isRefusal reports whether an error of push is an inbox's answer that asking again at
// once does not change: what is pushed is against its policy, or against what it has.
func isRefusal(err error) bool {
	_, ok := errors.AsType[*inboxError](err)
	return ok
}

// inboxError is the answer of an inbox that takes nothing of a feed.
type inboxError struct{ error }

func (e *inboxError) Unwrap() error { return e.error }

// ofInbox marks the answers of an inbox that are about what it was sent.
func ofInbox(err error) error {
	_, denied := errors.AsType[*trust.DeniedError](err)
	_, conflict := errors.AsType[*feedhttp.ConflictError](err)
	_, malformed := errors.AsType[*feedhttp.RequestError](err)
	if denied || conflict || malformed {
		return &inboxError{err}
	}
	return err
}

// refuses keeps what the inbox says of a feed that was pushed.
func (r *pushRunner) refuses(id feed.ID, err error) {
	if !isRefusal(err) {
		delete(r.refused, id)
		return
	}
	times := r.refused[id].times + 1
	r.refused[id] = refusal{times, time.Now().Add(r.backoff(times)), err}
}

// withRefused completes a round with what the inbox refuses, now or since a round
// before. Where it refuses all, that is no matter of single feeds.
func (r *pushRunner) withRefused(got *pushedRound) {
	ids := inOrder(r.refused)
	if len(ids) == 0 {
		return
	}
	for _, id := range ids {
		delete(got.there, id) // news of it waits for its time
		if until := r.refused[id].until; until.Before(got.due) {
			got.due = until
		}
	}
	if got.failed != nil {
		return
	}
	got.failed = fmt.Errorf("feed %s: %w", ids[0], r.refused[ids[0]].err)
	if len(got.there) > 0 {
		got.failed = fmt.Errorf("%w: %w", errRefused, got.failed)
	}
}

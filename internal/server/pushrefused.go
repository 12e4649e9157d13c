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

// inboxError is an inbox's answer that asking again at once does not change: what it
// was sent of a feed is against its policy, or against what it has.
type inboxError struct{ error }

func (e *inboxError) Unwrap() error { return e.error }

// ofInbox marks such an answer among the errors of sending.
func ofInbox(err error) error {
	_, denied := errors.AsType[*trust.DeniedError](err)
	_, conflict := errors.AsType[*feedhttp.ConflictError](err)
	_, malformed := errors.AsType[*feedhttp.RequestError](err)
	if denied || conflict || malformed {
		return &inboxError{err}
	}
	return err
}

// refuses reports whether what became of pushing a feed is that the inbox refuses it,
// and keeps that.
func (r *pushRunner) refuses(id feed.ID, err error) bool {
	_, refused := errors.AsType[*inboxError](err)
	if !refused {
		delete(r.refused, id)
		return false
	}
	times := r.refused[id].times + 1
	r.refused[id] = refusal{times, time.Now().Add(r.backoff(times)), err}
	return true
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

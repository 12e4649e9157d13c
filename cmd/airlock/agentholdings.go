package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"airlock/feed"
	"airlock/internal/agent"
	"airlock/internal/home"
)

// herald publishes the holdings of a home's Space when they are due.
type herald struct {
	*app
	home    *home.Home
	options agentOptions
}

func (f *fleet) herald() *herald { return &herald{f.apart("holdings"), f.home, f.options} }

// Holdings are published again at half of what they may be old, see every.
const (
	daily      = 24 * time.Hour
	keepRetry  = time.Minute
	keepNoLess = time.Minute
)

// every returns how often: as somebody said, or at half of the shortest maxAge that
// this home sets others, which they may set it too; at least once a day.
func (h *herald) every() (time.Duration, error) {
	if h.options.holdings > 0 {
		return h.options.holdings, nil
	}
	all, err := h.home.AllTrusted()
	every := daily
	for _, t := range all {
		if age := time.Duration(t.Policy.MaxAge); age > 0 {
			every = min(every, age/2)
		}
	}
	return max(every, keepNoLess), err
}

// run publishes holdings when they are due, until ctx ends.
func (h *herald) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		next, err := h.once(ctx)
		switch {
		case errors.Is(err, home.ErrNoSpace), errors.Is(err, errNowhere):
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			_, hint := outcomeOf(err)
			h.note("airlock: warning: %s (%s)", oneLine(err.Error()), hint)
			next = h.now().Add(agent.Backoff(failures, keepRetry, rand.Float64))
		default:
			failures = 0
		}
		sleep(ctx, next.Sub(h.now()))
	}
}

// once publishes holdings where they are due, and returns when they are due next.
// home.ErrNoSpace stands for a home that has none to speak of, and errNowhere for
// one of which nobody said where its feeds are.
func (h *herald) once(ctx context.Context) (next time.Time, err error) {
	if _, said := h.destination(h.options.receipts); !said {
		return next, errNowhere
	}
	every, err := h.every()
	if err != nil {
		return next, err
	}
	t, err := h.teller(ctx, false, h.unasked)
	if err != nil {
		return next, err
	}
	t.refills = true
	where, _ := h.destination(h.options.receipts)
	c, err := h.at(ctx, where, publishing)
	if err != nil {
		return next, err
	}
	next, err = t.keep(ctx, c, every)
	return next, errors.Join(err, c.Close())
}

// keep tells what the Space holds where it said so longer ago than every.
func (t *teller) keep(ctx context.Context, c *conn, every time.Duration) (next time.Time, err error) {
	mine, err := t.ownFeeds(ctx, c)
	if err != nil {
		return next, err
	}
	theirs, err := t.othersFeeds(ctx)
	if err != nil {
		return next, err
	}
	now := t.now()
	if len(mine)+len(theirs) == 0 {
		return now.Add(min(every, keepNoLess)), nil // soon there may be
	}
	next, err = t.dueAt(ctx, mine, every)
	if err != nil || next.After(now) {
		return next, err
	}
	if err := t.tell(ctx, c, "", mine, theirs); err != nil {
		return next, err
	}
	t.note("published holdings in %s", count(len(t.doc.Said), "feed", "feeds"))
	_, err = t.ownFeeds(ctx, c) // so that it is known here what was said
	return now.Add(every), err
}

// dueAt returns when the Space is to speak in the first of its feeds; now where it
// never did.
func (t *teller) dueAt(ctx context.Context, mine []*feed.State, every time.Duration) (time.Time, error) {
	next := t.now().Add(every)
	if len(mine) == 0 {
		return t.now(), nil
	}
	for _, s := range mine {
		said, err := t.home.Alive(ctx, s.Lineage, s.ID)
		if err != nil {
			return next, err
		}
		if due := said.Add(every); due.Before(next) {
			next = due
		}
	}
	return next, nil
}

package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/internal/agent"
)

// What keeps some of the feeds that are pushed from the inbox, and none of the others:
// the heads that could not be read here, or what the inbox refuses.
var (
	errUnread  = errors.New("not all feeds could be read")
	errRefused = errors.New("not all feeds are taken")
)

// pushedRound is what a round found.
type pushedRound struct {
	there  map[feed.ID]int64 // what the inbox has of each feed that was read and that it does not refuse
	due    time.Time         // of the next round, without news
	failed error
	tried  bool // in this round, what failed: a feed that is refused has a time of its own
}

// turn pushes what is new, keeps what became of that, and waits until there may be
// more. It returns how many turns in a row failed, where so many did before.
func (r *pushRunner) turn(ctx context.Context, failures int) (int, error) {
	caller := feedhttp.Caller{Role: feedhttp.Enrolled, Space: r.space, Feeds: r.record.patterns()}
	var stop func()
	caller.Changed, stop = r.changed(ctx)
	defer stop()
	got := r.round(ctx, caller)
	if ctx.Err() != nil {
		return failures, nil
	}
	if err := r.note(ctx, got); err != nil {
		return failures, err
	}
	switch failures++; {
	case got.failed == nil, errors.Is(got.failed, errRefused):
		failures = 0
		r.await(ctx, caller, got.there, time.Until(got.due))
	case errors.Is(got.failed, errUnread): // which keeps nobody from the others
		r.await(ctx, caller, got.there, min(r.backoff(failures), time.Until(got.due)))
	default:
		r.pause(ctx, r.backoff(failures))
	}
	return failures, nil
}

// await waits for news of feeds, or that others may be meant. What keeps that from
// being told the next round says.
func (r *pushRunner) await(ctx context.Context, caller feedhttp.Caller, there map[feed.ID]int64, atMost time.Duration) {
	_, _ = r.server.news(ctx, caller, there, atMost, log.Any)
}

// backoff is how long to wait after so many failures in a row.
func (r *pushRunner) backoff(failures int) time.Duration {
	return agent.Backoff(failures, r.server.config.Pushing.Retry, rand.Float64)
}

func (r *pushRunner) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// round pushes the feeds that have grown, and goes on after one that fails. Of several
// errors it keeps that of the inbox, before that of feeds which the inbox refuses,
// before that of heads which could not be read here.
func (r *pushRunner) round(ctx context.Context, caller feedhttp.Caller) pushedRound {
	known, due, err := r.known(ctx, caller)
	if err != nil {
		return pushedRound{due: due, failed: err, tried: true}
	}
	seen := r.server.look(ctx, caller, known, pushRelist)
	got := pushedRound{there: seen.there, due: due}
	maps.DeleteFunc(r.refused, func(id feed.ID, _ refusal) bool {
		_, news := seen.differ[id]
		_, unread := seen.unread[id]
		return !news && !unread // it is no longer pushed, or is there
	})
	for _, id := range inOrder(seen.differ) {
		if time.Now().Before(r.refused[id].until) {
			continue
		}
		err := r.push(ctx, id, seen.differ[id].Size)
		if ctx.Err() != nil {
			return got
		}
		got.tried = got.tried || err != nil
		if !r.refuses(id, err) && err != nil && got.failed == nil {
			got.failed = fmt.Errorf("feed %s: %w", id, err)
		}
	}
	for id := range seen.there {
		seen.there[id] = r.cursor.Taken[id].Size
	}
	r.withRefused(&got)
	if unread := inOrder(seen.unread); got.failed == nil && len(unread) > 0 {
		got.failed, got.tried = fmt.Errorf("%w: %w", errUnread, seen.unread[unread[0]]), true
	}
	return got
}

// inOrder returns the feeds of a map by their names.
func inOrder[V any](of map[feed.ID]V) []feed.ID {
	return slices.SortedFunc(maps.Keys(of), func(a, b feed.ID) int { return strings.Compare(a.String(), b.String()) })
}

// changed is closed when what Spaces may read has changed, or there is a new feed
// that may be meant. stop ends that.
func (r *pushRunner) changed(ctx context.Context) (_ <-chan struct{}, stop func()) {
	until, end := context.WithCancel(ctx)
	access := r.server.access.view.Load().changed
	r.running.Go(func() {
		select {
		case <-access:
			end()
		case <-until.Done():
		}
	})
	leave := r.server.pushFeeds.wait(r.record.patterns(), end)
	return until.Done(), func() { leave(); end() }
}

// known returns the feeds that are meant, what the inbox has of each, and when to ask
// again. What the Space may not read is left out: to be refused a head costs a read of
// the store. What cannot be told is said with the head.
func (r *pushRunner) known(ctx context.Context, caller feedhttp.Caller) (map[feed.ID]int64, time.Time, error) {
	all, due, err := r.server.pushFeeds.of(ctx, caller.Feeds)
	if err != nil {
		return nil, due, err
	}
	known := map[feed.ID]int64{}
	for id := range all {
		if ok, err := r.server.reads(ctx, caller, id); ok || err != nil {
			known[id] = r.cursor.Taken[id].Size
		}
	}
	if len(known) > maxPushFeeds {
		err = fmt.Errorf("%d feeds match, at most %d are pushed to one inbox: name fewer", len(known), maxPushFeeds)
	}
	return known, due, err
}

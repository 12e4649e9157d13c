package main

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/internal/agent"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
)

// subscriber follows one subscription.
type subscriber struct {
	*app
	home     *home.Home
	sub      home.Subscribed
	options  agentOptions
	pushed   *bell
	arrivals *arrivals
	lease

	// From the first turn on, see open.
	store *storage.Store // the home's
	conn  *conn
	base  *puller   // follows
	rules []*puller // one for each rule that holds here

	known  map[feed.ID]int64       // the feeds that were followed, and their sizes then
	asked  map[storage.Digest]bool // manifests that the scanner saw, whatever rules are made anew
	at     *feed.State             // the feed that is worked on
	moment moment                  // what may happen in the scan that is made
	state  agent.State
	mark   string    // the home's watermark at the last scan
	full   time.Time // when all was looked at last
	listed time.Time // when the source was asked for its feeds
	saved  time.Time // when the state was kept

	// failures are this process's, in a row and since something came: an agent that is
	// begun again tries at once, and a source that fails now and then is not one that is
	// away.
	failures int
	retry    time.Time // after the last
}

// How often that is looked for of which nobody tells.
const (
	relist   = time.Minute // feeds that match patterns
	overhaul = time.Hour   // all: files that are gone, trust that ended
	keepAge  = time.Minute // how old what is kept of contacts may be
)

func (f *fleet) subscriber(s home.Subscribed) *subscriber {
	return &subscriber{app: f.apart(s.Name), home: f.home, sub: s, options: f.options, pushed: &f.pushed, arrivals: &f.arrivals, lease: lease{self: f.self}, known: map[feed.ID]int64{}, asked: map[storage.Digest]bool{}}
}

// once makes one scan. What waits for a person is an error too, as in airlock pull.
func (r *subscriber) once(ctx context.Context) error {
	defer r.close()
	failed, waiting := r.turn(ctx, nil)
	if !r.options.dryRun && ctx.Err() == nil {
		r.settle(ctx, failed)
	}
	return cmp.Or(failed, waiting)
}

// run scans until stop ends. What is begun then is brought to its end, unless ctx
// ends too.
func (r *subscriber) run(ctx, stop context.Context) {
	defer r.close()
	if r.sub.Err == nil {
		r.note("following %s", strings.Join(r.sub.Feeds, ", "))
	}
	if r.source() == r.home.Inbox() {
		r.arrivals.follow(r.sub.Name, r.sub.Feeds)
		defer r.arrivals.leave(r.sub.Name)
	}
	var grown []feed.ID // nil for all
	for stop.Err() == nil {
		pushed, moved, turn := r.pushed.next(), r.moved.next(), r.arrivals.begin()
		failed, _ := r.turn(ctx, grown)
		r.arrivals.ended(r.sub.Name, turn)
		if ctx.Err() != nil {
			return
		}
		r.settle(ctx, failed)
		r.complain(failed)
		if r.sub.Err != nil {
			return // until somebody changes the file
		}
		grown = r.rest(stop, pushed, moved)
	}
}

// settle keeps what became of a turn, and when it is tried again if it failed.
func (r *subscriber) settle(ctx context.Context, failed error) {
	now := r.now()
	if failed == nil {
		r.failures = 0
		r.state.Contact, r.state.Problem, r.state.Next = signing.FormatTime(now), nil, ""
		r.save(ctx)
		return
	}
	r.failures++
	code, hint := outcomeOf(failed)
	r.state.Failed(now, code, oneLine(failed.Error()), hint)
	if r.state.Next = ""; r.sub.Err == nil {
		r.retry = now.Add(agent.Backoff(r.failures, r.sub.Every, rand.Float64))
		r.state.Next = signing.FormatTime(r.retry)
	}
	r.save(ctx)
}

// complain says what failed, for people.
func (r *subscriber) complain(failed error) {
	if failed != nil {
		_, hint := outcomeOf(failed)
		r.note("airlock: warning: %s (%s)", oneLine(failed.Error()), hint)
	}
}

func (r *subscriber) save(ctx context.Context) {
	if r.store == nil {
		return // the home itself cannot be read
	}
	r.saved = r.now()
	if err := r.state.Save(ctx, r.store, r.sub.Name); err != nil {
		r.note("airlock: warning: %s", oneLine(err.Error()))
	}
}

// rest waits until there is something to do: it returns the feeds that grew, or
// nil for all. That is so too when work changes hands; and a problem with what was
// pushed may be over once more was.
func (r *subscriber) rest(ctx context.Context, pushed, moved <-chan struct{}) []feed.ID {
	ctx, wake := context.WithCancel(ctx)
	defer wake()
	if r.state.Problem == nil || r.source() != r.home.Inbox() {
		pushed = nil
	}
	go func() {
		defer wake()
		select {
		case <-moved:
		case <-pushed:
		case <-ctx.Done():
		}
	}()
	for ctx.Err() == nil {
		wait := min(agent.Around(r.sub.Every, r.sub.Jitter, rand.Float64), r.wake().Sub(r.now()))
		if wait <= 0 {
			return nil
		}
		grown, err := r.news(ctx, wait)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if r.state.Problem == nil {
				r.settle(ctx, err)
				r.complain(err)
			}
			sleep(ctx, r.retry.Sub(r.now()))
			return nil
		case r.watermark() != r.mark:
			return nil
		case len(grown) > 0 && r.state.Problem != nil:
			return nil // the news may end it
		case len(grown) > 0:
			return grown
		}
		if now := r.now(); r.state.Problem == nil && now.Sub(r.saved) > keepAge {
			r.state.Contact = signing.FormatTime(now)
			r.save(ctx)
		}
	}
	return nil
}

// wake returns when all is looked at again without news.
func (r *subscriber) wake() time.Time {
	if r.state.Problem != nil {
		return r.retry
	}
	at := r.full.Add(overhaul)
	if next := r.moment.next(r.sub.Subscription); !next.IsZero() && next.Before(at) {
		return next
	}
	return at
}

// watermark changes with everything in the home that decides about packages.
func (r *subscriber) watermark() string { return r.home.Watermark(r.options.approvals...) }

// news waits for feeds that grew, at the longest for some time. Feeds of patterns
// that are new have grown.
func (r *subscriber) news(ctx context.Context, wait time.Duration) ([]feed.ID, error) {
	if r.conn == nil || r.free() || len(r.known) == 0 && r.state.Problem != nil {
		sleep(ctx, wait)
		return nil, nil
	}
	if r.now().Sub(r.listed) >= relist && r.hasPatterns() {
		all, err := r.feeds(ctx)
		if err != nil {
			return nil, err
		}
		var fresh []feed.ID
		for _, id := range all {
			if _, ok := r.known[id]; !ok {
				fresh = append(fresh, id)
			}
		}
		if len(fresh) > 0 {
			return fresh, nil
		}
	}
	if len(r.known) == 0 {
		sleep(ctx, wait)
		return nil, nil
	}
	asked := time.Now()
	heads, err := r.conn.Heads(ctx, r.known, wait)
	if err == nil && len(heads) == 0 && time.Since(asked) < min(wait, time.Second) {
		sleep(ctx, wait) // who does not let us wait is not asked again at once
	}
	if ctx.Err() != nil {
		return nil, nil
	}
	return slices.Collect(maps.Keys(heads)), err
}

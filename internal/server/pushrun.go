package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/agent"
	"airlock/storage"
	"airlock/trust"
)

// pushRunner pushes to one inbox.
type pushRunner struct {
	*pusher
	record pushRecord
	term   int64
	end    context.CancelFunc
	gone   chan struct{}
	state  atomic.Pointer[string] // of the cursor; nil before it was read

	space  trust.Space
	client *feedhttp.Client
	cursor *pushCursor
	tag    string
}

// errTerm reports that another server pushes now.
var errTerm = errors.New("another server pushes")

// run pushes what is new until ctx ends or it is given up. Its error is one of the
// store.
func (r *pushRunner) run(ctx context.Context) (err error) {
	r.space, _ = trust.ParseSpace(r.record.Space) // it was checked
	if r.cursor, r.tag, err = r.server.pushCursor(ctx, r.record); err != nil {
		return err
	}
	if r.cursor.Term > r.term {
		return errTerm
	}
	r.cursor.Term = r.term // before anything is sent: who pushed before writes here no more
	if err := r.save(ctx); err != nil {
		return err
	}
	if r.client, err = r.newClient(); err != nil {
		return err
	}
	defer r.client.Close()
	// Failures are this runner's: how often servers began anew says nothing of the inbox.
	wait, failures := false, 0
	for ctx.Err() == nil && r.cursor.State != Failed {
		problem := r.round(ctx, wait)
		if ctx.Err() != nil {
			return nil
		}
		if err := r.note(ctx, problem); err != nil {
			return err
		}
		if problem == nil {
			wait, failures = true, 0
			continue
		}
		wait, failures = false, failures+1
		r.pause(ctx, failures)
	}
	<-ctx.Done() // it was given up
	return nil
}

func (r *pushRunner) newClient() (*feedhttp.Client, error) {
	base, err := url.Parse(r.record.URL)
	if err != nil {
		return nil, err
	}
	return feedhttp.NewClient(feedhttp.ClientConfig{Base: base, HTTP: r.server.pushClient(r.space), Retry: feedhttp.Retry{Attempts: 1},
		UserAgent: "airlock-server/" + r.server.config.Pushing.Version})
}

// save writes the cursor, unless somebody else did: then another server pushes.
func (r *pushRunner) save(ctx context.Context) error {
	raw, err := r.cursor.format()
	if err != nil {
		return err
	}
	tag, err := r.server.config.Store.Cells.Swap(ctx, pushKey(r.record.ID), r.tag, raw)
	if errors.Is(err, storage.ErrConflict) {
		err = errTerm
	}
	if err == nil {
		state := r.cursor.state()
		r.tag = tag
		r.state.Store(&state)
	}
	return err
}

// pause waits after so many failures in a row.
func (r *pushRunner) pause(ctx context.Context, failures int) {
	t := time.NewTimer(agent.Backoff(failures, r.server.config.Pushing.Retry, rand.Float64))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// note keeps what became of a round.
func (r *pushRunner) note(ctx context.Context, failed error) error {
	c, now := r.cursor, r.server.config.Now().Unix()
	if failed == nil {
		if c.state() == Pushed {
			return nil
		}
		c.State, c.Problem, c.Since, c.Tried = "", "", now, 0
		return r.save(ctx)
	}
	if c.State == "" {
		c.State, c.Since = Retrying, now
		r.server.config.Logger.Warn("push failed, and is tried again", "push", r.record.ID, "space", r.record.Space, "error", failed)
	}
	c.Tried, c.Problem = c.Tried+1, problem(failed)
	if now-c.Since >= int64(r.server.config.Pushing.GiveUp/time.Second) {
		c.State = Failed
		r.server.audit(ctx, Operator, "push", r.record.Space, failed, "push", r.record.ID, "url", r.record.URL)
		r.server.config.Logger.Error("push given up", "push", r.record.ID, "space", r.record.Space, "error", failed)
	}
	return r.save(ctx)
}

// round pushes feeds that have grown, where it waits as soon as there are some, until
// others may be meant. It goes on after one that fails, and returns the first error.
func (r *pushRunner) round(ctx context.Context, wait bool) error {
	caller := feedhttp.Caller{Role: feedhttp.Enrolled, Space: r.space, Feeds: r.record.patterns()}
	var stop func()
	caller.Changed, stop = r.changed(ctx)
	defer stop()
	known, due, err := r.known(ctx, caller)
	if err != nil {
		return err
	}
	atMost := time.Duration(0)
	if wait {
		atMost = time.Until(due)
	}
	heads, err := r.server.Heads(ctx, caller, known, atMost)
	if err != nil {
		return err
	}
	var first error
	for _, id := range slices.SortedFunc(maps.Keys(heads), func(a, b feed.ID) int { return strings.Compare(a.String(), b.String()) }) {
		err := r.push(ctx, id, heads[id].Size)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && first == nil {
			first = fmt.Errorf("feed %s: %w", id, err)
		}
	}
	return first
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

// push brings the inbox to what the feed has, which is at least so much. Where it
// says that it has something else than was thought, that counts.
func (r *pushRunner) push(ctx context.Context, id feed.ID, size int64) error {
	select {
	case r.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.room }()
	return r.bring(ctx, id, size)
}

// bring is push for who has room already.
func (r *pushRunner) bring(ctx context.Context, id feed.ID, size int64) error {
	for range maxCorrections {
		asked := r.wanted(ctx, id)
		if err := r.server.checkStanding(ctx, r.space); err != nil {
			return err
		}
		h, err := r.server.logs.Feed(id).Head(ctx, size)
		if err != nil {
			return outward(err)
		}
		at := r.cursor.Taken[id]
		if at.Epoch != h.Epoch {
			at = feedhttp.Taken{}
		}
		slice, err := r.slice(ctx, id, at, h.Epoch, h.Checkpoint)
		if err != nil {
			return err
		}
		got, err := r.send(ctx, slice, asked)
		if err != nil {
			return err
		}
		done := got.Epoch == h.Epoch && got.Size >= h.Checkpoint.Size
		if !done && got.Taken == at && got.Behind == nil {
			return fmt.Errorf("the inbox takes nothing of it: it has %d entries, and there are %d", at.Size, h.Checkpoint.Size)
		}
		if r.cursor.Taken == nil {
			r.cursor.Taken = map[feed.ID]feedhttp.Taken{}
		}
		r.cursor.Taken[id] = got.Taken
		if got.Behind != nil {
			r.cursor.Taken[r.ownReceipts()] = *got.Behind
		}
		r.takeReceipts(ctx, slice, got.Receipts)
		if err := r.save(ctx); err != nil || done {
			return err
		}
	}
	return errors.New("the inbox says each time that it has something else")
}

// maxCorrections is how often an inbox may say that it has something else.
const maxCorrections = 5

// slice returns what follows after at.
func (r *pushRunner) slice(ctx context.Context, id feed.ID, at feedhttp.Taken, epoch uint64, head feed.Checkpoint) (bundle.Slice, error) {
	if at.Size > head.Size {
		return bundle.Slice{}, fmt.Errorf("the inbox has %d entries, and there are %d: was an older store put back?", at.Size, head.Size)
	}
	of, err := r.server.admitted(ctx, id.Space)
	if err != nil {
		return bundle.Slice{}, err
	}
	slice := bundle.Slice{Epoch: epoch, Feed: id, From: at.Size, Lineage: of.Lineage(), Note: string(head.Note), To: head.Size}
	if at.Size > 0 {
		slice.Base = &at.Root
	}
	return slice, nil
}

// send sends a slice.
func (r *pushRunner) send(ctx context.Context, s bundle.Slice, asked feedhttp.PushReceipts) (feedhttp.PushAnswer, error) {
	receiver, err := r.server.admitted(ctx, r.space)
	if err != nil {
		return feedhttp.PushAnswer{}, err
	}
	h := bundle.NewStreamHead(bundle.Party{Lineage: receiver.Lineage(), Space: r.space.String()}, s)
	return r.client.Push(ctx, func() (io.ReadCloser, error) {
		from, to := io.Pipe()
		go func() {
			to.CloseWithError(bundle.WriteStream(ctx, to, h, r.server.config.LogKey, r.server.Local()))
		}()
		return from, nil
	}, asked)
}

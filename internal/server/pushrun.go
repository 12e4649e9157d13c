package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
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

	space   trust.Space
	client  *feedhttp.Client
	cursor  *pushCursor
	tag     string
	partial bool // the problem of the cursor is one of some feeds
	refused map[feed.ID]refusal
}

// errTerm reports that another server pushes now.
var errTerm = errors.New("another server pushes")

// run pushes what is new until ctx ends or it is given up. Its error is one of the
// store.
func (r *pushRunner) run(ctx context.Context) (err error) {
	r.space, _ = trust.ParseSpace(r.record.Space) // it was checked
	r.refused = map[feed.ID]refusal{}
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
	for failures := 0; ctx.Err() == nil && r.cursor.State != Failed; {
		if failures, err = r.turn(ctx, failures); err != nil {
			return err
		}
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

// note keeps what became of a round.
func (r *pushRunner) note(ctx context.Context, got pushedRound) error {
	c, now, failed := r.cursor, r.server.config.Now().Unix(), got.failed
	if failed == nil {
		if c.state() == Pushed {
			return nil
		}
		c.State, c.Problem, c.Since, c.Tried = "", "", now, 0
		return r.save(ctx)
	}
	if !got.tried && c.State == Retrying && c.Problem == problem(failed) {
		return nil
	}
	partial := errors.Is(failed, errUnread) || errors.Is(failed, errRefused) // which gives nothing up
	if c.State == "" || r.partial && !partial {
		c.State, c.Since = Retrying, now
		r.server.config.Logger.Warn("push failed, and is tried again", "push", r.record.ID, "space", r.record.Space, "error", failed)
	}
	c.Tried, c.Problem, r.partial = c.Tried+1, problem(failed), partial
	if !partial && now-c.Since >= int64(r.server.config.Pushing.GiveUp/time.Second) {
		c.State = Failed
		r.server.audit(ctx, Operator, "push", r.record.Space, failed, "push", r.record.ID, "url", r.record.URL)
		r.server.config.Logger.Error("push given up", "push", r.record.ID, "space", r.record.Space, "error", failed)
	}
	return r.save(ctx)
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
			return ofInbox(err)
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

package main

import (
	"context"
	"errors"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/outbox"
	"airlock/receipts"
	"airlock/signing"
)

// arrived takes note of what the Space's receipts feed holds, where that is pushed:
// it lets go of receipts that answers brought there, and gives no number that is
// there already.
func (in *inbox) arrived(ctx context.Context, f *feed.Follower, s *feed.State) error {
	if s.ID.Name != receipts.Feed || s.Lineage != in.own {
		return nil
	}
	out, err := in.openPost(ctx)
	if err != nil {
		return err
	}
	err = out.box.Arrived(ctx, func(id signing.ID) bool {
		_, ok := s.Index.Holds(id)
		return ok
	})
	if err == nil {
		err = out.box.Recall(ctx, s, f)
	}
	if errors.Is(err, outbox.ErrRenewed) {
		in.note("airlock: warning: %v", err)
		return nil
	}
	return err
}

// recall makes sure that the numbers of receipts are in order with so many entries of
// the Space's receipts feed, and returns what the inbox has of it where that is less:
// it was put back from a backup, and what it would sign may have a number that it gave
// out since. Who sends receipts itself looks when it does.
func (in *inbox) recall(ctx context.Context, known int64) (behind *feedhttp.Taken, err error) {
	if _, sends := in.destination(in.sending); sends || known == 0 {
		return nil, nil
	}
	in.taking.Lock()
	defer in.taking.Unlock()
	out, err := in.openPost(ctx)
	if err != nil {
		return nil, err
	}
	if got, err := out.box.Known(ctx); err != nil || got >= known {
		return nil, err
	}
	own, err := out.ownFeed(ctx)
	if err != nil {
		return nil, err
	}
	have, err := in.have(ctx, bundle.Slice{Epoch: own.Epoch, Feed: own.Feed})
	if err != nil {
		return nil, err
	}
	if have.Size < known {
		return &have, nil
	}
	return nil, in.reread(ctx, own.Feed)
}

// reread takes note of the Space's receipts feed as the inbox has it, of which the
// book of receipts is older, or was not written any more.
func (in *inbox) reread(ctx context.Context, id feed.ID) error {
	c, err := in.at(ctx, in.home.Inbox(), reading)
	if err != nil {
		return err
	}
	f, state, _, err := in.sync(ctx, c, id)
	if err == nil {
		err = in.arrived(ctx, f, state)
	}
	return errors.Join(err, c.Close())
}

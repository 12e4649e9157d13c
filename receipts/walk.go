package receipts

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/signing"
	"airlock/trust"
)

// walked is an entry that was read again.
type walked struct {
	row      feed.Row
	att      signing.Attestation
	verified trust.Verified // of rows that count, but identities
	leaf     tlog.Hash
	read     any // what the walker's own work made of it
}

// walk reads all entries of a feed again that f has just accepted, in their
// order, and tells the root of the tree before each. Sync has verified every
// signature; here the tree is computed from what is handed out, so once walk
// returns nil each signature is the one that was verified, and none is verified
// twice. work is called for several entries at once, also while take is called
// for entries before them, one after the other.
func walk(ctx context.Context, f *feed.Follower, s *feed.State, work func(*walked), take func(w *walked, before *feed.Edge) error) error {
	var edge feed.Edge
	group, ctx := errgroup.WithContext(ctx)
	worked := make(chan []walked)
	group.Go(func() error {
		defer close(worked)
		return walkAhead(ctx, f, s, work, worked)
	})
	group.Go(func() error {
		for batch := range worked {
			for i := range batch {
				if err := take(&batch[i], &edge); err != nil {
					return err
				}
				edge.Append(batch[i].leaf)
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if edge.Root() != s.Edge.Root() {
		return fmt.Errorf("feed %s: %w: its entries are not those that were read before", s.ID, feed.ErrRoot)
	}
	return nil
}

// walkAhead reads the entries and does the work on them, a batch at a time.
func walkAhead(ctx context.Context, f *feed.Follower, s *feed.State, work func(*walked), to chan<- []walked) error {
	var batch []walked
	flush := func() error {
		if err := workOn(f.View, s, batch, work); err != nil {
			return err
		}
		select {
		case to <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
		batch = nil
		return nil
	}
	err := f.Attestations(ctx, s, slices.Collect(s.Index.Rows(0)), func(row feed.Row, a signing.Attestation) error {
		if batch == nil {
			batch = make([]walked, 0, 4*feed.SegmentSize)
		}
		if batch = append(batch, walked{row: row, att: a}); len(batch) < cap(batch) {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func workOn(view *trust.View, s *feed.State, batch []walked, work func(*walked)) error {
	errs := make([]error, len(batch))
	feed.Parallel(len(batch), func(i int) {
		w := &batch[i]
		w.leaf = feed.LeafHash(w.att)
		if w.row.Void != "" || w.row.What == feed.IsIdentity {
			return
		}
		signed, err := view.Believed(w.att, s.At(w.row.Index))
		if err == nil {
			w.verified, err = view.Counts(signed)
		}
		if errs[i] = err; err == nil {
			work(w)
		}
	})
	return cmp.Or(errs...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
)

// buildBatch is the number of statements of one commit.
const buildBatch = 1000

// build fills the store of a new site with a feed of that many entries, all
// signed for real and committed by the server's own code.
func build(ctx context.Context, s *site, entries int64, progress io.Writer) error {
	h, err := s.serverHere(ctx)
	if err != nil {
		return err
	}
	return errors.Join(fill(ctx, h.Local(), newAuthor(s, h.logKey), entries, progress), h.Close())
}

// fill publishes until the feed has that many entries, several batches at a
// time: none of them holds a package of another.
func fill(ctx context.Context, to feed.Publisher, a *author, entries int64, progress io.Writer) error {
	opening, err := a.opening(ctx)
	if err != nil {
		return err
	}
	accepted, err := to.Publish(ctx, opening)
	if err != nil {
		return err
	}
	begin, left := time.Now(), entries-accepted.Checkpoint.Size
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3)
	for first := int64(0); first < left && ctx.Err() == nil; first += buildBatch {
		group.Go(func() error {
			packages := make([]pkg, min(left-first, buildBatch))
			for i := range packages {
				packages[i] = numbered(first + int64(i))
			}
			b, err := a.batch(ctx, packages)
			if err != nil {
				return err
			}
			if _, err := to.Publish(ctx, b); err != nil {
				return err
			}
			if n := done.Add(int64(len(packages))); n%100_000 == 0 {
				fmt.Fprintf(progress, "  %d entries after %.0f s\n", n, time.Since(begin).Seconds())
			}
			return nil
		})
	}
	return group.Wait()
}

// numbered spreads entries over packages of a hundred versions each, so that
// no package is in two batches.
func numbered(entry int64) pkg {
	return pkg{fmt.Sprintf("package-%05d", entry/100), fmt.Sprintf("1.0.%d", entry%100)}
}

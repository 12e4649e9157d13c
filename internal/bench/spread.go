package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// spread does n things evenly over a time, and lets it pass.
func spread(ctx context.Context, n int, d time.Duration, do func(ctx context.Context, i int) error) error {
	begin := time.Now()
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(pollsAtOnce)
	for i := range n {
		pause(inner, time.Until(begin.Add(d*time.Duration(i)/time.Duration(n))))
		group.Go(func() error { return do(inner, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	pause(ctx, time.Until(begin.Add(d)))
	return ctx.Err()
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

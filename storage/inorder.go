package storage

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"
)

// inOrder runs work on what next yields, several at a time, and hands each to
// emit in the order in which they came. next ends with io.EOF; any other error,
// of whichever of the three, ends all and is returned. next and emit are called
// by one goroutine each.
func inOrder[J any](ctx context.Context, next func() (*J, error), work, emit func(*J) error) error {
	type task struct {
		job  *J
		done chan error
	}
	workers := Workers()
	g, ctx := errgroup.WithContext(ctx)
	todo, queue := make(chan task, workers), make(chan task, 2*workers)
	g.Go(func() error {
		defer close(todo)
		defer close(queue)
		for {
			job, err := next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			t := task{job, make(chan error, 1)}
			select {
			case queue <- t: // never fuller than todo needs to drain
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case todo <- t:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	for range workers {
		g.Go(func() error {
			for t := range todo {
				t.done <- work(t.job)
			}
			return nil
		})
	}
	g.Go(func() error {
		for t := range queue {
			var err error
			select {
			case err = <-t.done:
			case <-ctx.Done():
				err = ctx.Err()
			}
			if err == nil {
				err = emit(t.job)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

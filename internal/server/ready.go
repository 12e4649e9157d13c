package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"airlock/storage"
)

const (
	// readyTime is how long the store may take for the answer that shows it ready.
	readyTime = 3 * time.Second
	// readyKept is how long what was found counts for all who ask.
	readyKept = time.Second
)

// readiness is whether the store answers. One look is taken for all who ask
// meanwhile. It may be used concurrently.
type readiness struct {
	look func(context.Context) error
	now  func() time.Time
	run  func(func()) // in the background

	mu    sync.Mutex    // guards what follows
	under chan struct{} // closed when the look that is under way has ended; nil for none
	at    time.Time     // when the last one ended
	err   error         // what it found
}

// Ready returns nil where the store answered about a second ago at most, and an
// error that matches storage.ErrAway where it does not, at the latest after 3 s.
func (s *Server) Ready(ctx context.Context) error { return s.ready.ask(ctx) }

func (r *readiness) ask(ctx context.Context) error {
	r.mu.Lock()
	if r.under == nil && within(r.now(), r.at, readyKept) {
		defer r.mu.Unlock()
		return r.err
	}
	if r.under == nil {
		r.under = make(chan struct{})
		apart, under := context.WithoutCancel(ctx), r.under
		r.run(func() { r.take(apart, under) })
	}
	under := r.under
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	select {
	case <-under:
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("%w within %s", storage.ErrAway, readyTime)
	}
}

// take takes a look. One at a store that ignores contexts, such as a folder on a
// file server that is gone, goes on for as long as that keeps it, and no other is
// begun.
func (r *readiness) take(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	err := r.look(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.under, r.at, r.err = nil, r.now(), err
	close(done)
}

// lookAtStore reads a small cell that every server reads each second.
func (s *Server) lookAtStore(ctx context.Context) error {
	_, _, err := s.config.Store.Cells.Load(ctx, accessHeadKey)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%w: %w", storage.ErrAway, err)
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/feed"
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
	look  func(context.Context) error
	now   func() time.Time
	turns *feed.Turns[struct{}, struct{}]

	// Of who has a turn.
	at  time.Time // when the last look ended
	err error     // what it found
}

// Ready returns nil where the store answered about a second ago at most, and an
// error that matches storage.ErrAway where it does not, at the latest after 3 s.
func (s *Server) Ready(ctx context.Context) error { return s.ready.ask(ctx) }

func (r *readiness) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	_, err := r.turns.Do(ctx, func(*struct{}) bool { return true }, r.take)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w within %s", storage.ErrAway, readyTime)
	}
	return err
}

// take takes a look, unless one was just taken. One at a store that ignores contexts,
// such as a folder on a file server that is gone, goes on for as long as that keeps
// it, and no other is begun.
func (r *readiness) take(ctx context.Context, _ struct{}) (struct{}, error) {
	if !within(r.now(), r.at, readyKept) {
		ctx, cancel := context.WithTimeout(ctx, readyTime)
		defer cancel()
		r.err = r.look(ctx)
		r.at = r.now()
	}
	return struct{}{}, r.err
}

// lookAtStore reads a small cell that every server reads each second.
func (s *Server) lookAtStore(ctx context.Context) error {
	_, _, err := s.config.Store.Cells.Load(ctx, accessHeadKey)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%w: %w", storage.ErrAway, err)
}

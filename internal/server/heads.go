package server

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
)

// headsAtOnce is how many heads are read at a time besides those that each call
// reads itself.
const headsAtOnce = 16

// Heads returns the newest checkpoints of those feeds that the caller may read
// and that are no longer of the size known, as soon as there is one; none when
// wait or ctx ends first, or what callers may do has changed.
func (s *Server) Heads(ctx context.Context, c feedhttp.Caller, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	if err := s.mustBeKnown(c); err != nil {
		return nil, err
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	wake := make(chan struct{}, 1)
	for watching := false; ; {
		differ, there, err := s.differing(ctx, c, known)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case err != nil || len(differ) > 0 || wait <= 0:
			return differ, err
		case !watching:
			defer s.logs.Watch(there, wake)()
			watching = true
			sizes := make(map[feed.ID]int64, len(there)) // a feed that comes to be is for the next call
			for _, id := range there {
				sizes[id] = known[id]
			}
			known = sizes
			continue // a feed may have grown before it was watched
		}
		select {
		case <-wake:
		case <-c.Changed:
			return nil, nil
		case <-end.C:
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// differing returns the heads that are not of the size known, and which of the
// feeds are there for the caller. A feed that is damaged keeps nobody from news
// of the others: it is left out while there are some.
func (s *Server) differing(ctx context.Context, c feedhttp.Caller, known map[feed.ID]int64) (differ map[feed.ID]feed.Checkpoint, there []feed.ID, err error) {
	differ = map[feed.ID]feed.Checkpoint{}
	var mu sync.Mutex // guards what is returned
	look := func(id feed.ID, size int64) {
		head, headErr := s.Head(ctx, c, id, size)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(headErr, fs.ErrNotExist), errors.Is(headErr, feedhttp.ErrUnauthorized):
		case headErr != nil:
			err = headErr
			s.config.Logger.Error("head not read", "feed", id.String(), "request", c.Request, "error", headErr)
		default:
			if there = append(there, id); head.Size != size {
				differ[id] = head
			}
		}
	}
	var running sync.WaitGroup
	for id, size := range known {
		select {
		case s.helpers <- struct{}{}:
			running.Go(func() {
				defer func() { <-s.helpers }()
				look(id, size)
			})
		default:
			look(id, size) // thousands who ask at once wait for no more than themselves
		}
	}
	if running.Wait(); len(there) > 0 {
		err = nil
	}
	return differ, there, err
}

package server

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
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
	return s.news(ctx, c, known, wait, s.config.Fresh)
}

// news is Heads for who says how old a head may be that it begins with.
func (s *Server) news(ctx context.Context, c feedhttp.Caller, known map[feed.ID]int64, wait, old time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	end := time.NewTimer(wait)
	defer end.Stop()
	wake := make(chan struct{}, 1)
	for watching := false; ; {
		seen := s.look(ctx, c, known, old)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case len(seen.there) == 0 && len(seen.unread) > 0:
			for _, err := range seen.unread {
				return nil, err
			}
		case len(seen.differ) > 0 || wait <= 0:
			return seen.differ, nil
		case !watching:
			defer s.logs.Watch(slices.Collect(maps.Keys(seen.there)), wake)()
			// A feed that comes to be is for the next call.
			watching, known, old = true, seen.there, log.Any
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

// headsSeen are heads as a look at them found them.
type headsSeen struct {
	differ map[feed.ID]feed.Checkpoint // those that are not of the size known
	there  map[feed.ID]int64           // the size known of each that was read
	unread map[feed.ID]error
}

// look reads heads that are older than is said. One that is not there for the caller
// is in nothing that it returns. A feed that is damaged keeps nobody from news of the
// others.
func (s *Server) look(ctx context.Context, c feedhttp.Caller, known map[feed.ID]int64, old time.Duration) headsSeen {
	seen := headsSeen{map[feed.ID]feed.Checkpoint{}, map[feed.ID]int64{}, map[feed.ID]error{}}
	var mu sync.Mutex // guards seen
	look := func(id feed.ID, size int64) {
		head, err := s.headWithin(ctx, c, id, size, old)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, feedhttp.ErrUnauthorized):
		case err != nil:
			seen.unread[id] = err
			s.config.Logger.Error("head not read", "feed", id.String(), "request", c.Request, "error", err)
		default:
			if seen.there[id] = size; head.Size != size {
				seen.differ[id] = head
			}
		}
	}
	var running sync.WaitGroup
	left := len(known)
	for id, size := range known {
		if left--; left == 0 {
			look(id, size) // who asks for one feed needs nobody
			break
		}
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
	running.Wait()
	return seen
}

package server

import (
	"context"
	"errors"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/storage"
)

// forward passes a batch on to the server that committed to the feed last: what
// several servers are sent at the same time becomes one group there, where they
// would lose each other's swaps. It reports whether that one has answered; else
// the batch is committed here, which is as good. A batch is passed on once.
func (s *Server) forward(ctx context.Context, c feedhttp.Caller, b feed.Batch) (accepted feed.Accepted, answered bool, err error) {
	if s.peers == nil || c.Forwarded || s.mayAppend(c, b.Feed) != nil {
		return feed.Accepted{}, false, nil
	}
	owner, err := s.logs.Feed(b.Feed).Owner(ctx)
	if errors.Is(err, storage.ErrAway) { // it was waited for, and the commit would wait again
		return feed.Accepted{}, true, err
	}
	if err != nil || owner == s.config.Peering.ID {
		return feed.Accepted{}, false, nil // the commit says what is wrong
	}
	other := s.peers.alive(owner)
	if other == nil {
		return feed.Accepted{}, false, nil
	}
	limited, cancel := context.WithTimeout(ctx, feedhttp.PeerTimeout)
	defer cancel()
	accepted, err = other.client.Forward(limited, b, c.Request)
	switch {
	case err == nil:
		s.forwards.WithLabelValues(forwardTaken).Inc()
		// Whoever published here reads here what was published.
		s.grown(ctx, map[feed.ID]int64{b.Feed: accepted.Checkpoint.Size})
		return accepted, true, nil
	case feedhttp.IsRefusal(err):
		s.forwards.WithLabelValues(forwardRefused).Inc()
		return feed.Accepted{}, true, err
	}
	s.forwards.WithLabelValues(forwardFailed).Inc()
	s.peers.shun(other)
	s.config.Logger.Warn("another server did not take a batch, so it is committed here", "server", owner, "feed", b.Feed.String(), "request", c.Request, "error", err)
	return feed.Accepted{}, false, nil
}

package feedhttp

import (
	"fmt"
	"sync"

	"airlock/feed"
	"airlock/trust"
)

// ShareError reports a Space that has its share of something of which the server
// has only so much.
type ShareError struct{ What string }

func (e *ShareError) Error() string {
	return fmt.Sprintf("the Space has its share of the server's %s; the rest is for others", e.What)
}

// operator is who administrators count for, and what servers of the store tell each
// other: no Space is without an organisation.
var operator = trust.Space{Name: "operator"}

// sharer returns whom a request counts for where Spaces share: the Space that asks,
// or for who is none, the Space whose feed is asked for.
func (c *call) sharer() trust.Space {
	switch role := c.caller.Role; {
	case role == Enrolled:
		return c.caller.Space
	case role == Administrator, role == Peer && c.id == (feed.ID{}):
		return operator
	}
	return c.id.Space
}

// shares hands out what there is only so much of. Nobody gets more than was left
// free: one Space alone has half, of two that want all of it each a third, and who
// comes then still finds some (dynamic thresholds: Choudhury and Hahne, "Dynamic
// Queue Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM ToN 1998).
type shares struct {
	what    string
	metrics gauges

	mu      sync.Mutex // guards what follows
	max     int64
	now     int64
	held    map[trust.Space]int64
	refused int64 // that had their share
}

func newShares(what string, max int64) *shares {
	return &shares{what: what, metrics: shareGauges(what), max: max, held: map[trust.Space]int64{}}
}

// setMax changes how much there is; who holds more keeps it.
func (s *shares) setMax(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.max = n
}

// take takes n more for a Space; leave gives them back. It is a *ShareError where
// the Space would have more than is left, ErrBusy where there is not so much.
func (s *shares) take(who trust.Space, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := s.max - s.now
	if n > free {
		return fmt.Errorf("%w: all %s are taken", ErrBusy, s.what)
	}
	if s.held[who]+n > free {
		s.refused++
		return &ShareError{s.what}
	}
	s.held[who] += n
	s.now += n
	return nil
}

func (s *shares) leave(who trust.Space, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now -= n
	if s.held[who] -= n; s.held[who] == 0 {
		delete(s.held, who)
	}
}

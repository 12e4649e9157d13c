package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/storage"
	"airlock/trust"
)

// Quota is what the operator grants a Space; 0 is no bound.
type Quota struct {
	// Bytes bounds the entries of all its feeds, what they name, and what is
	// announced for them.
	Bytes int64 `json:"bytes,omitempty"`
	// Packages bounds those that were published in all its feeds, withdrawn ones
	// too.
	Packages int64 `json:"packages,omitempty"`
	// Requests bounds those of the Space, a second, on each server.
	Requests int64 `json:"requests,omitempty"`
}

// Bounds of a quota: what JSON holds exactly, and what a server may answer.
const (
	maxQuota    = 1 << 53
	maxRequests = 1_000_000
)

func (q Quota) check() error {
	for _, n := range []struct{ is, max int64 }{{q.Bytes, maxQuota - 1}, {q.Packages, maxQuota - 1}, {q.Requests, maxRequests}} {
		if n.is < 0 || n.is > n.max {
			return fmt.Errorf("quota: %d, want 0 to %d", n.is, n.max)
		}
	}
	return nil
}

// Quota returns what a Space is granted. Administrators may ask.
func (s *Server) Quota(ctx context.Context, c feedhttp.Caller, space trust.Space) (Quota, error) {
	if err := mayAdminister(c); err != nil {
		return Quota{}, err
	}
	b, err := s.access.newest(ctx, bucketOf(space))
	if err != nil {
		return Quota{}, err
	}
	return quotaOf(b, space), nil
}

func quotaOf(b *loadedBucket, space trust.Space) Quota {
	if of := b.space(space); of != nil && of.Quota != nil {
		return *of.Quota
	}
	return Quota{}
}

// SetQuota grants a Space, which must be admitted, that much. All servers heed it
// within a second; what is there stays. Administrators may.
func (s *Server) SetQuota(ctx context.Context, c feedhttp.Caller, space trust.Space, q Quota) error {
	err := s.setQuota(ctx, c, space, q)
	s.audit(ctx, c, "quota", space.String(), err, "bytes", q.Bytes, "packages", q.Packages, "requests", q.Requests)
	return err
}

func (s *Server) setQuota(ctx context.Context, c feedhttp.Caller, space trust.Space, q Quota) error {
	if err := mayAdminister(c); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return &feedhttp.RequestError{Why: err.Error()}
	}
	if _, err := s.admitted(ctx, space); err != nil {
		return err
	}
	return s.access.change(ctx, bucketOf(space), func(b *accessBucket) error {
		if of := b.edit(space); q == (Quota{}) {
			of.Quota = nil
		} else {
			of.Quota = &q
		}
		return nil
	})
}

// Usage returns what the feeds of a Space take. Administrators may ask.
func (s *Server) Usage(ctx context.Context, c feedhttp.Caller, space trust.Space) (log.Usage, error) {
	if err := mayAdminister(c); err != nil {
		return log.Usage{}, err
	}
	feeds, err := s.usageOf(ctx, space)
	return sumOf(feeds), err
}

// usageAtOnce is of how many feeds the usage is asked at the same time.
const usageAtOnce = 8

// usageOf returns what each feed of a Space takes.
func (s *Server) usageOf(ctx context.Context, space trust.Space) (map[feed.ID]log.Usage, error) {
	ids, err := s.logs.List(ctx, space)
	if err != nil {
		return nil, err
	}
	out := make(map[feed.ID]log.Usage, len(ids))
	var mu sync.Mutex // guards out
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(usageAtOnce)
	for _, id := range ids {
		g.Go(func() error {
			u, err := s.logs.Feed(id).Usage(ctx)
			mu.Lock()
			defer mu.Unlock()
			out[id] = u
			return err
		})
	}
	return out, outward(g.Wait())
}

// sumOf adds up what feeds take. What two of them name counts twice.
func sumOf(feeds map[feed.ID]log.Usage) (sum log.Usage) {
	for _, u := range feeds {
		sum = plus(sum, u, 1)
	}
	return sum
}

// plus adds u to sum so many times.
func plus(sum, u log.Usage, times int64) log.Usage {
	return log.Usage{Packages: sum.Packages + times*u.Packages, Bytes: sum.Bytes + times*u.Bytes}
}

// quotas is what a server counts for the Spaces that have one.
type quotas struct {
	mu    sync.Mutex
	used  map[trust.Space]*spaceUse
	rates map[trust.Space]*rate
}

// spaceUse is what a Space takes: the feed that is added to is looked at each
// time, the others as they were at most useFresh ago, or as this server left them.
type spaceUse struct {
	// mu is held while a batch is checked. What is committed meanwhile is still
	// pending then, and so counted twice rather than not at all.
	mu      sync.Mutex
	readAt  time.Time
	feeds   map[feed.ID]log.Usage
	pending log.Usage // of batches on their way
}

const useFresh = 10 * time.Second

// use returns what is counted for a Space.
func (q *quotas) use(space trust.Space) *spaceUse {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[space] == nil {
		q.used[space] = &spaceUse{}
	}
	return q.used[space]
}

// look brings up what is known of a feed and of the others of its Space. The
// caller holds mu.
func (u *spaceUse) look(ctx context.Context, s *Server, id feed.ID) error {
	if u.feeds == nil || !within(s.config.Now(), u.readAt, useFresh) {
		feeds, err := s.usageOf(ctx, id.Space)
		if err != nil {
			return err
		}
		u.feeds, u.readAt = feeds, s.config.Now()
	}
	own, err := s.logs.Feed(id).Usage(ctx)
	if err != nil {
		return outward(err)
	}
	u.feeds[id] = own
	return nil
}

// checkQuota refuses a batch with which its Space would have more than it is
// granted, and counts it as on its way until in.settle is called. What other
// servers take in at the same moment is not seen, so a Space may come to have a
// little more.
func (s *Server) checkQuota(ctx context.Context, b feed.Batch, in *incoming) error {
	bucket, err := s.access.bucket(ctx, bucketOf(b.Feed.Space))
	if err != nil {
		return err
	}
	q := quotaOf(bucket, b.Feed.Space)
	if q.Bytes == 0 && q.Packages == 0 || !in.grows() {
		return nil
	}
	use := s.quotas.use(b.Feed.Space)
	use.mu.Lock()
	defer use.mu.Unlock()
	if err := use.look(ctx, s, b.Feed); err != nil {
		return err
	}
	more, used := in.adds(s.logs.Feed(b.Feed)), plus(sumOf(use.feeds), use.pending, 1)
	used.Bytes += s.expected.bytes(b.Feed.Space, in.named, s.config.Now())
	for _, n := range []struct {
		what            string
		used, more, max int64
	}{
		{"bytes", used.Bytes, more.Bytes, q.Bytes},
		{"packages", used.Packages, more.Packages, q.Packages},
	} {
		if n.max > 0 && n.more > 0 && n.used+n.more > n.max {
			return &feedhttp.QuotaError{Space: b.Feed.Space.String(), What: n.what, Max: n.max, Want: n.used + n.more}
		}
	}
	use.pending = plus(use.pending, more, 1)
	in.settle = func(committed bool) {
		use.mu.Lock()
		defer use.mu.Unlock()
		if use.pending = plus(use.pending, more, -1); committed {
			use.feeds[b.Feed] = plus(use.feeds[b.Feed], more, 1)
		}
	}
	return nil
}

// grows reports whether a batch is one that a quota is for. Who signs, and that
// something counts no longer, a Space can always say.
func (in *incoming) grows() bool {
	return slices.ContainsFunc(in.submissions, func(sub log.Submission) bool {
		return sub.Entry.What == feed.IsPublication || sub.Entry.What == feed.IsOther
	})
}

// adds returns what a batch brings that its feed is not known to have.
func (in *incoming) adds(l *log.Log) (more log.Usage) {
	for _, sub := range in.submissions {
		more.Bytes += int64(len(sub.Attestation.Bytes()))
		if sub.Entry.What == feed.IsPublication && !l.Knows(sub.Entry.Manifest) {
			more.Packages++
		}
	}
	for d, size := range in.named {
		if !l.Knows(d) {
			more.Bytes += size
		}
	}
	return more
}

// rate lets a Space ask so many times a second, evenly or in a burst of a second's
// worth: the generic cell rate algorithm (ITU-T I.371).
type rate struct {
	mu  sync.Mutex
	due time.Time // when all that was asked would have come evenly
}

func (r *rate) enter(now time.Time, max int64) error {
	each := time.Second / time.Duration(max)
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.due
	if due.Before(now) || due.Sub(now) > 2*time.Second { // the clock was set back
		due = now
	}
	if over := due.Add(each).Sub(now) - time.Second; over > 0 {
		return &feedhttp.RateError{Max: max, After: over}
	}
	r.due = due.Add(each)
	return nil
}

// Enter counts a request of a Space that is granted only so many a second.
func (s *Server) Enter(ctx context.Context, c feedhttp.Caller) error {
	if c.Role != feedhttp.Enrolled {
		return nil
	}
	b, err := s.access.bucket(ctx, bucketOf(c.Space))
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrAway, err)
	}
	q := quotaOf(b, c.Space)
	if q.Requests == 0 {
		return nil
	}
	s.quotas.mu.Lock()
	r := s.quotas.rates[c.Space]
	if r == nil {
		r = &rate{}
		s.quotas.rates[c.Space] = r
	}
	s.quotas.mu.Unlock()
	return r.enter(s.config.Now(), q.Requests)
}

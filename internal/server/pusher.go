package server

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"airlock/feed"
	"airlock/signing"
)

// Pushing is how a server pushes; see Push.
type Pushing struct {
	// On is set for a server that pushes. One of those that work on a store does.
	On bool
	// ID is the name of this server, kept in its home; see Peering.
	ID string
	// To are the addresses besides public ones to which it may.
	To []netip.Prefix
	// GiveUp is for how long a push that fails is tried again; 24 h.
	GiveUp time.Duration
	// Every is how often the holder of the lease says that it is there; 3 s. Another
	// server pushes when it has not for four times as long.
	Every time.Duration
	// Retry is the wait after the first failure, doubled with each up to 5 minutes;
	// 1 s.
	Retry   time.Duration
	Version string // shown to inboxes
}

const (
	pushLeaseKey = "push/lease"
	// pushLook is how often the list is looked at.
	pushLook = time.Second
	// pushRelist is how often feeds that are new are looked for.
	pushRelist = 5 * time.Second
	// pushAtOnce is how many streams are sent at a time.
	pushAtOnce = 16
)

// pusher pushes while this server holds the lease.
type pusher struct {
	server  *Server
	lease   *lease
	room    chan struct{} // for those who send
	running sync.WaitGroup
	end     context.CancelFunc

	mu      sync.Mutex
	runners map[string]*pushRunner // by id

	listing sync.Mutex // guards what follows
	all     []feed.ID  // of the store
	listed  time.Time
}

func (s *Server) startPusher() *pusher {
	c := &s.config.Pushing
	c.GiveUp, c.Every, c.Retry = cmp.Or(c.GiveUp, 24*time.Hour), cmp.Or(c.Every, leaseEvery), cmp.Or(c.Retry, time.Second)
	ctx, end := context.WithCancel(context.Background())
	p := &pusher{server: s, lease: newLease(s.config.Store.Cells, pushLeaseKey, c.ID, c.Every), room: make(chan struct{}, pushAtOnce), end: end, runners: map[string]*pushRunner{}}
	p.running.Go(func() { p.run(ctx) })
	return p
}

// close stops pushing, and lets another server go on at once.
func (p *pusher) close() {
	p.end()
	p.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := p.lease.release(ctx); err != nil {
		p.server.config.Logger.Debug("lease not given back", "error", err)
	}
}

// run keeps the lease while there is something to push, and a runner for each push
// while it has it.
func (p *pusher) run(ctx context.Context) {
	defer p.keepOnly(nil)
	tick := time.NewTicker(min(pushLook, p.lease.every))
	defer tick.Stop()
	var beaten time.Time
	for {
		l, _, err := p.server.pushes(ctx)
		switch {
		case err != nil:
			p.warn(ctx, "pushes not read", err)
		case len(l.Pushes) == 0:
			err = p.lease.release(ctx)
		case time.Since(beaten) >= p.lease.every:
			beaten = time.Now()
			err = p.lease.beat(ctx)
		}
		if err != nil {
			p.warn(ctx, "lease of pushes", err)
		}
		if term := p.lease.term(); term == 0 || err == nil && len(l.Pushes) == 0 {
			p.keepOnly(nil)
		} else if l != nil {
			p.keepOnly(l.Pushes)
			p.begin(ctx, term, l.Pushes)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pusher) warn(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		p.server.config.Logger.Warn(what, "error", err)
	}
}

// keepOnly ends the runners of pushes that are not listed as they were, and those
// that ended themselves. It waits for them: nobody pushes where another server may.
func (p *pusher) keepOnly(listed []pushRecord) {
	said := map[string]int{}
	for _, record := range listed {
		said[record.ID] = record.Said
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, r := range p.runners {
		if said[id] != r.record.Said {
			r.end()
			<-r.gone
		}
		select {
		case <-r.gone:
			delete(p.runners, id)
		default:
		}
	}
}

// begin starts what does not run.
func (p *pusher) begin(ctx context.Context, term int64, listed []pushRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, record := range listed {
		if p.runners[record.ID] != nil {
			continue
		}
		r := &pushRunner{pusher: p, record: record, term: term, gone: make(chan struct{})}
		r.state.Store(new(string))
		var own context.Context
		own, r.end = context.WithCancel(ctx)
		p.runners[record.ID] = r
		p.running.Go(func() {
			defer close(r.gone)
			defer r.end()
			if err := r.run(own); err != nil {
				p.warn(own, "push ended, and begins again", errors.Join(err))
			}
		})
	}
}

// feeds returns all feeds of the store, as they were a moment ago.
func (p *pusher) feeds(ctx context.Context) ([]feed.ID, error) {
	p.listing.Lock()
	defer p.listing.Unlock()
	if time.Since(p.listed) < pushRelist {
		return p.all, nil
	}
	all, err := p.server.logs.List(ctx)
	if err == nil {
		p.all, p.listed = all, time.Now()
	}
	return all, err
}

// count returns how many pushes of a state this server is at: none where another one
// pushes.
func (p *pusher) count(state string) (n int) {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.runners {
		if cmp.Or(*r.state.Load(), Pushed) == state {
			n++
		}
	}
	return n
}

// problem makes of an error what a cursor may hold.
func problem(err error) string { return signing.Printable(err.Error(), maxProblem) }

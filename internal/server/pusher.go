package server

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"airlock/internal/agent"
	"airlock/signing"
)

// Pushing is how a server pushes; see Push.
type Pushing struct {
	// On is set for a server that pushes. One of those that work on a store does.
	On bool
	// Self is this server among those of the store. Its ID is that of its home, and
	// where it has none it makes one; its Patience is 8 s unless it says another.
	Self agent.Agent
	// To are the addresses besides public ones to which it may.
	To []netip.Prefix
	// GiveUp is for how long a push that fails is tried again; 24 h.
	GiveUp time.Duration
	// Retry is the wait after the first failure, doubled with each up to 5 minutes;
	// 1 s.
	Retry   time.Duration
	Version string // shown to inboxes
}

const (
	// pushBoard is the cell in which the servers of a store agree which of them
	// pushes: a board of theirs as Spaces' agents have them, with this work alone.
	pushBoard = "push/board"
	pushWork  = "servers/push"
	// pushPatience is how long the one that pushes may say nothing, and looksIn how
	// often each looks within that; see agent.Desk.
	pushPatience = 8 * time.Second
	looksIn      = 4
	// pushLook is how often the list is looked at.
	pushLook = time.Second
	// pushAtOnce is how many streams are sent at a time.
	pushAtOnce = 16
)

// pusher pushes while that is the work of this server.
type pusher struct {
	server  *Server
	desk    *agent.Desk
	room    chan struct{} // for those who send
	running sync.WaitGroup
	end     context.CancelFunc

	mu      sync.Mutex
	runners map[string]*pushRunner // by id
}

func (s *Server) startPusher() *pusher {
	c := &s.config.Pushing
	c.GiveUp, c.Retry = cmp.Or(c.GiveUp, 24*time.Hour), cmp.Or(c.Retry, time.Second)
	c.Self.ID, c.Self.Patience = cmp.Or(c.Self.ID, agent.NewID()), cmp.Or(c.Self.Patience, pushPatience)
	ctx, end := context.WithCancel(context.Background())
	p := &pusher{server: s, desk: agent.NewDesk(boardCell{s.config.Store.Cells, pushBoard}, c.Self, time.Now), room: make(chan struct{}, pushAtOnce), end: end, runners: map[string]*pushRunner{}}
	p.running.Go(func() { p.run(ctx) })
	return p
}

// close stops pushing, and lets another server go on at once.
func (p *pusher) close() {
	p.end()
	p.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := p.desk.Leave(ctx); err != nil {
		p.server.config.Logger.Debug("not said to the other servers that this one pushes no more", "error", err)
	}
}

// run looks whose work it is to push while there is something, and keeps a runner for
// each push while it is this server's.
func (p *pusher) run(ctx context.Context) {
	defer p.keepOnly(nil, 0)
	every := p.server.config.Pushing.Self.Patience / looksIn
	tick := time.NewTicker(min(pushLook, every))
	defer tick.Stop()
	var looked time.Time
	term := int64(0)
	for {
		l, _, err := p.server.pushes(ctx)
		switch {
		case err != nil:
		case len(l.Pushes) == 0:
			err = p.desk.Leave(ctx)
			term = 0
		case time.Since(looked) >= every:
			looked = time.Now()
			term, err = p.look(ctx, term)
		}
		if err != nil && ctx.Err() == nil {
			p.server.config.Logger.Warn("what is to be pushed is not known, or by whom", "error", err)
		}
		if term == 0 {
			p.keepOnly(nil, 0)
		} else if l != nil {
			p.keepOnly(l.Pushes, term)
			p.begin(ctx, term, l.Pushes)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look returns the number of the term for which it is this server's work to push, 0
// where it is another one's, and as it was where that cannot be asked: what is done
// under a term that is over comes to nothing; see pushCursor.
func (p *pusher) look(ctx context.Context, was int64) (int64, error) {
	// What an earlier process of this server had is free: one runs with a home.
	all, err := p.desk.Look(ctx, map[string]string{pushWork: p.server.config.Pushing.Self.ID})
	switch {
	case err != nil:
		return was, fmt.Errorf("store: %s: %w", pushBoard, err)
	case !all[pushWork].Held:
		return 0, nil
	}
	return all[pushWork].Fence, nil
}

// keepOnly ends the runners of pushes that are not listed as they were, those of
// another term, and those that ended themselves. It waits for them: nobody pushes where another server may.
func (p *pusher) keepOnly(listed []pushRecord, term int64) {
	said := map[string]int{}
	for _, record := range listed {
		said[record.ID] = record.Said
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, r := range p.runners {
		if said[id] != r.record.Said || r.term != term {
			r.end()
			<-r.gone
		}
		select {
		case <-r.gone:
			delete(p.runners, id)
		default:
		}
	}
	p.server.pushFeeds.keepOnly(listed)
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
		var own context.Context
		own, r.end = context.WithCancel(ctx)
		p.runners[record.ID] = r
		p.running.Go(func() {
			defer close(r.gone)
			defer r.end()
			if err := r.run(own); err != nil && own.Err() == nil {
				p.server.config.Logger.Warn("push ended, and begins again", "push", record.ID, "error", err)
			}
		})
	}
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
		if is := r.state.Load(); is != nil && *is == state || is == nil && state == Untried {
			n++
		}
	}
	return n
}

// problem makes of an error what a cursor may hold.
func problem(err error) string { return signing.Printable(err.Error(), maxProblem) }

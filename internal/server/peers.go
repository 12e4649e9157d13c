package server

import (
	"cmp"
	"context"
	"crypto/subtle"
	"net/url"
	"sync"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/storage"
	"airlock/trust"
)

// Peering is how a server and others of the same store know each other.
type Peering struct {
	// ID is the name of this server, kept in its home; empty for one that the
	// others are not told of and that asks none of them.
	ID string
	// Address is the URL at which the others reach it.
	Address string
	// Pin returns the thumbprint of the TLS key that it shows there; nil for one
	// that the system's authorities vouch for.
	Pin     func() storage.Digest
	Version string
	// Every is how often it says that it runs and looks who else does; 5 s. A
	// server that says nothing for four times as long counts as gone: by the clock
	// of who looks, not by its own.
	Every time.Duration
}

// How a server looks after the others.
const (
	beatEvery = 5 * time.Second
	beatsGone = 4
	// shunned is how long a server that did not answer is not asked again.
	shunned = 5 * time.Second
	// tellPause is the least time between two tellings, so that many commits make
	// one.
	tellPause = 20 * time.Millisecond
)

// peers are the other servers of the store. Nothing rests on them: what they tell
// is read in the store, and what they do not take is committed here.
type peers struct {
	server *Server
	self   registration
	pin    func() storage.Digest
	tag    string // of the own cell
	token  string // that others show us
	every  time.Duration

	running sync.WaitGroup
	stop    context.CancelFunc
	ctx     context.Context

	mu    sync.Mutex // guards what follows
	known map[string]*peer
}

// peer is another server.
type peer struct {
	registration
	client *feedhttp.Client
	moved  time.Time // when its registration last changed, as seen here
	bad    time.Time // when it last failed
	news   map[feed.ID]int64
	kick   chan struct{} // has room for one
	end    context.CancelFunc
}

func (s *Server) startPeers(c Peering) (*peers, error) {
	p := &peers{server: s, known: map[string]*peer{}, every: cmp.Or(c.Every, beatEvery),
		pin: c.Pin, self: registration{ID: c.ID, Started: s.config.Now().Unix(), Version: c.Version}}
	var err error
	if p.token, err = peerToken(s.config.LogKey, c.ID); err != nil {
		return nil, err
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.look(c.Address)
	p.running.Go(func() {
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.look(c.Address)
			case <-p.ctx.Done():
				return
			}
		}
	})
	return p, nil
}

// close tells the others that this server leaves.
func (p *peers) close() {
	p.stop()
	p.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), feedhttp.PeerTimeout)
	defer cancel()
	if err := p.beat(ctx, ""); err != nil {
		p.server.config.Logger.Debug("not said to the other servers that this one leaves", "error", err)
	}
}

// look says that this server runs, and looks who else does.
func (p *peers) look(address string) {
	ctx, cancel := context.WithTimeout(p.ctx, max(p.every, feedhttp.PeerTimeout))
	defer cancel()
	err := p.enlist(ctx)
	if err == nil {
		err = p.beat(ctx, address)
	}
	var others map[string]registration
	if err == nil {
		others, err = p.others(ctx)
	}
	if err != nil {
		p.server.config.Logger.Debug("other servers not looked at", "error", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, r := range others {
		p.note(id, r)
	}
	for id, known := range p.known {
		if _, there := others[id]; !there || known.Address == "" || p.gone(known) {
			known.end()
			if !there {
				delete(p.known, id)
			}
		}
	}
}

// note takes in what another server says of itself. The caller holds mu.
func (p *peers) note(id string, r registration) {
	known := p.known[id]
	if known != nil && known.registration == r {
		return
	}
	if known != nil && known.Address == r.Address && known.Pin == r.Pin && known.client != nil && !p.gone(known) {
		known.registration, known.moved = r, time.Now()
		return
	}
	if known != nil {
		known.end()
	}
	next := &peer{registration: r, moved: time.Now(), kick: make(chan struct{}, 1), news: map[feed.ID]int64{}, end: func() {}}
	p.known[id] = next
	if r.Address == "" {
		return
	}
	client, err := p.dial(r)
	if err != nil {
		p.server.config.Logger.Warn("another server cannot be reached", "server", id, "address", r.Address, "error", err)
		return
	}
	next.client = client
	var ctx context.Context
	ctx, next.end = context.WithCancel(p.ctx)
	p.running.Go(func() { p.tellAll(ctx, id, next) })
}

// gone reports whether a server has said nothing for too long.
func (p *peers) gone(other *peer) bool { return time.Since(other.moved) > beatsGone*p.every }

func (p *peers) dial(r registration) (*feedhttp.Client, error) {
	base, err := url.Parse(r.Address)
	if err != nil {
		return nil, err
	}
	token, err := peerToken(p.server.config.LogKey, r.ID)
	if err != nil {
		return nil, err
	}
	return feedhttp.NewClient(feedhttp.ClientConfig{Base: base, Token: token, Pin: r.Pin, UserAgent: "airlock-server/" + p.self.Version,
		Retry: feedhttp.Retry{Attempts: 1}})
}

// alive returns a server that is worth asking, nil where there is none.
func (p *peers) alive(id string) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	other := p.known[id]
	if other == nil || !p.answers(other) {
		return nil
	}
	return other
}

// count returns how many servers are worth asking.
func (p *peers) count() (n int64) {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.known {
		if p.answers(other) {
			n++
		}
	}
	return n
}

// answers reports whether a server is worth asking. The caller holds mu.
func (p *peers) answers(other *peer) bool {
	return other.client != nil && !p.gone(other) && time.Since(other.bad) >= shunned
}

func (p *peers) shun(other *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	other.bad = time.Now()
}

// tell tells the other servers, soon and at most once, that a feed has grown.
func (p *peers) tell(id feed.ID, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.known {
		if other.client == nil || len(other.news) >= feedhttp.MaxHeads {
			continue
		}
		other.news[id] = max(other.news[id], size)
		select {
		case other.kick <- struct{}{}:
		default:
		}
	}
}

// tellAll tells one server what is new until ctx ends. What it does not hear it
// finds itself. The server's id comes apart from what it says of itself, which
// [peers.note] may be changing.
func (p *peers) tellAll(ctx context.Context, id string, other *peer) {
	for {
		select {
		case <-other.kick:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		news := other.news
		other.news = map[feed.ID]int64{}
		p.mu.Unlock()
		if p.alive(id) == other && len(news) > 0 {
			limited, cancel := context.WithTimeout(ctx, feedhttp.PeerTimeout)
			if err := other.client.Grown(limited, news); err != nil && ctx.Err() == nil {
				p.server.config.Logger.Debug("another server was not told", "server", id, "error", err)
				p.shun(other)
			}
			cancel()
		}
		select {
		case <-time.After(tellPause):
		case <-ctx.Done():
			return
		}
	}
}

// shows reports whether a token is the one that other servers of the store show.
func (p *peers) shows(token string) bool {
	return p != nil && subtle.ConstantTimeCompare([]byte(token), []byte(p.token)) == 1
}

// Grown takes the hint of another server that feeds have grown.
func (s *Server) Grown(ctx context.Context, c feedhttp.Caller, sizes map[feed.ID]int64) error {
	if c.Role != feedhttp.Peer {
		if err := s.mustBeKnown(c); err != nil {
			return err
		}
		return &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleCaller, Thing: c.String(), Why: "is no other server of this store"}
	}
	s.grown(ctx, sizes)
	return nil
}

// grown takes in what another server committed.
func (s *Server) grown(ctx context.Context, sizes map[feed.ID]int64) {
	for id := range sizes {
		s.pushFeeds.note(id)
	}
	s.logs.Grown(ctx, sizes)
}

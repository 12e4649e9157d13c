package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/bench/peers"
)

const (
	// activeEach is the share of the Spaces that publish: one of so many.
	activeEach = 100
	// activeEvery is how often each of these publishes.
	activeEvery = 10 * time.Second
	// pollsAtOnce bounds the requests that wait for their answers.
	pollsAtOnce = 32
	// manyRounds is the number of rounds.
	manyRounds = 2
)

// many is a server whose store keeps the feeds of many Spaces.
type many struct {
	*bench
	*population
	active            []*author
	known             []map[feed.ID]int64 // by each Space, of the feeds that it follows
	web               *http.Client
	start, poll, wait side
}

// measureMany has most of many Spaces ask for news that there are not.
func measureMany(ctx context.Context, b *bench) []row {
	rows := []row{{name: "many", title: fmt.Sprintf("%d Spaces with %d feeds each, 1 %% of them active", b.spaces, len(populationFeeds))}}
	m, err := b.openMany(ctx)
	if err != nil {
		return failed(rows, err)
	}
	for i := range min(b.rounds, manyRounds) {
		b.say("many: round %d", i+1)
		if err := m.round(ctx); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "start of serve until it is ready", unit: "s", ours: m.start, target: below(5)},
		{what: "the server's CPU for a poll of three feeds", unit: "ms", ours: m.poll, target: below(1)},
		{what: fmt.Sprintf("the server's CPU for an agent that waits for three feeds, in %s", b.pollTime), unit: "ms", ours: m.wait, target: below(1)},
	}
	rows[0].note("%d rounds. In %s each Space asks once for the heads of the three feeds of another Space, with its own token; there is news for those who follow the %d that publish, one package every %s each. From the server's CPU that is taken which as much publishing alone needs in as long. All Spaces have asked once before: what the server keeps of them is in its peak. The Spaces share %d connections. Then agents of %d Spaces wait, each on a connection of its own, and ask again every %s; nobody publishes.",
		min(b.rounds, manyRounds), b.pollTime, len(m.active), activeEvery, pollsAtOnce, b.waiters, b.pollTime)
	return rows
}

func (b *bench) openMany(ctx context.Context) (*many, error) {
	p, err := b.population(ctx)
	if err != nil {
		return nil, err
	}
	const name = "airlock serve"
	m := &many{bench: b, population: p, known: make([]map[feed.ID]int64, len(p.tokens)), start: side{name: name}, poll: side{name: name}, wait: side{name: name},
		web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pollsAtOnce}}}
	for i := 0; i < len(p.tokens); i += activeEach {
		a, err := p.author(i, populationFeeds[0])
		if err != nil {
			return nil, err
		}
		m.active = append(m.active, a)
	}
	for i := range m.known {
		m.known[i] = p.unknown(i)
	}
	return m, nil
}

// unknown are the feeds that a Space follows: those of another one, of which it knows
// nothing yet.
func (p *population) unknown(i int) map[feed.ID]int64 {
	out := map[feed.ID]int64{}
	for _, name := range populationFeeds {
		out[feed.ID{Space: populated((i + 1) % len(p.tokens)), Name: name}] = 0
	}
	return out
}

func (m *many) round(ctx context.Context) error {
	begin := time.Now()
	server, err := m.serve(ctx)
	if err != nil {
		return err
	}
	defer server.Stop()
	defer m.web.CloseIdleConnections()
	if err := awaitReady(ctx, server.Addr); err != nil {
		return err
	}
	if err := addUsage(&m.start, server, time.Since(begin).Seconds()); err != nil {
		return err
	}
	if err := m.polls(ctx, server); err != nil {
		return err
	}
	alone, err := m.cpu(ctx, server, m.publishes)
	if err != nil {
		return err
	}
	both, err := m.cpu(ctx, server, m.publishes, m.polls)
	if err != nil {
		return err
	}
	if err := addShare(&m.poll, server, both-alone, len(m.known)); err != nil {
		return err
	}
	return m.waits(ctx, server)
}

// waits has agents wait for news that there is not.
func (m *many) waits(ctx context.Context, server *peers.Server) error {
	_, stop, err := startHelper(ctx, 0, "idle", m.airlock, m.dir, server.Addr, strconv.Itoa(m.bench.waiters), m.pollTime.String())
	if err != nil {
		return err
	}
	defer stop()
	if err := m.allWait(ctx, server.Addr, m.bench.waiters); err != nil {
		return err
	}
	rest := func(ctx context.Context, _ *peers.Server) error { pause(ctx, m.pollTime); return nil }
	if _, err := m.cpu(ctx, server, rest); err != nil { // what connecting left behind is cleaned up
		return err
	}
	cpu, err := m.cpu(ctx, server, rest)
	if err != nil {
		return err
	}
	return addShare(&m.wait, server, cpu, m.bench.waiters)
}

// addShare adds what each of n took of seconds of a server's CPU, in milliseconds.
func addShare(to *side, server *peers.Server, cpu float64, n int) error {
	u, err := server.Usage()
	to.add(1000*cpu/float64(n), cpu, mib(u.PeakKiB))
	return err
}

// cpu returns the seconds of the server's CPU that things take which are done at
// the same time.
func (m *many) cpu(ctx context.Context, server *peers.Server, things ...func(context.Context, *peers.Server) error) (float64, error) {
	before, err := server.Usage()
	if err != nil {
		return 0, err
	}
	group, inner := errgroup.WithContext(ctx)
	for _, do := range things {
		group.Go(func() error { return do(inner, server) })
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	after, err := server.Usage()
	return (after.CPU - before.CPU).Seconds(), err
}

// polls has each Space ask once.
func (m *many) polls(ctx context.Context, server *peers.Server) error {
	return spread(ctx, len(m.known), m.pollTime, func(ctx context.Context, i int) error {
		client, err := m.client(server.Addr, func(c *feedhttp.ClientConfig) { c.Token, c.HTTP = m.tokens[i], m.web })
		if err != nil {
			return err
		}
		news, err := client.Heads(ctx, m.known[i], 0)
		for id, head := range news {
			m.known[i][id] = head.Size
		}
		return err
	})
}

// publishes has those that are active publish in turn.
func (m *many) publishes(ctx context.Context, server *peers.Server) error {
	n := int(int64(len(m.active)) * int64(m.pollTime) / int64(activeEvery))
	return spread(ctx, n, m.pollTime, func(ctx context.Context, i int) error {
		a := m.active[i%len(m.active)]
		client, err := a.client(server.Addr, func(c *feedhttp.ClientConfig) { c.HTTP = m.web })
		if err != nil {
			return err
		}
		return (&grown{author: a}).publishOne(ctx, client)
	})
}

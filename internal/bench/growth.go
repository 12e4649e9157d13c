package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/bench/peers"
	"airlock/internal/bench/peers/proc"
)

// readThrough is how many entries a reader asks a server for before its memory
// is looked at.
const readThrough = 100_000

// warmUp is the number of publishes that do not count.
const warmUp = 20

// coldStart starts a server and stops the clock at the first checkpoint that
// is signed by the feed's key and has all entries, and again at the first
// publish that is acknowledged. The caller stops the server.
func (g *grown) coldStart(ctx context.Context, start, first *side) (*peers.Server, error) {
	begin := time.Now()
	server, err := g.serve(ctx)
	if err != nil {
		return nil, err
	}
	err = func() error {
		client, err := g.client(server.Addr, nil)
		if err != nil {
			return err
		}
		got, err := client.Checkpoint(ctx, g.id)
		if err != nil {
			return err
		}
		head, err := feed.OpenCheckpoint(got.Note, g.id.Origin(1), g.logKey)
		if err != nil {
			return err
		}
		if head.Size != g.size {
			return fmt.Errorf("feed of %d entries, want %d", head.Size, g.size)
		}
		if err := addUsage(start, server, time.Since(begin).Seconds()); err != nil {
			return err
		}
		if err := g.publishOne(ctx, client); err != nil {
			return err
		}
		return addUsage(first, server, time.Since(begin).Seconds())
	}()
	if err != nil {
		server.Stop()
		return nil, err
	}
	return server, nil
}

// addUsage adds a figure and what the server used since it began.
func addUsage(to *side, server *peers.Server, value float64) error {
	u, err := server.Usage()
	to.add(value, u.CPU.Seconds(), mib(u.PeakKiB))
	return err
}

// publishOne publishes a new package and checks that it is in.
func (g *grown) publishOne(ctx context.Context, client *feedhttp.Client) error {
	b, err := g.batch(ctx, []pkg{{"live-" + strings.ToLower(rand.Text()), "1.0.0"}})
	if err != nil {
		return err
	}
	accepted, err := client.Publish(ctx, b)
	if err != nil {
		return err
	}
	g.size = accepted.Checkpoint.Size
	return accepted.Verify(g.id, g.logKey, b.Statements)
}

// growthRound measures two running servers, in turns.
func (b *bench) growthRound(ctx context.Context, small, large *grown, servers [2]*peers.Server, poll, warm, resident *growth) error {
	feeds := [2]*grown{small, large}
	var clients [2]*feedhttp.Client
	var before [2]proc.Usage
	for i, g := range feeds {
		bytes, err := g.pollBytes(ctx, servers[i].Addr)
		if err != nil {
			return err
		}
		[]*side{&poll.small, &poll.large}[i].values = append([]*side{&poll.small, &poll.large}[i].values, float64(bytes))
		if clients[i], err = g.client(servers[i].Addr, nil); err != nil {
			return err
		}
		if before[i], err = servers[i].Usage(); err != nil {
			return err
		}
	}
	var took [2][]float64
	for n := range warmUp + b.publish {
		for i, g := range feeds {
			begin := time.Now()
			if err := g.publishOne(ctx, clients[i]); err != nil {
				return err
			}
			if n >= warmUp {
				took[i] = append(took[i], time.Since(begin).Seconds()*1000)
			}
		}
	}
	for i, g := range feeds {
		after, err := servers[i].Usage()
		if err != nil {
			return err
		}
		[]*side{&warm.small, &warm.large}[i].add(median(took[i]), (after.CPU - before[i].CPU).Seconds(), mib(after.PeakKiB))
		if err := g.read(ctx, clients[i]); err != nil {
			return err
		}
		held, err := proc.Resident(servers[i].PID())
		if err != nil {
			return err
		}
		if err := addUsage([]*side{&resident.small, &resident.large}[i], servers[i], mib(held)); err != nil {
			return err
		}
	}
	return nil
}

// read goes through entries as a follower does, without looking at them.
func (g *grown) read(ctx context.Context, client *feedhttp.Client) error {
	for _, err := range client.Segments(ctx, g.id, 0, min(g.size, readThrough)) {
		if err != nil {
			return err
		}
	}
	return nil
}

// pollBytes is what the client's second request for the checkpoint and its
// answer take on the connection.
func (g *grown) pollBytes(ctx context.Context, addr string) (int64, error) {
	var total atomic.Int64
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
		return &countingConn{c, &total}, err
	}
	transport := &http.Transport{DialContext: dial, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client, err := g.client(addr, func(c *feedhttp.ClientConfig) { c.HTTP = &http.Client{Transport: transport} })
	if err != nil {
		return 0, err
	}
	if _, err := client.Checkpoint(ctx, g.id); err != nil {
		return 0, err
	}
	first := total.Swap(0)
	head, err := client.Checkpoint(ctx, g.id)
	if err == nil && head.Size != g.size {
		err = fmt.Errorf("poll: %d entries, want %d", head.Size, g.size)
	}
	if again := total.Load(); err == nil && again >= first {
		err = fmt.Errorf("poll: %d bytes with nothing new, and %d before", again, first)
	}
	return total.Load(), err
}

type countingConn struct {
	net.Conn
	total *atomic.Int64
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.total.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.total.Add(int64(n))
	return n, err
}

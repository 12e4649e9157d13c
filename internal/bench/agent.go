package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"airlock/feed/feedhttp"
	"airlock/internal/bench/peers"
)

// applyPause is how long a publisher waits after its package was applied. By then
// the agent has sent its receipt and waits again.
const applyPause = 200 * time.Millisecond

// following is a site whose feed the agent of another Space follows.
type following struct {
	*grown
	server, agent *peers.Server
	client        *feedhttp.Client
}

// measureAgent measures an agent at work and one that has nothing to do.
func measureAgent(ctx context.Context, b *bench) []row {
	rows := []row{
		{name: "applied", title: "A package is applied by an agent that waits for it"},
		{name: "agent", title: "An agent that waits, without news"},
	}
	const name = "airlock agent"
	p50, p99, idle := side{name: name + ", serve"}, side{name: name + ", serve"}, side{name: name}
	for i := range min(b.rounds, longRounds) {
		b.say("agent: round %d", i+1)
		if err := b.agentRound(ctx, &p50, &p99, &idle); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "p50 after the acknowledgement", unit: "ms", ours: p50, target: below(100)},
		{what: "p99 after the acknowledgement", unit: "ms", ours: p99, target: below(500)},
	}
	rows[0].note("%d rounds of %d packages, one after the other: %s after one was applied the next is published. Applied is what stands in the folder of the agent's rule, as looking for it every millisecond finds; the agent then signs a receipt and sends it. CPU is the agent's and the server's, the peak the agent's.",
		min(b.rounds, longRounds), b.publish, applyPause)
	rows[1].lines = []line{
		{what: "CPU", unit: "% of a core", ours: idle, target: below(0.1)},
		{what: "peak memory", unit: "MiB", ours: side{name: name, values: idle.peak}, target: below(50)},
	}
	rows[1].note("%d rounds of %s. The agent has one subscription with the default times and has applied one package before.", min(b.rounds, longRounds), b.idleTime)
	return rows
}

// agentRound leaves an agent alone, then gives it work.
func (b *bench) agentRound(ctx context.Context, p50, p99, idle *side) error {
	f, err := b.follow(ctx)
	if err != nil {
		return err
	}
	defer f.stop()
	if b.rows.want("agent") {
		if err := f.idle(ctx, b.idleTime, idle); err != nil {
			return err
		}
	}
	if b.rows.want("applied") {
		return f.work(ctx, b.publish, p50, p99)
	}
	return nil
}

// follow starts a server and the agent of another Space, which has applied a package
// then and waits.
func (b *bench) follow(ctx context.Context) (*following, error) {
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	s, err := newSite(ctx, b.airlock, dir)
	if err != nil {
		return nil, err
	}
	if err := s.behindAGap(ctx); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"--home", s.path("op"), "server", "admit", s.path("inner.id")},
		{"--home", s.path("op"), "server", "token", "add", receiverName, "-o", s.path("inner.token")},
		{"--home", s.path("inner"), "subscription", "add", "bench", "--feed", s.id.String(), "--into", s.path("conf")},
	} {
		if _, _, err := peers.Run(ctx, b.airlock, args...); err != nil {
			return nil, err
		}
	}
	f := &following{}
	if f.server, err = s.serve(ctx); err != nil {
		return nil, err
	}
	if err = f.begin(ctx, s); err != nil {
		return nil, errors.Join(err, f.stop())
	}
	return f, nil
}

// begin opens the feed and starts the agent.
func (f *following) begin(ctx context.Context, s *site) (err error) {
	if f.client, err = s.client(f.server.Addr, nil); err != nil {
		return err
	}
	key, err := f.client.LogKey(ctx)
	if err != nil {
		return err
	}
	f.grown = &grown{author: newAuthor(s, key)}
	opening, err := f.opening(ctx)
	if err != nil {
		return err
	}
	if _, err := f.client.Publish(ctx, opening); err != nil {
		return err
	}
	f.agent, err = peers.Start(ctx, "", s.airlock, "--home", s.path("inner"), "--server", "http://"+f.server.Addr, "--token-file", s.path("inner.token"), "agent")
	if err != nil {
		return err
	}
	if _, err = f.apply(ctx, "first"); err == nil {
		pause(ctx, 2*time.Second) // its receipt is sent, and what it does once is done
	}
	return err
}

func (f *following) stop() error {
	var err error
	if f.agent != nil {
		err = f.agent.Stop()
	}
	return errors.Join(err, f.server.Stop())
}

// apply publishes a package and returns how long after the acknowledgement it stands
// in the agent's folder.
func (f *following) apply(ctx context.Context, name string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	b, err := f.batch(ctx, []pkg{{name, "1.0.0"}})
	if err != nil {
		return 0, err
	}
	if _, err := f.client.Publish(ctx, b); err != nil {
		return 0, err
	}
	acked := time.Now()
	file := filepath.Join(f.path("conf"), "file", name, "entry.txt")
	for {
		if _, err := os.Stat(file); err == nil {
			return time.Since(acked), nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("%s is not there: %w", file, ctx.Err())
		}
		pause(ctx, time.Millisecond)
	}
}

// work gives the agent n packages, one after the other.
func (f *following) work(ctx context.Context, n int, p50, p99 *side) error {
	before, err := f.cpu()
	if err != nil {
		return err
	}
	var took []float64
	for i := range n {
		d, err := f.apply(ctx, fmt.Sprintf("package-%05d", i))
		if err != nil {
			return err
		}
		took = append(took, d.Seconds()*1000)
		pause(ctx, applyPause)
	}
	after, err := f.cpu()
	if err != nil {
		return err
	}
	u, err := f.agent.Usage()
	p50.add(median(took), after-before, mib(u.PeakKiB))
	p99.add(quantile(took, 0.99), after-before, mib(u.PeakKiB))
	return err
}

// cpu is what agent and server have used, in seconds.
func (f *following) cpu() (float64, error) {
	agent, err := f.agent.Usage()
	if err != nil {
		return 0, err
	}
	server, err := f.server.Usage()
	return (agent.CPU + server.CPU).Seconds(), err
}

// idle leaves the agent alone for a time.
func (f *following) idle(ctx context.Context, d time.Duration, to *side) error {
	before, err := f.agent.Usage()
	if err != nil {
		return err
	}
	pause(ctx, d)
	after, err := f.agent.Usage()
	cpu := (after.CPU - before.CPU).Seconds()
	to.add(100*cpu/d.Seconds(), cpu, mib(after.PeakKiB))
	return err
}

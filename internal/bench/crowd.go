package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"airlock/feed/feedhttp"
	"airlock/internal/bench/peers"
	"airlock/internal/bench/peers/proc"
)

const (
	crowdServers    = 8
	crowdPublishers = 64
)

// crowd is how one feed was published to by many at once.
type crowd struct {
	rate, p99 side // entries a second; milliseconds
}

// measureServers has many publish into one feed through the servers of one store.
func measureServers(ctx context.Context, b *bench) []row {
	rows := []row{{name: "servers", title: fmt.Sprintf("%d servers on one S3 store, %d publishers into one feed", crowdServers, crowdPublishers)}}
	one, eight := crowd{}, crowd{}
	for i := range b.rounds {
		b.say("servers: round %d", i+1)
		for _, m := range []struct {
			*crowd
			entries int
		}{{&one, 1}, {&eight, 8}} {
			if err := b.crowdRound(ctx, m.crowd, m.entries); err != nil {
				return failed(rows, err)
			}
		}
	}
	const name = "airlock serve, versitygw"
	one.rate.name, one.p99.name, eight.rate.name, eight.p99.name = name, name, name, name
	rows[0].lines = []line{
		{what: "a package a request", unit: "entries/s", ours: one.rate, target: over(5000)},
		{what: "a package a request, p99", unit: "ms", ours: one.p99, target: below(250)},
		{what: "eight packages a request", unit: "entries/s", ours: eight.rate, target: over(5000)},
		{what: "eight packages a request, p99", unit: "ms", ours: eight.p99, target: below(250)},
	}
	rows[0].note("For %s, after as long to warm up. Each publisher sends its next request when the one before was acknowledged, to the next server; it signs every entry (P-256) and checks the signed checkpoint and proof of every answer. Publishers, servers and store share the two cores; CPU is that of all of them. An unsigned sketch of the log alone, without HTTP, took 18,000 entries/s.", b.loadTime)
	return rows
}

func (b *bench) crowdRound(ctx context.Context, to *crowd, entries int) (err error) {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	store, err := startS3(ctx, filepath.Join(dir, "s3"))
	if err != nil {
		return err
	}
	defer store.Stop()
	s, err := newSiteOn(ctx, b.airlock, filepath.Join(dir, "site"), "s3://"+bucket+"/store")
	if err != nil {
		return err
	}
	f, err := s.startFleet(ctx, crowdServers)
	if err != nil {
		return err
	}
	defer f.stop()
	p, err := f.publishers(ctx, entries)
	if err != nil {
		return err
	}
	if _, err := p.run(ctx, b.loadTime); err != nil { // warm
		return err
	}
	before, err := usageOf(append(f.servers, store)...)
	if err != nil {
		return err
	}
	begin := time.Now()
	took, err := p.run(ctx, b.loadTime)
	if err != nil {
		return err
	}
	after, err := usageOf(append(f.servers, store)...)
	if err != nil {
		return err
	}
	cpu := (after.CPU - before.CPU).Seconds()
	to.rate.add(float64(len(took)*entries)/time.Since(begin).Seconds(), cpu, mib(after.PeakKiB))
	to.p99.add(quantile(took, 0.99), cpu, mib(after.PeakKiB))
	return nil
}

// publishers publish into the feed of a fleet, each through all servers in turn.
type publishers struct {
	*author
	clients []*feedhttp.Client
	entries int // in a request

	mu   sync.Mutex
	next int64
}

func (f *fleet) publishers(ctx context.Context, entries int) (*publishers, error) {
	p := &publishers{entries: entries}
	for _, s := range f.servers {
		c, err := f.client(s.Addr, nil)
		if err != nil {
			return nil, err
		}
		p.clients = append(p.clients, c)
	}
	key, err := p.clients[0].LogKey(ctx)
	if err != nil {
		return nil, err
	}
	p.author = newAuthor(f.site, key)
	opening, err := p.opening(ctx)
	if err != nil {
		return nil, err
	}
	_, err = p.clients[0].Publish(ctx, opening)
	return p, err
}

// run publishes for that long and returns what each request took, in milliseconds.
func (p *publishers) run(ctx context.Context, d time.Duration) ([]float64, error) {
	var all []float64
	var first error
	var working sync.WaitGroup
	end := time.Now().Add(d)
	for n := range crowdPublishers {
		working.Go(func() {
			var took []float64
			var err error
			for i := n; err == nil && time.Now().Before(end); i++ {
				begin := time.Now()
				if err = p.publish(ctx, p.clients[i%len(p.clients)]); err == nil {
					took = append(took, time.Since(begin).Seconds()*1000)
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			all = append(all, took...)
			if first == nil {
				first = err
			}
		})
	}
	working.Wait()
	return all, first
}

// publish sends one request and checks its answer.
func (p *publishers) publish(ctx context.Context, to *feedhttp.Client) error {
	packages := make([]pkg, p.entries)
	p.mu.Lock()
	for i := range packages {
		p.next++
		packages[i] = pkg{fmt.Sprintf("p-%d", p.next), "1.0.0"}
	}
	p.mu.Unlock()
	b, err := p.batch(ctx, packages)
	if err != nil {
		return err
	}
	accepted, err := to.Publish(ctx, b)
	if err != nil {
		return err
	}
	return accepted.Verify(p.id, p.logKey, b.Statements)
}

// quantile returns the value that a share of the values do not exceed.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return median(nil)
	}
	s := slices.Sorted(slices.Values(values))
	return s[min(int(share*float64(len(s))), len(s)-1)]
}

// usageOf is what this program and all that it started have used so far; the peak
// is the highest of one of the servers.
func usageOf(servers ...*peers.Server) (proc.Usage, error) {
	all, err := proc.Of(os.Getpid())
	all.PeakKiB = 0
	for _, s := range servers {
		u, serverErr := s.Usage()
		err = errors.Join(err, serverErr)
		all.PeakKiB = max(all.PeakKiB, u.PeakKiB)
	}
	return all, err
}

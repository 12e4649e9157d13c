package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/receipts"
	"airlock/storage"
)

const (
	crowdServers    = 8
	crowdPublishers = 64
)

// crowd is how one feed was published to by many at once.
type crowd struct {
	rate, p99 side // entries a second; milliseconds
	took      split
}

// crowdLoads are what is published: a receipt is a signed entry and nothing else, a
// package has a manifest and a payload, which are objects.
var crowdLoads = []struct {
	what    string
	entries int // in a request
	open    func(context.Context, *site, *publishers) error
}{
	{"a receipt a request", 1, openReceipts},
	{"eight receipts a request", 8, openReceipts},
	{"a package a request", 1, openPackages},
	{"eight packages a request", 8, openPackages},
}

// measureServers has many publish into one feed through the servers of one store.
func measureServers(ctx context.Context, b *bench) []row {
	rows := []row{{name: "servers", title: fmt.Sprintf("%d servers on one S3 store, %d publishers into one feed", crowdServers, crowdPublishers)}}
	results := make([]crowd, len(crowdLoads))
	for i := range b.rounds {
		b.say("servers: round %d", i+1)
		for n := range crowdLoads {
			if err := b.crowdRound(ctx, &results[n], n); err != nil {
				return failed(rows, err)
			}
		}
	}
	for n, load := range crowdLoads {
		results[n].rate.name, results[n].p99.name = "airlock serve, versitygw", "airlock serve, versitygw"
		rows[0].lines = append(rows[0].lines,
			line{what: load.what, unit: "entries/s", ours: results[n].rate, target: over(5000)},
			line{what: load.what + ", p99", unit: "ms", ours: results[n].p99, target: below(250)})
	}
	for n, load := range crowdLoads {
		rows[0].note("Milliseconds of processor time an entry, %s: %s.", load.what, &results[n].took)
	}
	rows[0].note("For %s, after as long to warm up. Each publisher sends its next request when the one before was acknowledged, to the next server; it signs every entry (P-256) and checks the signed checkpoint and proof of every answer. Publishers, servers and store share the two cores; CPU is that of all of them. An unsigned sketch of the log alone, without HTTP, took 18,000 entries/s. A receipt is an entry alone, as agents hand them in (without a time stamp); a package brings objects too, and each object is a request to the store.", b.loadTime)
	return rows
}

func (b *bench) crowdRound(ctx context.Context, to *crowd, load int) error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	s, store, err := b.siteOnS3(ctx, dir)
	if err != nil {
		return err
	}
	defer store.Stop()
	f, err := s.startFleet(ctx, crowdServers)
	if err != nil {
		return err
	}
	defer f.stop()
	p, err := s.publishers(ctx, load, f.addrs()...)
	if err != nil {
		return err
	}
	if _, err := p.run(ctx, b.loadTime); err != nil { // warm
		return err
	}
	before, err := f.usage(store)
	if err != nil {
		return err
	}
	begin := time.Now()
	took, err := p.run(ctx, b.loadTime)
	if err != nil {
		return err
	}
	seconds, entries := time.Since(begin).Seconds(), len(took)*p.entries
	after, err := f.usage(store)
	if err != nil {
		return err
	}
	used := after.since(before)
	cpu, peak := used.total().Seconds(), mib(used.peakKiB)
	to.rate.add(float64(entries)/seconds, cpu, peak)
	to.p99.add(quantile(took, 0.99), cpu, peak)
	to.took.add(used, entries)
	return nil
}

// publishers publish into a feed of a site, each through all servers in turn.
type publishers struct {
	clients []*feedhttp.Client
	logKey  []byte
	feed    feed.ID
	entries int // in a request
	// next returns what a publisher sends next.
	next func(ctx context.Context, publisher int) (feed.Batch, error)

	mu  sync.Mutex
	all []float64
	err error // the first
}

func (s *site) publishers(ctx context.Context, load int, addrs ...string) (*publishers, error) {
	p := &publishers{entries: crowdLoads[load].entries}
	for _, addr := range addrs {
		c, err := s.client(addr, nil)
		if err != nil {
			return nil, err
		}
		p.clients = append(p.clients, c)
	}
	var err error
	if p.logKey, err = p.clients[0].LogKey(ctx); err != nil {
		return nil, err
	}
	return p, crowdLoads[load].open(ctx, s, p)
}

// openPackages has each batch bring packages that are new to the site's feed.
func openPackages(ctx context.Context, s *site, p *publishers) error {
	a := newAuthor(s, p.logKey)
	p.feed = s.id
	var last atomic.Int64
	p.next = func(ctx context.Context, _ int) (feed.Batch, error) {
		packages := make([]pkg, p.entries)
		for i := range packages {
			packages[i] = pkg{fmt.Sprintf("p-%d", last.Add(1)), "1.0.0"}
		}
		return a.batch(ctx, packages)
	}
	opening, err := a.opening(ctx)
	if err != nil {
		return err
	}
	_, err = p.clients[0].Publish(ctx, opening)
	return err
}

// openReceipts has each batch bring receipts for a package of the site's feed. A
// publisher is an instance of the Space, with numbers of its own.
func openReceipts(ctx context.Context, s *site, p *publishers) error {
	if err := openPackages(ctx, s, p); err != nil {
		return err
	}
	one, err := p.next(ctx, 0)
	if err != nil {
		return err
	}
	if _, err := p.clients[0].Publish(ctx, one); err != nil {
		return err
	}
	follower, err := newFollower(s.own, p.clients[0], storage.NewMem(), nil)
	if err != nil {
		return err
	}
	seen, _, err := follower.Sync(ctx, s.id)
	if err != nil {
		return err
	}
	packages := published(seen)
	instances := make([]*receiver, crowdPublishers)
	p.feed = feed.ID{Space: s.own.Space(), Name: receipts.Feed}
	for i := range instances {
		instances[i] = &receiver{own: s.own, signer: s.signer, feed: p.feed, instance: fmt.Sprintf("%032x", i)}
	}
	p.next = func(ctx context.Context, publisher int) (feed.Batch, error) {
		return instances[publisher].batch(ctx, seen, packages, int64(p.entries))
	}
	opening, err := openingOf(ctx, p.feed, s.own, s.signer, p.logKey)
	if err != nil {
		return err
	}
	_, err = p.clients[0].Publish(ctx, opening)
	return err
}

// run publishes for that long and returns what each request took, in milliseconds.
func (p *publishers) run(ctx context.Context, d time.Duration) ([]float64, error) {
	p.all = nil
	var working sync.WaitGroup
	end := time.Now().Add(d)
	for n := range crowdPublishers {
		working.Go(func() {
			var took []float64
			var err error
			for i := n; err == nil && time.Now().Before(end); i++ {
				begin := time.Now()
				if err = p.publish(ctx, n, p.clients[i%len(p.clients)]); err == nil {
					took = append(took, time.Since(begin).Seconds()*1000)
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.all = append(p.all, took...)
			p.err = cmp.Or(p.err, err)
		})
	}
	working.Wait()
	return p.all, p.err
}

// publish sends one request and checks its answer.
func (p *publishers) publish(ctx context.Context, publisher int, to *feedhttp.Client) error {
	b, err := p.next(ctx, publisher)
	if err != nil {
		return err
	}
	accepted, err := to.Publish(ctx, b)
	if err != nil {
		return err
	}
	return accepted.Verify(p.feed, p.logKey, b.Statements)
}

// quantile returns the value that a share of the values do not exceed.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return median(nil)
	}
	s := slices.Sorted(slices.Values(values))
	return s[min(int(share*float64(len(s))), len(s)-1)]
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"airlock/internal/bench/peers"
)

const (
	// guests is how many Spaces publish besides the loud one, and how many pull
	// what these publish.
	guests = 2
	// guestPause is how long each of them waits before it asks again.
	guestPause = 50 * time.Millisecond
	// loudBefore is how long the loud Space has been at it when the others are
	// measured.
	loudBefore = 5 * time.Second
	// loudNiceness is the lowest priority: the loud Space's own programs would be on
	// another machine.
	loudNiceness = 19
)

// fair is how others fare, quiet and beside a loud Space.
type fair struct {
	*bench
	file               string // that the loud Space publishes
	publish, pull      [2]side
	entries, mebibytes []float64 // a second, of the loud Space
}

// measureFair has a Space publish as much as it can beside others.
func measureFair(ctx context.Context, b *bench) []row {
	rows := []row{{name: "fair", title: fmt.Sprintf("One Space publishes %s packages and %d entries a second beside others", bytesText(b.file), loudBatch*time.Second/loudEvery)}}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	defer os.RemoveAll(dir)
	quiet, beside := side{name: "quiet"}, side{name: "beside the loud Space"}
	f := &fair{bench: b, file: filepath.Join(dir, "image.bin"), publish: [2]side{quiet, beside}, pull: [2]side{quiet, beside}}
	if err := peers.RandomFile(f.file, b.file); err != nil {
		return failed(rows, err)
	}
	rounds := min(b.rounds, longRounds)
	for i := range rounds {
		b.say("fair: round %d", i+1)
		if err := f.round(ctx); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "publish a package, p99", unit: "ms", peer: &f.publish[0], ours: f.publish[1], target: atMost(2)},
		{what: "pull it, p99", unit: "ms", peer: &f.pull[0], ours: f.pull[1], target: atMost(2)},
	}
	rows[0].note("%d rounds of %s each way. %d Spaces publish and %d others pull what these do, verifying it, each %s after its last time; all of them are one process. The loud Space brought %s entries/s and %s MiB/s of large packages, as far as they were acknowledged; its own programs run at the lowest priority, since they would be on another machine. CPU and memory are the server's.",
		rounds, b.fairTime, guests, guests, guestPause, figure(median(f.entries)), figure(median(f.mebibytes)))
	return rows
}

// round measures the others on a new site, first alone.
func (f *fair) round(ctx context.Context) error {
	dir, err := f.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // few files, and large
	p, err := f.newPopulation(ctx, filepath.Join(dir, "site"), 1+2*guests)
	if err != nil {
		return err
	}
	server, err := p.serve(ctx)
	if err != nil {
		return err
	}
	defer server.Stop()
	g, err := p.guests(server.Addr)
	if err != nil {
		return err
	}
	if _, _, err := g.visit(ctx, f.fairTime/4); err != nil { // warm
		return err
	}
	if err := f.measure(ctx, server, g, 0); err != nil {
		return err
	}
	return f.besideLoud(ctx, p, server, g)
}

// besideLoud measures them while the loud Space publishes.
func (f *fair) besideLoud(ctx context.Context, p *population, server *peers.Server, g *visitors) error {
	said, stop, err := startHelper(ctx, loudNiceness, "loud", p.airlock, p.dir, server.Addr, f.file, (loudBefore + f.fairTime).String())
	if err != nil {
		return err
	}
	defer stop()
	pause(ctx, loudBefore)
	if err := f.measure(ctx, server, g, 1); err != nil {
		return err
	}
	text, err := said()
	if err != nil {
		return err
	}
	var brought loud
	if err := json.Unmarshal([]byte(text), &brought); err != nil {
		return err
	}
	f.entries = append(f.entries, float64(brought.Entries)/brought.Seconds)
	f.mebibytes = append(f.mebibytes, float64(brought.Packages)*float64(f.bench.file)/(1<<20)/brought.Seconds)
	return nil
}

// measure adds what the others see now.
func (f *fair) measure(ctx context.Context, server *peers.Server, g *visitors, at int) error {
	before, err := server.Usage()
	if err != nil {
		return err
	}
	published, pulled, err := g.visit(ctx, f.fairTime)
	if err != nil {
		return err
	}
	after, err := server.Usage()
	cpu := (after.CPU - before.CPU).Seconds()
	f.publish[at].add(quantile(published, 0.99), cpu, mib(after.PeakKiB))
	f.pull[at].add(quantile(pulled, 0.99), cpu, mib(after.PeakKiB))
	return err
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"airlock/internal/bench/peers"
)

// formatVersion is part of the name of what is cached. Raise it with any change
// to the formats of store, home or statements, or to build.go, receipts.go and
// population.go.
const formatVersion = 2

// grown is a site whose feed has many entries.
type grown struct {
	*author
	size int64 // of the feed, as far as we know
}

// grow has a helper make a site in dir: "build" one whose feed has n entries,
// "receipts" one with n receipts, "spaces" one of n Spaces.
func (b *bench) grow(ctx context.Context, helper, dir string, n int64) error {
	b.say("%s: %d", helper, n)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if _, err := help(ctx, b.progress, helper, b.airlock, part, strconv.FormatInt(n, 10)); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

func (b *bench) largeFolder() string {
	return filepath.Join(b.cache, fmt.Sprintf("feed-%d-%d", formatVersion, b.entries))
}

// largeFeed returns the cached feed, made now where there is none.
func (b *bench) largeFeed(ctx context.Context) (*grown, error) {
	dir := b.largeFolder()
	if _, err := os.Stat(dir); err != nil {
		if err := b.grow(ctx, "build", dir, b.entries); err != nil {
			return nil, err
		}
	}
	g, err := b.openGrown(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("%w (made by another version? remove %s)", err, dir)
	}
	if g.size < b.entries {
		return nil, fmt.Errorf("%s: a feed of %d entries, want %d: remove it", dir, g.size, b.entries)
	}
	return g, nil
}

func (b *bench) smallFeed(ctx context.Context, dir string) (*grown, error) {
	if err := b.grow(ctx, "build", dir, b.small); err != nil {
		return nil, err
	}
	return b.openGrown(ctx, dir)
}

// openGrown asks a server what the site's feed is like.
func (b *bench) openGrown(ctx context.Context, dir string) (*grown, error) {
	s, err := openSite(b.airlock, dir)
	if err != nil {
		return nil, err
	}
	server, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	client, err := s.client(server.Addr, nil)
	if err != nil {
		return nil, err
	}
	key, err := client.LogKey(ctx)
	if err != nil {
		return nil, err
	}
	head, err := client.Checkpoint(ctx, s.id)
	return &grown{newAuthor(s, key), head.Size}, err
}

// measureMillion measures what grows with a feed, and what must not.
func measureMillion(ctx context.Context, b *bench) []row {
	rows := []row{
		{name: "million", title: fmt.Sprintf("A feed of %d entries against one of %d", b.entries, b.small)},
		{name: "newcomer", title: fmt.Sprintf("A newcomer reads %d entries, verifying everything", b.entries)},
	}
	large, err := b.largeFeed(ctx)
	if err != nil {
		return failed(rows, err)
	}
	if b.rows.want(rows[0].name) {
		rows[0].err = b.measureGrowth(ctx, large, &rows[0])
	}
	if b.rows.want(rows[1].name) {
		rows[1].err = b.measureNewcomer(ctx, large, &rows[1])
	}
	return rows
}

// growth holds a figure of the small feed and of the large one.
type growth struct{ small, large side }

func newGrowth() growth {
	return growth{side{name: "the small feed"}, side{name: "the large feed"}}
}

func (b *bench) measureGrowth(ctx context.Context, large *grown, r *row) error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	small, err := b.smallFeed(ctx, filepath.Join(dir, "small"))
	if err != nil {
		return err
	}
	poll, warm, start, first, resident := newGrowth(), newGrowth(), newGrowth(), newGrowth(), newGrowth()
	for i := range b.rounds {
		b.say("million: round %d", i+1)
		servers, err := b.coldStarts(ctx, small, large, &start, &first)
		if err != nil {
			return err
		}
		err = b.growthRound(ctx, small, large, servers, &poll, &warm, &resident)
		for _, s := range servers {
			s.Stop()
		}
		if err != nil {
			return err
		}
	}
	r.lines = []line{
		{what: "poll with nothing new, request and answer with all headers", unit: "bytes", peer: &poll.small, ours: poll.large, target: below(1024)},
		{what: "warm publish, p50", unit: "ms", peer: &warm.small, ours: warm.large, target: atMost(1.2)},
		{what: "cold start of serve until the first correct checkpoint", unit: "s", peer: &start.small, ours: start.large, target: below(2)},
		{what: "the same until a first publish is acknowledged", unit: "s", peer: &first.small, ours: first.large, target: below(2)},
		{what: "resident memory of serve after that, the publishes and a reader", unit: "MiB", peer: &resident.small, ours: resident.large, target: below(300)},
	}
	r.note("Every publish is one package, signed, sent over HTTP and acknowledged durable; the answer's proof is checked inside the clock. %d publishes to each feed, in turns.", b.publish)
	r.note("A cold start is a new process; the files are in the page cache. Peak memory is that of the whole round. The reader goes through %d entries over HTTP.", min(readThrough, b.entries))
	r.note("The entries are publications over packages of a hundred versions each that share their payload, signed by one key.")
	return nil
}

// coldStarts starts a server on each feed and measures it.
func (b *bench) coldStarts(ctx context.Context, small, large *grown, start, first *growth) (servers [2]*peers.Server, err error) {
	if err := settle(ctx); err != nil {
		return servers, err
	}
	for i, f := range []struct {
		*grown
		start, first *side
	}{{small, &start.small, &first.small}, {large, &start.large, &first.large}} {
		servers[i], err = f.coldStart(ctx, f.start, f.first)
		if err != nil {
			if i == 1 {
				servers[0].Stop()
			}
			return servers, err
		}
	}
	return servers, nil
}

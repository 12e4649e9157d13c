package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"airlock/feed"
	"airlock/internal/bench/peers"
)

// longRounds is the number of rounds of the longest measurements, where the
// others have more.
const longRounds = 3

// measureNewcomer has a new Space read the whole feed, over HTTP and from the
// store's folder, against the bare arithmetic.
func (b *bench) measureNewcomer(ctx context.Context, g *grown, r *row) error {
	bytes, err := g.statementBytes()
	if err != nil {
		return err
	}
	bare, http, folder := side{name: "SHA-256 and P-256 alone, 2 threads"}, side{name: "airlock pull, serve"}, side{name: "airlock pull --from DIR"}
	rounds := min(b.rounds, longRounds)
	for i := range rounds {
		b.say("newcomer: round %d", i+1)
		if err := arithmetic(ctx, bytes, bytes/g.size, g.size, &bare); err != nil {
			return err
		}
		if err := b.newcomerHTTP(ctx, g, &http); err != nil {
			return err
		}
		if err := b.newcomerFolder(ctx, g, &folder); err != nil {
			return err
		}
	}
	r.lines = []line{
		{what: "over HTTP", unit: "s", peer: &bare, ours: http, target: atMost(1.5)},
		{what: "from the store's folder", unit: "s", peer: &bare, ours: folder, target: atMost(1.5)},
	}
	r.note("%d rounds. The clock is that of the whole command with a new home; no package is chosen, so no payload is read. The bare cost is hashing the %.0f MiB of statements once, and verifying one signature for each.", rounds, float64(bytes)/(1<<20))
	return nil
}

// statementBytes is the size of all statements of the feed, from its segments.
func (g *grown) statementBytes() (int64, error) {
	var bytes, segments int64
	err := filepath.WalkDir(g.path("op", "store"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(filepath.ToSlash(path), "/segment/") {
			return err
		}
		info, err := e.Info()
		if err == nil {
			bytes, segments = bytes+info.Size(), segments+1
		}
		return err
	})
	if err == nil && segments == 0 {
		err = fmt.Errorf("%s: no segments found", g.path("op", "store"))
	}
	if err != nil {
		return 0, err
	}
	return bytes * g.size / (segments * feed.SegmentSize), nil
}

// arithmetic hashes bytes, a piece at a time, and verifies signatures, with
// nothing else in the clock.
func arithmetic(ctx context.Context, bytes, piece, signatures int64, to *side) error {
	out, err := help(ctx, os.Stderr, "crypto", strconv.FormatInt(bytes, 10), strconv.FormatInt(piece, 10), strconv.FormatInt(signatures, 10))
	if err != nil {
		return err
	}
	var c peers.CryptoCost
	if err := json.Unmarshal(out, &c); err != nil {
		return err
	}
	to.values, to.cpu = append(to.values, c.WallS()), append(to.cpu, c.CPUS)
	return nil
}

func (b *bench) newcomerHTTP(ctx context.Context, g *grown, to *side) error {
	server, err := g.serve(ctx)
	if err != nil {
		return err
	}
	defer server.Stop()
	cost, err := b.newcomer(ctx, g, "--server", "http://"+server.Addr, "--token-file", g.path("token"))
	if err != nil {
		return err
	}
	u, err := server.Usage()
	to.add(cost.WallS, cost.CPUS+u.CPU.Seconds(), mib(max(cost.PeakKiB, u.PeakKiB)))
	return err
}

func (b *bench) newcomerFolder(ctx context.Context, g *grown, to *side) error {
	cost, err := b.newcomer(ctx, g, "--from", g.path("op", "store"))
	to.add(cost.WallS, cost.CPUS, mib(cost.PeakKiB))
	return err
}

// newcomer reads the feed with a new home and checks that all of it counted.
func (b *bench) newcomer(ctx context.Context, g *grown, where ...string) (peers.Cost, error) {
	dir, err := b.folder()
	if err != nil {
		return peers.Cost{}, err
	}
	if err := g.receiver(ctx, filepath.Join(dir, "home")); err != nil {
		return peers.Cost{}, err
	}
	if err := settle(ctx); err != nil {
		return peers.Cost{}, err
	}
	args := append([]string{"--home", filepath.Join(dir, "home"), "pull", g.id.String(), "--kind", "environments", "-f", "json"}, where...)
	cost, out, err := peers.Run(ctx, b.airlock, args...)
	if err != nil {
		return cost, err
	}
	return cost, allVerified(out, g.size)
}

// allVerified checks what pull printed.
func allVerified(out []byte, size int64) error {
	var docs []struct {
		From, To int64
		Void     []int64
	}
	if err := json.Unmarshal(out, &docs); err != nil {
		return fmt.Errorf("pull printed %.200q: %w", out, err)
	}
	if len(docs) != 1 || docs[0].From != 0 || docs[0].To != size || len(docs[0].Void) > 0 {
		return fmt.Errorf("pull did not verify all %d entries: %.200q", size, out)
	}
	return nil
}

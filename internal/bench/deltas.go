package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"airlock/internal/bench/peers"
	"airlock/storage"
)

// pair is two versions of a file between which there is to be a delta.
type pair struct {
	what             string
	old, new         func(ctx context.Context, name string) error // make them
	toZstd, toRestic float64                                      // targets; 0 for none
}

func (b *bench) pairs() []pair {
	release := func(version string) func(context.Context, string) error {
		return func(ctx context.Context, name string) error { return toolchain(ctx, version, name) }
	}
	made := func(edited bool) func(context.Context, string) error {
		return func(_ context.Context, name string) error { return tree(name, b.file, edited) }
	}
	out := []pair{{bytesText(b.file) + " with 1 % of files edited", made(false), made(true), 1.1, 0.2}}
	if b.releases {
		out = append(out, pair{goOld + " to " + goNew, release(goOld), release(goNew), 1.1, 0.2},
			pair{goBefore + " to " + goOld, release(goBefore), release(goOld), 1.3, 0})
	}
	return out
}

// measureDeltas publishes two versions of a large file through a server and
// looks at the delta that it makes, and at what a pull takes.
func measureDeltas(ctx context.Context, b *bench) []row {
	rows := []row{{name: "delta", title: "Delta between two versions of a large file"}}
	for _, p := range b.pairs() {
		b.say("delta: %s", p.what)
		lines, err := b.deltaLines(ctx, p)
		if err != nil {
			return failed(rows, fmt.Errorf("%s: %w", p.what, err))
		}
		rows[0].lines = append(rows[0].lines, lines...)
	}
	rows[0].note("Sizes depend on the files alone, so there is one round. A delta is made by the server behind its answer to the publisher; its CPU time is the server's from there on. The pull is into a folder with the version before; it takes the statement and the manifest too.")
	return rows
}

func (b *bench) deltaLines(ctx context.Context, p pair) ([]line, error) {
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	older, newer := filepath.Join(dir, "old.tar"), filepath.Join(dir, "new.tar")
	if err := p.old(ctx, older); err != nil {
		return nil, err
	}
	if err := p.new(ctx, newer); err != nil {
		return nil, err
	}
	patch, restic := side{name: "zstd --patch-from"}, side{name: "restic backup"}
	for _, m := range []struct {
		*side
		measure func(ctx context.Context, from, to, dir string) (int64, peers.Cost, error)
	}{{&patch, peers.Patch}, {&restic, peers.Restic}} {
		n, cost, err := m.measure(ctx, older, newer, dir)
		if err != nil {
			return nil, err
		}
		m.add(kib(n), cost.CPUS, mib(cost.PeakKiB))
	}
	delta, pulled, err := b.delta(ctx, dir, older, newer)
	if err != nil {
		return nil, err
	}
	return []line{
		{what: p.what, unit: "KiB", peer: &patch, ours: delta, target: atMost(p.toZstd)},
		{what: p.what + ", beside restic", unit: "KiB", peer: &restic, ours: delta, target: atMost(p.toRestic)},
		{what: p.what + ", pulled", unit: "KiB", ours: pulled},
	}, nil
}

// delta publishes both files and pulls them, and returns how large the delta is
// and what came over the line for the second.
func (b *bench) delta(ctx context.Context, dir, older, newer string) (delta, pulled side, err error) {
	delta, pulled = side{name: "airlock serve"}, side{name: "airlock pull"}
	s, err := newSite(ctx, b.airlock, filepath.Join(dir, "site"))
	if err != nil {
		return delta, pulled, err
	}
	server, err := s.serve(ctx)
	if err != nil {
		return delta, pulled, err
	}
	defer server.Stop()
	if err := s.receiver(ctx, s.path("prod")); err != nil {
		return delta, pulled, err
	}
	for i, file := range []string{older, newer} {
		_, _, err := peers.Run(ctx, b.airlock, append(publisherArgs(s, server.Addr, file), "--kind", "file", "--name", "big", "--version", fmt.Sprint(i+1))...)
		if err != nil {
			return delta, pulled, err
		}
		if i > 0 {
			if err := s.addDelta(ctx, server, older, newer, &delta); err != nil {
				return delta, pulled, err
			}
		}
		cost, out, err := peers.Run(ctx, b.airlock, append(pullArgs(s, server.Addr), "-f", "json")...)
		if err != nil {
			return delta, pulled, err
		}
		var docs []struct {
			Received int64 `json:"received"`
		}
		if err := json.Unmarshal(out, &docs); err != nil || len(docs) != 1 {
			return delta, pulled, fmt.Errorf("a pull that says %.200q: %w", out, err)
		}
		if i > 0 {
			pulled.add(kib(docs[0].Received), cost.CPUS, mib(cost.PeakKiB))
		}
	}
	return delta, pulled, sameFile(newer, s.path("conf", "file", "big", filepath.Base(newer)))
}

// deltaLimit bounds the wait for a delta.
const deltaLimit = 5 * time.Minute

// addDelta waits for the delta that the server makes and adds its size, and
// what the server used meanwhile.
func (s *site) addDelta(ctx context.Context, server *peers.Server, older, newer string, to *side) error {
	before, err := server.Usage()
	if err != nil {
		return err
	}
	client, err := s.client(server.Addr, nil)
	if err != nil {
		return err
	}
	base, err := digestOf(older)
	if err != nil {
		return err
	}
	target, err := digestOf(newer)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deltaLimit)
	defer cancel()
	for {
		ref, err := client.Delta(ctx, s.id, base, target)
		if err == nil {
			after, err := server.Usage()
			to.add(kib(ref.Size), (after.CPU - before.CPU).Seconds(), mib(after.PeakKiB))
			return err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no delta within %s: %w", deltaLimit, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func digestOf(name string) (storage.Digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return storage.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return storage.Digest(h.Sum(nil)), err
}

// kib turns bytes into KiB.
func kib(n int64) float64 { return float64(n) / 1024 }

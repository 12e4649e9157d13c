package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"airlock/internal/bench/peers"
)

// measureFile publishes one large file into a store, without a server.
func measureFile(ctx context.Context, b *bench) []row {
	return b.publishing(ctx, published{
		name: "file", title: "Publish a file of " + bytesText(b.file) + " to the directory store", file: "big.bin",
		make: func(file string) error { return peers.RandomFile(file, b.file) },
		peer: "cp, sync, openssl dgst",
		beside: func(ctx context.Context, file, dir string, theirs *side) error {
			return clock(ctx, theirs, func() (peers.Cost, error) {
				c, err := peers.Copy(ctx, file, dir)
				return peers.Cost{WallS: c.TotalS, CPUS: c.TotalCP, PeakKiB: max(c.Copy.PeakKiB, c.Sync.PeakKiB, c.Digest.PeakKiB)}, err
			})
		},
		wall: 1.3, memory: 100,
		note: "The file is in the page cache on both sides; home and store are new in every round. The peer's time is the sum of its three programs, one after the other.",
	})
}

// published is a measurement of publishing one file into a store, beside what a
// peer does with the file.
type published struct {
	name, title string
	file        string // its name
	make        func(file string) error
	peer        string
	beside      func(ctx context.Context, file, dir string, theirs *side) error
	wall        float64 // at most that many times the peer's
	memory      float64 // below that many MiB
	note        string
}

func (b *bench) publishing(ctx context.Context, p published) []row {
	rows := []row{{name: p.name, title: p.title}}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, p.file)
	if err := p.make(file); err != nil {
		return failed(rows, err)
	}
	theirs, ours := side{name: p.peer}, side{name: "airlock publish --store"}
	for i := range b.rounds {
		b.say("%s: round %d", p.name, i+1)
		if err := b.publishRound(ctx, p, file, &theirs, &ours); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "wall time", unit: "s", peer: &theirs, ours: ours, target: atMost(p.wall)},
		{what: "peak memory of airlock", unit: "MiB", ours: side{name: ours.name, values: ours.peak}, target: below(p.memory)},
	}
	rows[0].note("%s", p.note)
	return rows
}

func (b *bench) publishRound(ctx context.Context, p published, file string, theirs, ours *side) error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSite(ctx, b.airlock, filepath.Join(dir, "site"))
	if err != nil {
		return err
	}
	if err := p.beside(ctx, file, dir, theirs); err != nil {
		return err
	}
	return clock(ctx, ours, func() (peers.Cost, error) { return s.publishToStore(ctx, file, filepath.Join(dir, "store")) })
}

// publishToStore publishes a file into a new store.
func (s *site) publishToStore(ctx context.Context, file, store string) (peers.Cost, error) {
	cost, _, err := peers.Run(ctx, s.airlock, "--home", s.path("dev"), "--store", store,
		"publish", feedName, file, "--kind", "file", "--name", "big", "--version", "1")
	return cost, err
}

func bytesText(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

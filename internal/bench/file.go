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
	rows := []row{{name: "file", title: "Publish a file of " + bytesText(b.file) + " to the directory store"}}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "big.bin")
	if err := peers.RandomFile(file, b.file); err != nil {
		return failed(rows, err)
	}
	theirs, ours := side{name: "cp, sync, openssl dgst"}, side{name: "airlock publish --store"}
	for i := range b.rounds {
		b.say("file: round %d", i+1)
		if err := b.fileRound(ctx, file, &theirs, &ours); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "wall time", unit: "s", peer: &theirs, ours: ours, target: atMost(1.3)},
		{what: "peak memory of airlock", unit: "MiB", ours: side{name: ours.name, values: ours.peak}, target: below(100)},
	}
	rows[0].note("The file is in the page cache on both sides; home and store are new in every round. The peer's time is the sum of its three programs, one after the other.")
	return rows
}

func (b *bench) fileRound(ctx context.Context, file string, theirs, ours *side) error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSite(ctx, b.airlock, filepath.Join(dir, "site"))
	if err != nil {
		return err
	}
	err = b.clock(ctx, theirs, func() (peers.Cost, error) {
		c, err := peers.Copy(ctx, file, dir)
		return peers.Sum(c.Copy, c.Sync, c.Digest), err
	})
	if err != nil {
		return err
	}
	return b.clock(ctx, ours, func() (peers.Cost, error) { return s.publishToStore(ctx, file, filepath.Join(dir, "store")) })
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

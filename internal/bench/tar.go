package main

import (
	"context"
	"os"
	"path/filepath"

	"airlock/internal/bench/peers"
)

// measureTar publishes one large file of text into a store, without a server:
// it is cut into chunks and compressed on the way.
func measureTar(ctx context.Context, b *bench) []row {
	rows := []row{{name: "tar", title: "Publish a tar of " + bytesText(b.file) + " to the directory store, in frames"}}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "tree.tar")
	if err := tree(file, b.file, false); err != nil {
		return failed(rows, err)
	}
	theirs, ours := side{name: "zstd -3 -T2, sync"}, side{name: "airlock publish --store"}
	for i := range b.rounds {
		b.say("tar: round %d", i+1)
		if err := b.tarRound(ctx, file, &theirs, &ours); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "wall time", unit: "s", peer: &theirs, ours: ours, target: atMost(1.5)},
		{what: "peak memory of airlock", unit: "MiB", ours: side{name: ours.name, values: ours.peak}, target: below(256)},
	}
	rows[0].note("Files of text, 16 KiB on average. The tar is in the page cache on both sides; home and store are new in every round. Digests, cutting, signing and syncing are inside Airlock's clock.")
	return rows
}

func (b *bench) tarRound(ctx context.Context, file string, theirs, ours *side) error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSite(ctx, b.airlock, filepath.Join(dir, "site"))
	if err != nil {
		return err
	}
	err = clock(ctx, theirs, func() (peers.Cost, error) { return peers.Zstd(ctx, file, filepath.Join(dir, "tree.tar.zst")) })
	if err != nil {
		return err
	}
	return clock(ctx, ours, func() (peers.Cost, error) { return s.publishToStore(ctx, file, filepath.Join(dir, "store")) })
}

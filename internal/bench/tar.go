package main

import (
	"context"
	"path/filepath"

	"airlock/internal/bench/peers"
)

// measureTar publishes one large file of text into a store, without a server:
// it is cut into chunks and compressed on the way.
func measureTar(ctx context.Context, b *bench) []row {
	return b.publishing(ctx, published{
		name: "tar", title: "Publish a tar of " + bytesText(b.file) + " to the directory store, in frames", file: "tree.tar",
		make: func(file string) error { return tree(file, b.file, false) },
		peer: "zstd -3 -T2, sync",
		beside: func(ctx context.Context, file, dir string, theirs *side) error {
			return clock(ctx, theirs, func() (peers.Cost, error) { return peers.Zstd(ctx, file, filepath.Join(dir, "tree.tar.zst")) })
		},
		wall: 1.5, memory: 256,
		note: "Files of text, 16 KiB on average. The tar is in the page cache on both sides; home and store are new in every round. Digests, cutting, signing and syncing are inside Airlock's clock.",
	})
}

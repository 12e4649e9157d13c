package feed

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tileReader lets x/mod's tlog read a source's tiles. tlog checks every tile
// against the tree's root before it uses it.
type tileReader struct {
	ctx    context.Context
	source Tiles
	id     ID
}

var _ tlog.TileReader = tileReader{}

func (r tileReader) Height() int { return 8 }

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := r.source.Tile(r.ctx, r.id, t.L, t.N, t.W)
		if err != nil {
			return nil, fmt.Errorf("tile %s: %w", t.Path(), err)
		}
		out[i] = b
	}
	return out, nil
}

func (r tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// Prove returns the inclusion proof of an entry in the tree of a checkpoint,
// made from tiles that are checked against its root (RFC 6962, section 2.1.1).
func Prove(ctx context.Context, src Tiles, id ID, c Checkpoint, index int64) (tlog.RecordProof, error) {
	tree := tlog.Tree{N: c.Size, Hash: c.Root}
	proof, err := tlog.ProveRecord(c.Size, index, tlog.TileHashReader(tree, tileReader{ctx, src, id}))
	if err != nil {
		return nil, fmt.Errorf("feed %s: proof of entry %d: %w", id, index, err)
	}
	return proof, nil
}

// beginsWith reports whether the tree of a checkpoint begins with that of an
// earlier one (RFC 6962, section 2.1.2), from tiles that are checked against its
// root.
func beginsWith(ctx context.Context, src Tiles, id ID, c, earlier Checkpoint) (bool, error) {
	tree := tlog.Tree{N: c.Size, Hash: c.Root}
	proof, err := tlog.ProveTree(c.Size, earlier.Size, tlog.TileHashReader(tree, tileReader{ctx, src, id}))
	if err != nil {
		return false, fmt.Errorf("feed %s: proof that size %d begins with size %d: %w", id, c.Size, earlier.Size, err)
	}
	return tlog.CheckTree(proof, c.Size, c.Root, earlier.Size, earlier.Root) == nil, nil
}

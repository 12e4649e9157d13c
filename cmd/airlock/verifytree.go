package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
)

// tree computes the hash tree from the entries and compares: with every tile
// that the source has, and with what was seen here before.
func (v *verification) tree(ctx context.Context, at *opened) error {
	leaves, err := leavesOf(ctx, at, at.state.ID, at.state.Edge.Size())
	if err != nil {
		return tampered(err)
	}
	if err := v.seenBefore(ctx, at, leaves); err != nil {
		return err
	}
	return v.tiles(ctx, at, leaves)
}

// leavesOf reads the first entries again and returns their leaf hashes. The
// source decides how many there seem to be, so the list grows with what comes.
func leavesOf(ctx context.Context, src feed.Source, id feed.ID, size int64) ([]tlog.Hash, error) {
	var leaves []tlog.Hash
	for s, err := range src.Segments(ctx, id, 0, size) {
		if err != nil {
			return nil, err
		}
		if s.Start > int64(len(leaves)) {
			break
		}
		for _, raw := range s.Statements[int64(len(leaves))-s.Start:] {
			if int64(len(leaves)) == size {
				break
			}
			att, err := feed.Logged(raw)
			if err != nil {
				return nil, fmt.Errorf("feed %s: entry %d: %w", id, len(leaves), err)
			}
			leaves = append(leaves, feed.LeafHash(att))
		}
	}
	if int64(len(leaves)) < size {
		return nil, &feed.GapError{ID: id, From: int64(len(leaves)), To: size}
	}
	return leaves, nil
}

// wrongTree tells whether entries that are not trusted are at least those of
// the source's own checkpoint. Where they are not, somebody changed them.
func wrongTree(ctx context.Context, src feed.Source, id feed.ID) error {
	c, err := src.Checkpoint(ctx, id)
	if err != nil {
		return err
	}
	leaves, err := leavesOf(ctx, src, id, c.Size)
	if err != nil {
		return err
	}
	var edge feed.Edge
	for _, leaf := range leaves {
		edge.Append(leaf)
	}
	if edge.Root() != c.Root {
		return fmt.Errorf("feed %s: %w: %s at size %d, computed %s", id, feed.ErrRoot, c.Root, c.Size, edge.Root())
	}
	return nil
}

// seenBefore holds the feed against what this home saw of it: what was seen
// must be its beginning.
func (v *verification) seenBefore(ctx context.Context, at *opened, leaves []tlog.Hash) error {
	h, err := v.home()
	if err != nil {
		return err
	}
	store, err := h.State(ctx)
	if err != nil {
		return err
	}
	seen, err := feed.LoadState(ctx, store, at.state.Lineage, at.state.ID)
	if errors.Is(err, fs.ErrNotExist) {
		v.note("seen", "nothing was seen of this feed here before")
		return nil
	}
	if err != nil {
		return err
	}
	if seen.Epoch == at.state.Epoch {
		back := &feed.RollbackError{ID: at.state.ID, Seen: seen.Checkpoint(), Got: at.state.Checkpoint()}
		if seen.Edge.Size() > int64(len(leaves)) {
			if at.late && begins(seen.Index, at.state.Index) {
				v.note("seen", "%s is older than what was accepted here on %s: %s", at.name, seen.SeenAt.UTC().Format(time.DateOnly), count(int(seen.Edge.Size()), "entry", "entries"))
				return nil
			}
			v.bad("seen", back)
			return nil
		}
		var edge feed.Edge
		for _, leaf := range leaves[:seen.Edge.Size()] {
			edge.Append(leaf)
		}
		if edge.Root() != seen.Edge.Root() {
			back.Fork = true
			v.bad("seen", back)
			return nil
		}
	}
	v.ok("seen", "continues the %s that were seen here on %s", count(int(seen.Edge.Size()), "entry", "entries"), seen.SeenAt.UTC().Format("2006-01-02 15:04"))
	return nil
}

// begins reports whether the statements of the shorter index are the first of the
// longer one.
func begins(long, short *feed.Index) bool {
	for row := range short.Rows(0) {
		if long.Row(row.Index).ID != row.ID {
			return false
		}
	}
	return true
}

// tileHeight is that of C2SP tlog-tiles: 256 hashes.
const tileHeight = 8

// tiles compares every hash tile with the one computed from the entries.
func (v *verification) tiles(ctx context.Context, at *opened, hashes []tlog.Hash) error {
	checked, wrong := 0, 0
	for level := 0; len(hashes) > 0; level++ {
		for n := int64(0); n<<tileHeight < int64(len(hashes)); n++ {
			part := hashes[n<<tileHeight : min((n+1)<<tileHeight, int64(len(hashes)))]
			path := tlog.Tile{H: tileHeight, L: level, N: n, W: len(part)}.Path()
			got, err := at.Tile(ctx, at.state.ID, level, n, len(part))
			if ctx.Err() != nil {
				return ctx.Err()
			}
			switch {
			case err != nil:
				wrong++
				v.bad("tiles", v.objectError("tile "+path, err))
			case !bytes.Equal(got, joined(part)):
				wrong++
				v.bad("tiles", fmt.Errorf("tile %s of %s is not what the entries give: %w", path, at.state.ID, feed.ErrRoot))
			default:
				checked++
			}
		}
		hashes = subtrees(hashes)
	}
	v.ok("tiles", "%s computed again from the entries and equal", count(checked, "tile", "tiles"))
	return nil
}

func joined(hashes []tlog.Hash) []byte {
	out := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

// subtrees returns the roots over the full tiles of a level: the next level.
func subtrees(hashes []tlog.Hash) []tlog.Hash {
	var above []tlog.Hash
	for len(hashes) >= 1<<tileHeight {
		above = append(above, subtree(hashes[:1<<tileHeight]))
		hashes = hashes[1<<tileHeight:]
	}
	return above
}

// subtree is the root over a full tile.
func subtree(hashes []tlog.Hash) tlog.Hash {
	level := append([]tlog.Hash(nil), hashes...)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

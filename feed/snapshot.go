package feed

import (
	"context"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/storage"
)

// maxSnapshot bounds the pages of a Snapshot: their names must fit a statement.
const maxSnapshot = 250

// Snapshot is what a Space found in the first entries of one of its own feeds: the
// full index pages, and the edge of the tree where they end. A newcomer goes on
// from there: it takes the Space's word for what it would have found itself, and
// nobody else's.
type Snapshot struct {
	Edge []storage.Digest `json:"edge"` // see Edge.Hashes
	// Identity is the newest identity version when the entries were judged.
	Identity int            `json:"identity"`
	Pages    []SnapshotPage `json:"pages"` // 1 to 250, all full
}

// SnapshotPage names an index page, an object of the feed's Space.
type SnapshotPage struct {
	Digest storage.Digest `json:"digest"`
	Size   int64          `json:"size"` // bytes, at most MaxPage
}

// entries is the number of entries that the pages hold.
func (s *Snapshot) entries() int64 { return int64(len(s.Pages)) * PageSize }

// edge returns the edge of the tree of those entries.
func (s *Snapshot) edge() (Edge, error) {
	hashes := make([]tlog.Hash, len(s.Edge))
	for i, d := range s.Edge {
		hashes[i] = tlog.Hash(d)
	}
	return ParseEdge(s.entries(), hashes)
}

func (s *Snapshot) check() error {
	if n := len(s.Pages); n < 1 || n > maxSnapshot {
		return fmt.Errorf("snapshot of %d pages, want 1 to %d", n, maxSnapshot)
	}
	if s.Identity < 1 {
		return fmt.Errorf("snapshot under identity version %d", s.Identity)
	}
	for i, p := range s.Pages {
		if p.Size < 1 || p.Size > MaxPage {
			return fmt.Errorf("snapshot: page %d of %d bytes, want 1 to %d", i, p.Size, MaxPage)
		}
	}
	_, err := s.edge()
	return err
}

// Snapshot returns what a Space tells newcomers of its own feed, and the objects
// that this names; nil while the feed has no full page, and where it has too
// many. The edge is made from tiles of src that are checked against the
// checkpoint that was accepted.
func (s *State) Snapshot(ctx context.Context, src Tiles) (*Snapshot, []Content, error) {
	n := s.Index.FullPages()
	if n < 1 || n > maxSnapshot {
		return nil, nil, nil
	}
	out := &Snapshot{Identity: s.Identity}
	var objects []Content
	for i := range n {
		c := ContentOf(s.Index.Page(i))
		objects = append(objects, c)
		out.Pages = append(out.Pages, SnapshotPage{c.Digest, c.Size})
	}
	tree := tlog.Tree{N: s.Edge.Size(), Hash: s.Edge.Root()}
	hashes, err := tlog.TileHashReader(tree, tileReader{ctx, src, s.ID}).ReadHashes(edgeIndexes(out.entries()))
	if err != nil {
		return nil, nil, fmt.Errorf("feed %s: edge at %d: %w", s.ID, out.entries(), err)
	}
	for _, h := range hashes {
		out.Edge = append(out.Edge, storage.Digest(h))
	}
	return out, objects, nil
}

// edgeIndexes returns where the tree keeps the roots of the perfect subtrees that
// make up its first size leaves, largest first.
func edgeIndexes(size int64) (out []int64) {
	for start := int64(0); start < size; {
		level := bits.Len64(uint64(size-start)) - 1
		out = append(out, tlog.StoredHashIndex(level, start>>level))
		start += 1 << level
	}
	return out
}

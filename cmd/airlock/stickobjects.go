package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/bundle"
	"airlock/feed"
	"airlock/storage"
)

// Object returns an object from whichever bundle has it.
func (s *stick) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	return fromAny(s.bundles, func(b *bundle.Bundle) (io.ReadCloser, error) { return b.Object(ctx, id, d, off) })
}

// Pack returns the pack of a segment from the newest bundle that has one. What
// an older one has of it comes by Object.
func (s *stick) Pack(ctx context.Context, id feed.ID, from, to int64) (*feed.Pack, error) {
	return fromAny(s.bundles, func(b *bundle.Bundle) (*feed.Pack, error) { return b.Pack(ctx, id, from, to) })
}

// Chunks returns how a payload is cut.
func (s *stick) Chunks(ctx context.Context, id feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	return fromAny(s.bundles, func(b *bundle.Bundle) (*storage.ChunkIndex, error) { return b.Chunks(ctx, id, d) })
}

// fromAny asks the parts of a place, or several places, in turn.
func fromAny[P, T any](parts []P, ask func(P) (T, error)) (T, error) {
	var none T
	first := error(nil)
	for _, p := range parts {
		got, err := ask(p)
		if err == nil {
			return got, nil
		}
		first = telling(first, err)
	}
	return none, first
}

// telling returns the error to report of two: the first that tells of more than
// absence, since another part may have what one of them lacks.
func telling(first, next error) error {
	if first == nil || errors.Is(first, fs.ErrNotExist) && !errors.Is(next, fs.ErrNotExist) {
		return next
	}
	return first
}

// carries reports whether a bundle has the payloads of a publication.
func carries(ctx context.Context, src feed.Source, id feed.ID, row feed.Row) (bool, error) {
	r, err := src.Object(ctx, id, row.Manifest, 0)
	if err == nil {
		return true, r.Close()
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return false, err
}

// Tile computes a hash tile from the entries, which must be there from the
// first on.
func (s *stick) Tile(ctx context.Context, id feed.ID, level int, n int64, width int) ([]byte, error) {
	return s.tree.tile(ctx, s, id, level, n, width)
}

// entryTree computes the hash tiles of a feed from its entries. It keeps those
// of the feed that was asked for last.
type entryTree struct {
	sync.Mutex
	id    feed.ID
	above [][]tlog.Hash // by level, the leaves first
}

// tile returns a tile of the tree over all entries that the source shows.
func (t *entryTree) tile(ctx context.Context, src feed.Source, id feed.ID, level int, n int64, width int) ([]byte, error) {
	t.Lock()
	defer t.Unlock()
	if t.id != id {
		newest, err := src.Checkpoint(ctx, id)
		if err != nil {
			return nil, err
		}
		leaves, err := leavesOf(ctx, src, id, newest.Size)
		if err != nil {
			return nil, err
		}
		t.id, t.above = id, [][]tlog.Hash{leaves}
	}
	for len(t.above) <= level {
		t.above = append(t.above, subtrees(t.above[len(t.above)-1]))
	}
	hashes, from := t.above[level], n<<tileHeight
	if n < 0 || from+int64(width) > int64(len(hashes)) {
		return nil, fmt.Errorf("tile %d/%d of %s: %w", level, n, id, fs.ErrNotExist)
	}
	return joined(hashes[from : from+int64(width)]), nil
}

// Heads implements place.
func (s *stick) Heads(ctx context.Context, known map[feed.ID]int64, _ time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	return headsOf(ctx, s, known)
}

// headsOf is Heads of a source that does not grow, so nothing is waited for.
func headsOf(ctx context.Context, src feed.Source, known map[feed.ID]int64) (map[feed.ID]feed.Checkpoint, error) {
	out := map[feed.ID]feed.Checkpoint{}
	for id, size := range known {
		head, err := src.Checkpoint(ctx, id)
		if err == nil && head.Size != size {
			out[id] = head
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return out, nil
}

// errReadOnly reports what a medium cannot do.
var errReadOnly = errors.New("a bundle is never written to")

// readOnly is what a place does that carries parts of a bundle.
type readOnly struct{}

// LogKey implements place.
func (readOnly) LogKey(context.Context) ([]byte, error) { return nil, errReadOnly }

// Publish implements place.
func (readOnly) Publish(context.Context, feed.Batch) (feed.Accepted, error) {
	return feed.Accepted{}, errReadOnly
}

// Delta implements place: where a payload lies in a bundle as a delta, Object
// makes it of that.
func (readOnly) Delta(_ context.Context, _ feed.ID, _, target storage.Digest) (storage.Ref, error) {
	return storage.Ref{}, fmt.Errorf("delta to %s: %w", target, fs.ErrNotExist)
}

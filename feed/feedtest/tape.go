package feedtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// Tape is a feed in memory that takes anything: a log without rules. It signs
// what it holds, so all that it shows is consistent unless a Tampered source
// stands before it.
type Tape struct {
	ID      feed.ID
	Epoch   uint64
	Key     feed.LogKey
	entries [][]byte
	leaves  []tlog.Hash
	objects bytesOf
}

var (
	_ feed.Source = (*Tape)(nil)
	_ feed.Packs  = (*Tape)(nil)
	_ feed.Tiles  = (*Tape)(nil)
)

// NewTape returns an empty log for the feed of a.
func NewTape(a *Author) *Tape {
	return &Tape{ID: a.ID, Epoch: a.Epoch, Key: a.Key, objects: bytesOf{}}
}

// Add appends statements and keeps their objects.
func (t *Tape) Add(statements ...Signed) *Tape {
	for _, s := range statements {
		t.AddRaw(s.Bytes(), feed.LeafHash(s.Attestation))
		for _, o := range s.Objects {
			t.objects.add(o)
		}
	}
	return t
}

// AddRaw appends any bytes under any leaf hash.
func (t *Tape) AddRaw(entry []byte, leaf tlog.Hash) {
	t.entries, t.leaves = append(t.entries, entry), append(t.leaves, leaf)
}

// Clone returns a tape that grows on its own: where both do, they are a fork.
func (t *Tape) Clone() *Tape { return t.First(t.Len()) }

// First returns the log as it was at that size.
func (t *Tape) First(size int64) *Tape {
	c := *t
	c.entries, c.leaves, c.objects = slices.Clone(t.entries[:size]), slices.Clone(t.leaves[:size]), maps.Clone(t.objects)
	return &c
}

// Len is the number of entries.
func (t *Tape) Len() int64 { return int64(len(t.entries)) }

// Entry returns the stored statement at an index.
func (t *Tape) Entry(i int64) []byte { return t.entries[i] }

// Forget removes an object.
func (t *Tape) Forget(d storage.Digest) { delete(t.objects, d) }

// Edge returns the edge of the tree.
func (t *Tape) Edge() feed.Edge {
	var e feed.Edge
	for _, leaf := range t.leaves {
		e.Append(leaf)
	}
	return e
}

// Checkpoint signs the whole tape.
func (t *Tape) Checkpoint(_ context.Context, id feed.ID) (feed.Checkpoint, error) {
	if id != t.ID || len(t.entries) == 0 {
		return feed.Checkpoint{}, fmt.Errorf("feed %s: %w", id, fs.ErrNotExist)
	}
	return t.Key.Sign(t.ID.Origin(t.Epoch), t.Len(), t.Edge().Root())
}

// Segments yields segments of the usual size.
func (t *Tape) Segments(_ context.Context, _ feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for start := from / feed.SegmentSize * feed.SegmentSize; start < min(to, t.Len()); start += feed.SegmentSize {
			end := min(start+feed.SegmentSize, to, t.Len())
			if !yield(feed.Segment{Start: start, Statements: slices.Clone(t.entries[start:end])}, nil) {
				return
			}
		}
	}
}

// Object returns an object from an offset on.
func (t *Tape) Object(_ context.Context, _ feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	b, ok := t.objects[d]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", d, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(b[off:])), nil
}

// Pack returns the small objects that a segment's publications name.
func (t *Tape) Pack(_ context.Context, _ feed.ID, from, to int64) (*feed.Pack, error) {
	pack := feed.NewPack()
	for _, raw := range t.entries[from:to] {
		a, err := signing.ParseAttestation(raw)
		if err != nil {
			continue
		}
		st, err := signing.ParseStatement(a.Payload())
		if err != nil {
			continue
		}
		manifest := t.objects[st.Subject]
		m, err := feed.ParseManifest(manifest)
		if err != nil {
			continue
		}
		pack.Add(st.Subject, manifest)
		for _, l := range m.Layers {
			if b, ok := t.objects[l.Digest]; ok {
				pack.Add(l.Digest, b)
			}
		}
	}
	return pack, nil
}

// Tile returns a hash tile of height 8.
func (t *Tape) Tile(_ context.Context, _ feed.ID, level int, n int64, width int) ([]byte, error) {
	span := int64(1) << (8 * level)
	var out []byte
	for i := range int64(width) {
		first := (n*feed.SegmentSize + i) * span
		if first+span > t.Len() {
			return nil, fmt.Errorf("tile %d/%d: %w", level, n, fs.ErrNotExist)
		}
		var e feed.Edge
		for _, leaf := range t.leaves[first : first+span] {
			e.Append(leaf)
		}
		root := e.Root()
		out = append(out, root[:]...)
	}
	return out, nil
}

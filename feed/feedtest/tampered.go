package feedtest

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"airlock/feed"
	"airlock/storage"
)

// Tampered is a source that lies: what Source says goes through the functions
// that are set.
type Tampered struct {
	Source interface {
		feed.Source
		feed.Tiles
	}
	Head     func(feed.Checkpoint) feed.Checkpoint
	Segment  func(feed.Segment) (feed.Segment, error)
	Bytes    func(storage.Digest, io.ReadCloser) io.ReadCloser
	TileHash func(level int, n int64, tile []byte) []byte
}

var (
	_ feed.Source = (*Tampered)(nil)
	_ feed.Tiles  = (*Tampered)(nil)
)

// ErrBroken is what broken sources report.
var ErrBroken = errors.New("the line is broken")

// FlipEntry flips a bit in the middle of entry i.
func FlipEntry(i int64) func(feed.Segment) (feed.Segment, error) {
	return Change(i, func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	})
}

// Change puts change's result in the place of entry i.
func Change(i int64, change func([]byte) []byte) func(feed.Segment) (feed.Segment, error) {
	return func(s feed.Segment) (feed.Segment, error) {
		if at := i - s.Start; at >= 0 && at < int64(len(s.Statements)) {
			s.Statements = slices.Clone(s.Statements)
			s.Statements[at] = change(slices.Clone(s.Statements[at]))
		}
		return s, nil
	}
}

// Swap exchanges entries i and i+1.
func Swap(i int64) func(feed.Segment) (feed.Segment, error) {
	return func(s feed.Segment) (feed.Segment, error) {
		if at := i - s.Start; at >= 0 && at+1 < int64(len(s.Statements)) {
			s.Statements = slices.Clone(s.Statements)
			s.Statements[at], s.Statements[at+1] = s.Statements[at+1], s.Statements[at]
		}
		return s, nil
	}
}

// Truncate ends the feed before entry i.
func Truncate(i int64) func(feed.Segment) (feed.Segment, error) {
	return func(s feed.Segment) (feed.Segment, error) {
		s.Statements = s.Statements[:max(0, min(int64(len(s.Statements)), i-s.Start))]
		return s, nil
	}
}

// Endless returns bytes that never end.
func Endless(storage.Digest, io.ReadCloser) io.ReadCloser { return io.NopCloser(zeros{}) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Checkpoint returns the checkpoint as Head changes it.
func (t *Tampered) Checkpoint(ctx context.Context, id feed.ID) (feed.Checkpoint, error) {
	c, err := t.Source.Checkpoint(ctx, id)
	if err == nil && t.Head != nil {
		c = t.Head(c)
	}
	return c, err
}

// Segments yields segments as Segment changes them.
func (t *Tampered) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for s, err := range t.Source.Segments(ctx, id, from, to) {
			if err == nil && t.Segment != nil {
				s, err = t.Segment(s)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// Object returns an object as Bytes changes it.
func (t *Tampered) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, err := t.Source.Object(ctx, id, d, off)
	if err == nil && t.Bytes != nil {
		r = t.Bytes(d, r)
	}
	return r, err
}

// Tile returns a tile as TileHash changes it.
func (t *Tampered) Tile(ctx context.Context, id feed.ID, level int, n int64, width int) ([]byte, error) {
	b, err := t.Source.Tile(ctx, id, level, n, width)
	if err == nil && t.TileHash != nil {
		b = t.TileHash(level, n, slices.Clone(b))
	}
	return b, err
}

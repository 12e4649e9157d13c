package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync"

	"airlock/feed"
	"airlock/storage"
)

var (
	_ feed.Source = (*Bundle)(nil)
	_ feed.Packs  = (*Bundle)(nil)
	_ feed.Chunks = (*Bundle)(nil)
)

// carried is the parts of a bundle or stream, as a feed.Source: what the follower
// of a feed is given of them, wherever they lie.
type carried struct {
	id   ID
	doc  *Document // of a stream, with what it has of one alone
	list []Part
	at   map[partKey]int
	// open returns the content of a part.
	open func(i int) (*io.SectionReader, error)
	// hold opens a payload that the receiver holds; nil where it holds nothing.
	hold  func(ctx context.Context, payload storage.Digest) (io.ReaderAt, int64, io.Closer, error)
	small struct {
		sync.Mutex
		in     map[objectKey]int // part with the pack; nil until it is asked for
		last   *feed.Pack
		number int // part of last
	}
}

// Checkpoint returns the checkpoint that is led to.
func (c *carried) Checkpoint(_ context.Context, id feed.ID) (feed.Checkpoint, error) {
	s, err := c.slice(id)
	return s.Checkpoint(), err
}

func (c *carried) slice(id feed.ID) (Slice, error) {
	s, ok := c.doc.Slice(id)
	if !ok {
		return s, fmt.Errorf("feed %s is not in bundle %s: %w", id, c.id.Short(), fs.ErrNotExist)
	}
	return s, nil
}

// Segments yields the statements that the bundle carries. To a Follower that
// ends before them the ones between are a gap, which it names.
func (c *carried) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		if _, err := c.slice(id); err != nil {
			yield(feed.Segment{}, err)
			return
		}
		for i, p := range c.list {
			if p.Kind != Statements || c.doc.Feeds[p.Feed].Feed != id || p.First+int64(p.Count) <= from || p.First >= to {
				continue
			}
			var segment feed.Segment
			err := ctx.Err()
			if err == nil {
				segment, err = c.segment(i, p)
			}
			if !yield(segment, err) || err != nil {
				return
			}
		}
	}
}

func (c *carried) segment(i int, p Part) (feed.Segment, error) {
	raw, err := c.partBytes(i)
	if err != nil {
		return feed.Segment{}, err
	}
	return feed.ParseSegment(raw, p.First, p.Count)
}

// Pack returns the small objects of a segment, as far as they are carried.
func (c *carried) Pack(_ context.Context, id feed.ID, from, _ int64) (*feed.Pack, error) {
	start := from / feed.SegmentSize * feed.SegmentSize
	i, ok := c.at[feedKey(Packed, id, start)]
	if !ok {
		return nil, fmt.Errorf("pack at %d: %w", start, fs.ErrNotExist)
	}
	return c.pack(i)
}

func (c *carried) pack(i int) (*feed.Pack, error) {
	raw, err := c.partBytes(i)
	if err != nil {
		return nil, err
	}
	return feed.ParsePack(raw)
}

// Chunks returns how a payload is cut.
func (c *carried) Chunks(_ context.Context, id feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	i, ok := c.find(Chunks, id, d)
	if !ok {
		return nil, fmt.Errorf("chunks of %s: %w", d, fs.ErrNotExist)
	}
	raw, err := c.partBytes(i)
	if err != nil {
		return nil, err
	}
	return storage.ParseChunkIndex(raw)
}

// Object returns an object from an offset on: as it is, from its frames, out of
// a delta, or what the receiver holds itself. Not carried is fs.ErrNotExist,
// for its payload may have been left out; what the receiver should have and has
// not is a *BaseError.
func (c *carried) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	if i, ok := c.find(Object, id, d); ok {
		r, err := c.open(i)
		if err != nil {
			return nil, err
		}
		return from(r, off)
	}
	if _, ok := c.find(Chunks, id, d); ok {
		return c.framed(ctx, id, d, off)
	}
	if i, ok := c.find(Delta, id, d); ok {
		return c.delta(ctx, i, off)
	}
	if _, ok := c.find(Held, id, d); ok {
		return c.held(ctx, d, off)
	}
	return c.packed(ctx, id, d, off)
}

// ReceiverHas reports whether a package of a feed was not carried because the
// receiver had said that it holds it. Any other that is live and not carried was
// left out by the maker, or is an older version than the receiver has seen.
func (c *carried) ReceiverHas(id feed.ID, manifest storage.Digest) bool {
	_, ok := c.at[feedKey(HeldPackage, id, manifest)]
	return ok
}

// from returns what r has from an offset on.
func from(r *io.SectionReader, off int64) (io.ReadCloser, error) {
	if off < 0 || off > r.Size() {
		return nil, storage.ErrRange
	}
	_, err := r.Seek(off, io.SeekStart)
	return io.NopCloser(r), err
}

// framed reads a payload out of its frames.
func (c *carried) framed(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	x, err := c.Chunks(ctx, id, d)
	if err != nil {
		return nil, err
	}
	if off < 0 || off > x.Payload.Size {
		return nil, storage.ErrRange
	}
	if x.Frames.Digest == d { // would lead here again
		return nil, fmt.Errorf("object %s: %w", d, fs.ErrNotExist)
	}
	return x.Open(ctx, off, storage.ChunkSource{Frames: func(at int64) (io.ReadCloser, error) {
		return c.Object(ctx, id, x.Frames.Digest, at)
	}}), nil
}

// held reads what the receiver holds.
func (c *carried) held(ctx context.Context, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, size, closer, err := c.base(ctx, d)
	if err != nil {
		return nil, err
	}
	body, err := from(io.NewSectionReader(r, 0, size), off)
	if err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{body, closer}, nil
}

// base opens a payload that the receiver must have.
func (c *carried) base(ctx context.Context, d storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
	if c.hold == nil {
		return nil, 0, nil, &BaseError{ID: c.id, Payload: d, Err: errors.New("nothing is held here")}
	}
	r, size, closer, err := c.hold(ctx, d)
	if err != nil {
		return nil, 0, nil, &BaseError{ID: c.id, Payload: d, Err: err}
	}
	return r, size, closer, nil
}

// packed finds a small object. The packs are looked through once, for what is in
// which; the last one is kept, for who asks for neighbours.
func (c *carried) packed(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	c.small.Lock()
	defer c.small.Unlock()
	if err := c.lookIntoPacks(ctx); err != nil {
		return nil, err
	}
	i, ok := c.small.in[objectKey{id.Space, d}]
	if !ok {
		return nil, fmt.Errorf("object %s is not in bundle %s: %w", d, c.id.Short(), fs.ErrNotExist)
	}
	if c.small.last == nil || c.small.number != i {
		pack, err := c.pack(i)
		if err != nil {
			return nil, err
		}
		c.small.last, c.small.number = pack, i
	}
	raw, _ := c.small.last.Object(d)
	return from(io.NewSectionReader(bytes.NewReader(raw), 0, int64(len(raw))), off)
}

// lookIntoPacks notes what is in which pack; small is locked.
func (c *carried) lookIntoPacks(ctx context.Context) error {
	if c.small.in != nil {
		return nil
	}
	in := map[objectKey]int{}
	for i, p := range c.list {
		if p.Kind != Packed {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		pack, err := c.pack(i)
		if err != nil {
			return err
		}
		for d := range pack.Objects() {
			in[objectKey{c.doc.Feeds[p.Feed].Feed.Space, d}] = i
		}
	}
	c.small.in = in
	return nil
}

// partKey finds a part by what it is about.
type partKey struct {
	kind PartKind
	objectKey
}

// index notes where each object is.
func (c *carried) index() {
	c.at = make(map[partKey]int, len(c.list))
	for i, p := range c.list {
		if p.Kind == Statements {
			continue
		}
		id := c.doc.Feeds[p.Feed].Feed
		key := partKey{p.Kind, objectKey{id.Space, p.Of}}
		switch p.Kind {
		case Packed, Scans:
			key = feedKey(p.Kind, id, p.First)
		case HeldPackage:
			key = feedKey(HeldPackage, id, p.Of)
		}
		if _, ok := c.at[key]; !ok {
			c.at[key] = i
		}
	}
}

// feedKey is the key of what belongs to one feed: a pack by where its segment
// begins, a package that is held by its manifest.
func feedKey(kind PartKind, id feed.ID, what any) partKey {
	return partKey{kind, objectKey{id.Space, storage.DigestOf(fmt.Appendf(nil, "%s %v", id, what))}}
}

// find returns the part of a kind about an object.
func (c *carried) find(kind PartKind, id feed.ID, d storage.Digest) (int, bool) {
	i, ok := c.at[partKey{kind, objectKey{id.Space, d}}]
	return i, ok
}

// partBytes returns the whole of a small part.
func (c *carried) partBytes(i int) ([]byte, error) {
	r, err := c.open(i)
	if err != nil {
		return nil, err
	}
	out := make([]byte, r.Size()) // bounded by ParseTables, and there
	_, err = io.ReadFull(r, out)
	return out, err
}

package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"airlock/feed"
	"airlock/storage"
)

var (
	_ feed.Source = (*Bundle)(nil)
	_ feed.Packs  = (*Bundle)(nil)
	_ feed.Chunks = (*Bundle)(nil)
)

// Checkpoint returns the checkpoint that the bundle leads to.
func (b *Bundle) Checkpoint(_ context.Context, id feed.ID) (feed.Checkpoint, error) {
	s, err := b.slice(id)
	return s.Checkpoint(), err
}

func (b *Bundle) slice(id feed.ID) (Slice, error) {
	s, ok := b.manifest.doc.Slice(id)
	if !ok {
		return s, fmt.Errorf("feed %s is not in bundle %s: %w", id, b.id.Short(), fs.ErrNotExist)
	}
	return s, nil
}

// Segments yields the statements that the bundle carries. To a Follower that
// ends before them the ones between are a gap, which it names.
func (b *Bundle) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		if _, err := b.slice(id); err != nil {
			yield(feed.Segment{}, err)
			return
		}
		for i, p := range b.tables.Parts {
			if p.Kind != Statements || b.manifest.doc.Feeds[p.Feed].Feed != id || p.First+int64(p.Count) <= from || p.First >= to {
				continue
			}
			var segment feed.Segment
			err := ctx.Err()
			if err == nil {
				segment, err = b.segment(i, p)
			}
			if !yield(segment, err) || err != nil {
				return
			}
		}
	}
}

func (b *Bundle) segment(i int, p Part) (feed.Segment, error) {
	raw, err := b.partBytes(i)
	if err != nil {
		return feed.Segment{}, err
	}
	return feed.ParseSegment(raw, p.First, p.Count)
}

// Pack returns the small objects of a segment, as far as they are carried.
func (b *Bundle) Pack(_ context.Context, id feed.ID, start int64, _ int) (*feed.Pack, error) {
	i, ok := b.parts[feedKey(Packed, id, start)]
	if !ok {
		return nil, fmt.Errorf("pack at %d: %w", start, fs.ErrNotExist)
	}
	return b.pack(i)
}

func (b *Bundle) pack(i int) (*feed.Pack, error) {
	raw, err := b.partBytes(i)
	if err != nil {
		return nil, err
	}
	return feed.ParsePack(raw)
}

// Chunks returns how a payload is cut.
func (b *Bundle) Chunks(_ context.Context, id feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	i, ok := b.find(Chunks, id, d)
	if !ok {
		return nil, fmt.Errorf("chunks of %s: %w", d, fs.ErrNotExist)
	}
	raw, err := b.partBytes(i)
	if err != nil {
		return nil, err
	}
	return storage.ParseChunkIndex(raw)
}

// Object returns an object from an offset on: as it is, from its frames, out of
// a delta, or what the receiver holds itself. Not carried is fs.ErrNotExist,
// for its payload may have been left out; what the receiver should have and has
// not is a *BaseError.
func (b *Bundle) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	if i, ok := b.find(Object, id, d); ok {
		r, err := b.part(i)
		if err != nil {
			return nil, err
		}
		return from(r, off)
	}
	if _, ok := b.find(Chunks, id, d); ok {
		return b.framed(ctx, id, d, off)
	}
	if i, ok := b.find(Delta, id, d); ok {
		return b.delta(ctx, i, off)
	}
	if _, ok := b.find(Held, id, d); ok {
		return b.held(ctx, d, off)
	}
	return b.packed(ctx, id, d, off)
}

// ReceiverHas reports whether a package of a feed was not carried because the
// receiver had said that it holds it. Any other that is live and not carried was
// left out by the maker, or is an older version than the receiver has seen.
func (b *Bundle) ReceiverHas(id feed.ID, manifest storage.Digest) bool {
	_, ok := b.parts[feedKey(HeldPackage, id, manifest)]
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
func (b *Bundle) framed(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	x, err := b.Chunks(ctx, id, d)
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
		return b.Object(ctx, id, x.Frames.Digest, at)
	}}), nil
}

// held reads what the receiver holds.
func (b *Bundle) held(ctx context.Context, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, size, closer, err := b.base(ctx, d)
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
func (b *Bundle) base(ctx context.Context, d storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
	if b.options.Base == nil {
		return nil, 0, nil, &BaseError{ID: b.id, Payload: d, Err: errors.New("nothing is held here")}
	}
	r, size, closer, err := b.options.Base(ctx, d)
	if err != nil {
		return nil, 0, nil, &BaseError{ID: b.id, Payload: d, Err: err}
	}
	return r, size, closer, nil
}

// packed finds a small object. The packs are looked through once, for what is in
// which; the last one is kept, for who asks for neighbours.
func (b *Bundle) packed(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	b.small.Lock()
	defer b.small.Unlock()
	if err := b.lookIntoPacks(ctx); err != nil {
		return nil, err
	}
	i, ok := b.small.in[objectKey{id.Space, d}]
	if !ok {
		return nil, fmt.Errorf("object %s is not in bundle %s: %w", d, b.id.Short(), fs.ErrNotExist)
	}
	if b.small.last == nil || b.small.number != i {
		pack, err := b.pack(i)
		if err != nil {
			return nil, err
		}
		b.small.last, b.small.number = pack, i
	}
	raw, _ := b.small.last.Object(d)
	return from(io.NewSectionReader(bytes.NewReader(raw), 0, int64(len(raw))), off)
}

// lookIntoPacks notes what is in which pack; small is locked.
func (b *Bundle) lookIntoPacks(ctx context.Context) error {
	if b.small.in != nil {
		return nil
	}
	in := map[objectKey]int{}
	for i, p := range b.tables.Parts {
		if p.Kind != Packed {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		pack, err := b.pack(i)
		if err != nil {
			return err
		}
		for d := range pack.Objects() {
			in[objectKey{b.manifest.doc.Feeds[p.Feed].Feed.Space, d}] = i
		}
	}
	b.small.in = in
	return nil
}

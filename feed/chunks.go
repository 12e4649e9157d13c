package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"airlock/storage"
)

// Chunks is a Source that keeps large payloads in chunks and tells how: who has
// some of the chunks already fetches the others alone.
type Chunks interface {
	// Chunks returns how a payload is cut, not checked; fs.ErrNotExist where the
	// source keeps it as it came. The frames are an object of the feed's Space.
	Chunks(ctx context.Context, id ID, d storage.Digest) (*storage.ChunkIndex, error)
}

// Base is a payload that is here already and may be like the one that is to be
// fetched: most often the same file of an earlier version.
type Base struct {
	storage.Ref
	io.ReaderAt
	io.Closer
}

// openLarge opens a payload by its chunks, where the source tells them. nil
// stands for a payload that is kept as it came.
func (p *Package) openLarge(ctx context.Context, i int) (io.ReadCloser, error) {
	layer := p.Manifest.Layers[i]
	source, ok := p.source.(Chunks)
	if !ok || layer.Size <= storage.ChunkAbove {
		return nil, nil
	}
	x, err := source.Chunks(ctx, p.id, layer.Digest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case x.Payload != layer.Ref:
		return nil, malformed("%s: the source cuts another payload, %s", layer.Path, x.Payload.Digest)
	}
	from := storage.ChunkSource{Frames: func(off int64) (io.ReadCloser, error) {
		return p.source.Object(ctx, p.id, x.Frames.Digest, off)
	}}
	base, err := p.base(ctx, source, i)
	if err != nil {
		return nil, err
	}
	if base == nil {
		return x.Open(ctx, 0, from), nil
	}
	from.Have = base.chunk
	return &withBase{x.Open(ctx, 0, from), base.Close}, nil
}

// openBase opens what is here already of an earlier version of file i.
func (p *Package) openBase(i int) (Base, bool) {
	if p.bases == nil {
		return Base{}, false
	}
	return p.bases(p.Row.Ref, p.Manifest.Layers[i].Path)
}

// base returns the chunks of what is here already, nil where that is nothing. A
// base that is no help is no error.
func (p *Package) base(ctx context.Context, source Chunks, i int) (*baseChunks, error) {
	b, ok := p.openBase(i)
	if !ok {
		return nil, nil
	}
	x, err := source.Chunks(ctx, p.id, b.Digest)
	if err != nil {
		return nil, errors.Join(ctx.Err(), b.Close())
	}
	out := &baseChunks{Base: b, at: map[storage.Digest]int64{}}
	var off int64
	for _, c := range x.Chunks {
		out.at[c.Digest] = off
		off += int64(c.Size)
	}
	return out, nil
}

// baseChunks finds chunks in a base.
type baseChunks struct {
	Base
	at map[storage.Digest]int64
}

// chunk returns a chunk of the base. The file may have been changed since, and
// the source may lie about how it is cut: then it is fetched.
func (b *baseChunks) chunk(c storage.Chunk, buf []byte) []byte {
	off, ok := b.at[c.Digest]
	if !ok {
		return nil
	}
	begin := len(buf)
	buf = append(buf, make([]byte, c.Size)...)
	if _, err := b.ReadAt(buf[begin:], off); err != nil || storage.DigestOf(buf[begin:]) != c.Digest {
		return nil
	}
	return buf
}

// withBase closes the base after the reader that uses it.
type withBase struct {
	io.ReadCloser
	close func() error
}

func (w *withBase) Close() error { return errors.Join(w.ReadCloser.Close(), w.close()) }

// errLayer names the payload in an error.
func (p *Package) errLayer(i int, err error) error {
	return fmt.Errorf("%s: %s: %w", p.Row.Ref, p.Manifest.Layers[i].Path, err)
}

package storage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sync/errgroup"
)

// Chunked returns s with payloads over ChunkAbove bytes kept in chunks: as an
// object of frames, an index ([ChunkIndex]) that is an object too, and a cell
// with a [Pointer] that leads from the payload to its index, written last:
//
//	chunks/<organisation>/<space>/<64 digits of the payload's digest>
//
// A payload without such a cell is an object like any other. Between two
// payloads in chunks a delta may be kept, see [Differ].
func Chunked(s *Store) *Store {
	return chunked(s, ChunkAbove)
}

func chunked(s *Store, above int64) *Store {
	out := *s
	out.Objects = func(space string) Objects {
		return &chunkedObjects{Objects: s.Objects(space), cells: s.Cells, space: space, above: above}
	}
	return &out
}

// Chunker is an Objects that knows how payloads are cut.
type Chunker interface {
	// Chunks returns the index of a payload; fs.ErrNotExist where it has none.
	Chunks(ctx context.Context, d Digest) (*ChunkIndex, error)
}

type chunkedObjects struct {
	Objects
	cells Cells
	space string
	above int64 // payloads of more bytes are cut
}

var (
	_ Chunker = (*chunkedObjects)(nil)
	_ Batcher = (*chunkedObjects)(nil)
)

func (o *chunkedObjects) PutBatch(ctx context.Context, items []Item) error {
	return PutAll(ctx, o.Objects, items) // they are small
}

// Put cuts large payloads. What is there already is made again, which renews
// its date.
func (o *chunkedObjects) Put(ctx context.Context, ref Ref, r io.Reader) error {
	if ref.Size <= o.above || ref.Size > int64(maxChunks)*minChunk {
		return o.Objects.Put(ctx, ref, r)
	}
	x, err := o.putFrames(ctx, ref, r)
	if err != nil {
		return err
	}
	if err := o.putIndex(ctx, x); err != nil {
		return fmt.Errorf("object %s of %s: %w", ref.Digest, o.space, err)
	}
	return nil
}

func (o *chunkedObjects) putFrames(ctx context.Context, ref Ref, r io.Reader) (*ChunkIndex, error) {
	buffered := bufio.NewReaderSize(r, int(min(sampleSize, ref.Size)))
	sample, err := peekSample(buffered)
	if err != nil {
		return nil, err
	}
	gains, err := compresses(sample)
	if err != nil {
		return nil, err
	}
	x := &ChunkIndex{Payload: ref, Frames: ref}
	if !gains {
		x.Chunks, err = o.putPlain(ctx, ref, buffered)
		return x, err
	}
	x.Frames, err = PutStream(ctx, o.Objects, func(w io.Writer) error {
		// The reader keeps back the last bytes of a payload that is not ref, so
		// its frames never come to an end.
		x.Chunks, err = writeFrames(ctx, w, newExact(ctx, ref, buffered))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("object %s of %s: %w", ref.Digest, o.space, err)
	}
	return x, nil
}

// putPlain stores a payload as it comes, and cuts it on the way.
func (o *chunkedObjects) putPlain(ctx context.Context, ref Ref, r io.Reader) (chunks []Chunk, err error) {
	g, ctx := errgroup.WithContext(ctx)
	pr, pw := io.Pipe()
	g.Go(func() error {
		var err error
		chunks, err = readChunks(ctx, pr)
		return errors.Join(err, pr.CloseWithError(err))
	})
	g.Go(func() error {
		err := o.Objects.Put(ctx, ref, io.TeeReader(r, pw))
		return errors.Join(err, pw.CloseWithError(err))
	})
	return chunks, g.Wait()
}

func (o *chunkedObjects) putIndex(ctx context.Context, x *ChunkIndex) error {
	raw, err := x.Format()
	if err != nil {
		return err
	}
	ref := RefOf(raw)
	if err := PutAll(ctx, o.Objects, []Item{{Ref: ref, Data: raw}}); err != nil {
		return err
	}
	return lead(ctx, o.cells, o.chunksKey(x.Payload.Digest), Pointer{ToChunks, ref, x.Payload.Size})
}

func (o *chunkedObjects) chunksKey(d Digest) string { return "chunks/" + o.space + "/" + d.Hex() }

// Chunks implements Chunker.
func (o *chunkedObjects) Chunks(ctx context.Context, d Digest) (*ChunkIndex, error) {
	p, err := o.pointer(ctx, ToChunks, o.chunksKey(d), d)
	if err != nil {
		return nil, err
	}
	raw, err := Read(ctx, o.Objects, p.To)
	if err != nil {
		return nil, fmt.Errorf("object %s of %s: chunk index: %w", d, o.space, err)
	}
	x, err := ParseChunkIndex(raw)
	if err != nil {
		return nil, fmt.Errorf("object %s of %s: %w: %w", d, o.space, ErrFrame, err)
	}
	if want := (Ref{Digest: d, Size: p.Payload}); x.Payload != want {
		return nil, fmt.Errorf("object %s of %s: %w: the index is of %s", d, o.space, ErrFrame, x.Payload.Digest)
	}
	return x, nil
}

// Stat implements Objects. Of frames it takes the date.
func (o *chunkedObjects) Stat(ctx context.Context, d Digest) (Info, error) {
	info, err := o.Objects.Stat(ctx, d)
	if !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	x, err := o.Chunks(ctx, d)
	if err != nil {
		return Info{}, err
	}
	info, err = o.Objects.Stat(ctx, x.Frames.Digest)
	if err == nil && info.Size != x.Frames.Size {
		err = &SizeError{Digest: x.Frames.Digest, Want: x.Frames.Size, Got: info.Size}
	}
	info.Size = x.Payload.Size
	return info, err
}

// Get implements Objects.
func (o *chunkedObjects) Get(ctx context.Context, d Digest, off int64) (io.ReadCloser, error) {
	body, err := o.Objects.Get(ctx, d, off)
	if !errors.Is(err, fs.ErrNotExist) {
		return body, err
	}
	x, err := o.Chunks(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := checkOffset(d, off, x.Payload.Size); err != nil {
		return nil, err
	}
	body = x.Open(ctx, off, ChunkSource{Frames: func(at int64) (io.ReadCloser, error) {
		return o.Objects.Get(ctx, x.Frames.Digest, at)
	}})
	if off > 0 {
		return body, nil
	}
	return newChecked(body, d, x.Payload.Size), nil
}

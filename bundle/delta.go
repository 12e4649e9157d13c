package bundle

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"airlock/feed"
	"airlock/storage"
)

// bases finds what the receiver holds that a payload may be like: the file at
// the same path of the newest version of the package whose files lie there.
type bases struct {
	feed  Feed
	held  map[string]feed.Row // by kind/name
	known map[storage.Digest]feed.Manifest
}

func newBases(f Feed) *bases {
	b := &bases{feed: f, held: map[string]feed.Row{}, known: map[storage.Digest]feed.Manifest{}}
	if len(f.Have.Packages) == 0 {
		return b
	}
	for r := range f.State.Index.Rows(0) {
		if files, _ := f.Have.took(r); files && r.What == feed.IsPublication && r.Void == "" {
			b.held[r.Ref.Kind+"/"+r.Ref.Name] = r
		}
	}
	return b
}

// of returns the base for a file, nil for none, and whether the receiver holds
// the file itself.
func (b *bases) of(ctx context.Context, file largeFile) (base *storage.Ref, held bool, err error) {
	row, ok := b.held[file.of.Kind+"/"+file.of.Name]
	if !ok || file.manifest {
		return nil, false, nil
	}
	m, ok := b.known[row.Manifest]
	if !ok {
		raw, err := feed.ReadObject(ctx, b.feed.Source, b.feed.State.ID, row.Manifest, feed.MaxManifest)
		if err != nil {
			return nil, false, err
		}
		if m, err = feed.ParseManifest(raw); err != nil {
			return nil, false, err
		}
		b.known[row.Manifest] = m
	}
	for _, l := range m.Layers {
		if l.Ref == file.Ref {
			return nil, true, nil
		}
		if l.Path == file.path {
			base = &l.Ref
		}
	}
	return base, false, nil
}

// delta plans a payload as a delta, which is made now, since its size must be
// known. It reports whether one is worth it: a tenth less than the frames.
func (pl *planner) delta(ctx context.Context, number int, x *storage.ChunkIndex, base storage.Ref) (worth bool, err error) {
	f := pl.Feeds[number]
	of, err := f.chunks(ctx, base)
	if of == nil || err != nil {
		return false, err
	}
	temp, err := os.CreateTemp(pl.Spool, "airlock-frames-")
	if err != nil {
		return false, noteFull(err)
	}
	defer func() { err = errors.Join(err, temp.Close(), os.Remove(temp.Name())) }()
	out, err := os.CreateTemp(pl.Spool, "airlock-delta-")
	if err != nil {
		return false, noteFull(err)
	}
	remove := func() error { return os.Remove(out.Name()) }
	target, from := f.payload(ctx, x), f.payload(ctx, of)
	err = storage.MakeDelta(ctx, out, storage.CutPayload{Index: x, Bytes: target}, storage.CutPayload{Index: of, Bytes: from}, temp)
	err = noteFull(errors.Join(err, target.close(), from.close()))
	size, seekErr := out.Seek(0, io.SeekEnd)
	if err = errors.Join(err, seekErr, out.Close()); err != nil || size > x.Frames.Size/10*9 {
		return false, errors.Join(err, remove())
	}
	pl.plan.close = append(pl.plan.close, remove)
	pl.add(Part{Kind: Delta, Feed: number, Size: size, Of: x.Payload.Digest, Base: base.Digest}, func(context.Context) (io.ReadCloser, error) {
		return os.Open(out.Name())
	})
	return true, nil
}

// payload reads a payload of the source from its frames.
func (f Feed) payload(ctx context.Context, x *storage.ChunkIndex) *streamAt {
	return &streamAt{open: func(off int64) io.ReadCloser {
		return x.Open(ctx, off, storage.ChunkSource{Frames: func(at int64) (io.ReadCloser, error) {
			return f.Source.Object(ctx, f.State.ID, x.Frames.Digest, at)
		}})
	}}
}

// streamAt is an io.ReaderAt over what can be read from any offset on, for who
// mostly reads on. It is for one goroutine.
type streamAt struct {
	open func(off int64) io.ReadCloser
	body io.ReadCloser
	at   int64
}

// readOver is how far it is cheaper to read on than to open again, in bytes.
const readOver = 1 << 20

// ReadAt implements io.ReaderAt.
func (s *streamAt) ReadAt(p []byte, off int64) (int, error) {
	if s.body != nil && off > s.at && off-s.at <= readOver {
		n, err := io.CopyN(io.Discard, s.body, off-s.at)
		if s.at += n; err != nil {
			return 0, err
		}
	}
	if s.body == nil || off != s.at {
		if err := s.close(); err != nil {
			return 0, err
		}
		s.body, s.at = s.open(off), off
	}
	n, err := io.ReadFull(s.body, p)
	s.at += int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

func (s *streamAt) close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}

// delta makes a payload out of what the receiver holds.
func (c *carried) delta(ctx context.Context, i int, off int64) (io.ReadCloser, error) {
	raw, err := c.open(i)
	if err != nil {
		return nil, err
	}
	frames := bufio.NewReaderSize(raw, 256<<10)
	head, err := storage.ReadDeltaHead(frames)
	if err != nil {
		return nil, malformed("bundle %s: part %d: %w", c.id.Short(), i, err)
	}
	p := c.list[i]
	if head.Payload.Digest != p.Of || len(head.Bases) != 1 || head.Bases[0].Digest != p.Base {
		return nil, malformed("bundle %s: part %d: is a delta of something else", c.id.Short(), i)
	}
	base, _, closer, err := c.base(ctx, p.Base)
	if err != nil {
		return nil, err
	}
	if off < 0 || off > head.Payload.Size {
		return nil, errors.Join(storage.ErrRange, closer.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	d := &deltaReader{PipeReader: r, cancel: cancel, base: closer, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		err := head.Apply(ctx, w, frames, func(int) (io.ReaderAt, error) { return base, nil })
		if errors.Is(err, storage.ErrBase) {
			err = &BaseError{ID: c.id, Payload: p.Base, Err: err}
		}
		w.CloseWithError(err)
	}()
	if _, err := io.CopyN(io.Discard, d, off); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// deltaReader reads what another goroutine makes.
type deltaReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	base   io.Closer
	done   chan struct{}
}

// Close ends the goroutine too.
func (d *deltaReader) Close() error {
	d.cancel()
	err := d.PipeReader.Close()
	<-d.done
	return errors.Join(err, d.base.Close())
}

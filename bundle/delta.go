package bundle

import (
	"bufio"
	"context"
	"errors"
	"io"

	"airlock/feed"
	"airlock/storage"
)

// bases finds what the receiver holds that a payload may be like: the file at
// the same path of the newest version of the package that it has.
type bases struct {
	feed  Feed
	held  map[string]feed.Row // by kind/name
	known map[storage.Digest]feed.Manifest
}

func newBases(f Feed) *bases {
	b := &bases{feed: f, held: map[string]feed.Row{}, known: map[storage.Digest]feed.Manifest{}}
	if len(f.Have.Manifests) == 0 {
		return b
	}
	for r := range f.State.Index.Rows(0) {
		if r.What == feed.IsPublication && r.Void == "" && f.Have.Manifests[r.Manifest] {
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

// delta is made in a later step: nothing is.
func (pl *planner) delta(context.Context, int, *storage.ChunkIndex, storage.Ref) (bool, error) {
	return false, nil
}

// delta makes a payload out of what the receiver holds.
func (b *Bundle) delta(ctx context.Context, i int, off int64) (io.ReadCloser, error) {
	raw, err := b.part(i)
	if err != nil {
		return nil, err
	}
	frames := bufio.NewReaderSize(raw, 256<<10)
	head, err := storage.ReadDeltaHead(frames)
	if err != nil {
		return nil, malformed("bundle %s: part %d: %w", b.id.Short(), i, err)
	}
	p := b.tables.Parts[i]
	if head.Payload.Digest != p.Of || len(head.Bases) != 1 || head.Bases[0].Digest != p.Base {
		return nil, malformed("bundle %s: part %d: is a delta of something else", b.id.Short(), i)
	}
	base, _, closer, err := b.base(p.Base)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	d := &deltaReader{PipeReader: r, cancel: cancel, base: closer, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		err := head.Apply(ctx, w, frames, func(int) (io.ReaderAt, error) { return base, nil })
		if errors.Is(err, storage.ErrBase) {
			err = &BaseError{ID: b.id, Payload: p.Base, Err: err}
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

package feed

import (
	"context"
	"errors"
	"io"
	"sync"

	"airlock/storage"
)

// Deltas is a Source that keeps deltas between payloads.
type Deltas interface {
	// Delta returns the delta from base to target, an object of the feed's
	// Space, not checked; fs.ErrNotExist where the source has none.
	Delta(ctx context.Context, id ID, base, target storage.Digest) (storage.Ref, error)
}

// BaseFor returns, of the files of an earlier version, the one that a large
// file of the next is most like: that of the same path, else the largest. Only
// one that is large too helps.
func BaseFor[F any](path string, files []F, of func(*F) (string, storage.Ref)) (best *F) {
	var size int64 = storage.ChunkAbove
	for i := range files {
		p, ref := of(&files[i])
		if p == path {
			if ref.Size <= storage.ChunkAbove {
				return nil
			}
			return &files[i]
		}
		if ref.Size > size {
			best, size = &files[i], ref.Size
		}
	}
	return best
}

// OpenDelta opens file i of the manifest as what a delta of the source makes of
// the base that is here; nil where there is no base or no delta. The bytes are
// checked as those of Open are, and no fault of them is the end of the matter:
// a base that was changed or a wrong delta ends in an error, and Open has the
// file all the same.
func (p *Package) OpenDelta(ctx context.Context, i int) io.ReadCloser {
	layer := p.Manifest.Layers[i]
	source, ok := p.source.(Deltas)
	if !ok || layer.Size <= storage.ChunkAbove {
		return nil
	}
	b, ok := p.openBase(i)
	if !ok {
		return nil
	}
	body, err := p.openDelta(ctx, source, layer.Ref, b)
	if err != nil {
		_ = b.Close()
		return nil
	}
	return p.counted(storage.Checked(ctx, body, layer.Ref))
}

// applying holds an element while a delta is applied: one at a time, for each
// takes tens of MiB.
var applying = make(chan struct{}, 1)

// openDelta opens target as base and delta. What the delta says it is from and
// to decides nothing: each piece of the base is checked, and what comes out.
func (p *Package) openDelta(ctx context.Context, source Deltas, target storage.Ref, b Base) (io.ReadCloser, error) {
	ref, err := source.Delta(ctx, p.id, b.Digest, target.Digest)
	if err != nil {
		return nil, err
	}
	if ref.Size > min(target.Size, storage.MaxDelta) {
		return nil, malformed("a delta of %d bytes to a payload of %d", ref.Size, target.Size)
	}
	select {
	case applying <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done := sync.OnceFunc(func() { <-applying })
	raw, err := p.source.Object(ctx, p.id, ref.Digest, 0)
	if err != nil {
		done()
		return nil, err
	}
	delta := storage.Checked(ctx, raw, ref)
	head, err := storage.ReadDeltaHead(delta)
	if err != nil {
		done()
		return nil, errors.Join(err, delta.Close())
	}
	body := head.Open(ctx, delta, func(int) (io.ReaderAt, error) { return b, nil })
	return &withBase{body, func() error { done(); return b.Close() }}, nil
}

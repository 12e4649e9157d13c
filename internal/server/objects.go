package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/storage"
)

// maxInMemory bounds an object that is held whole while a batch is stored.
const maxInMemory = 1 << 20

// collect adds what an entry names to the objects that must be there.
func (in *incoming) collect(ctx context.Context, id feed.ID, e feed.Entry) error {
	for _, ref := range e.Named() {
		if err := in.name(ref); err != nil {
			return malformed(id, fmt.Errorf("%s: %w", e.Ref, err))
		}
	}
	if e.What != feed.IsPublication {
		return nil // documents and pages are their readers' business
	}
	raw, err := in.read(ctx, storage.Ref{Digest: e.Manifest, Size: e.ManifestSize})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // missing() will say so
	}
	if err != nil {
		return fmt.Errorf("%s: manifest: %w", e.Ref, err)
	}
	m, err := feed.ParseManifest(raw)
	if err != nil {
		return malformed(id, fmt.Errorf("%s: %w", e.Ref, err))
	}
	if m.Kind != e.Ref.Kind || m.Version != e.Ref.Version {
		return malformed(id, fmt.Errorf("%s: the manifest is of kind %s, version %s", e.Ref, m.Kind, m.Version))
	}
	in.manifests[e.Manifest] = raw
	for _, l := range m.Layers {
		if err := in.name(l.Ref); err != nil {
			return malformed(id, fmt.Errorf("%s: %s: %w", e.Ref, l.Path, err))
		}
		if l.Size > storage.ChunkAbove {
			in.large[e.Manifest] = true
		}
	}
	return nil
}

// name notes an object that must be there. Two sizes for one digest cannot
// both be right.
func (in *incoming) name(r storage.Ref) error {
	if have, ok := in.named[r.Digest]; ok && have != r.Size {
		return &storage.SizeError{Digest: r.Digest, Want: have, Got: r.Size}
	}
	in.named[r.Digest] = r.Size
	return nil
}

// checkGiven refuses objects that no statement names, or of another size,
// before any is stored.
func (in *incoming) checkGiven() error {
	for d, c := range in.given {
		size, ok := in.named[d]
		if !ok {
			return &feedhttp.RequestError{Why: fmt.Sprintf("object %s is named by no statement of the batch", d)}
		}
		if size != c.Size {
			return &storage.SizeError{Digest: d, Want: size, Got: c.Size}
		}
	}
	return nil
}

// read returns a small object from the batch or the store, checked.
func (in *incoming) read(ctx context.Context, ref storage.Ref) ([]byte, error) {
	c, ok := in.given[ref.Digest]
	if !ok {
		return storage.Read(ctx, in.objects, ref)
	}
	r, err := c.Open(0)
	if err != nil {
		return nil, err
	}
	checked := storage.Checked(ctx, r, ref)
	defer checked.Close()
	return io.ReadAll(checked)
}

// missing returns the named objects that are neither given nor stored.
func (in *incoming) missing(ctx context.Context) ([]storage.Ref, error) {
	var out []storage.Ref
	for d, size := range in.named {
		if _, ok := in.given[d]; ok {
			continue
		}
		info, err := in.objects.Stat(ctx, d)
		if errors.Is(err, fs.ErrNotExist) {
			out = append(out, storage.Ref{Digest: d, Size: size})
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Size != size {
			return nil, &storage.SizeError{Digest: d, Want: size, Got: info.Size}
		}
	}
	return out, nil
}

// store makes the given objects and the statements durable, in a log's stage:
// small ones first, whose bytes are all checked before any of them is visible.
func (in *incoming) store(ctx context.Context, to *log.Log) error {
	items := make([]storage.Item, 0, len(in.given))
	var large []feed.Content
	for d, c := range in.given {
		if c.Size > maxInMemory {
			large = append(large, c)
			continue
		}
		data, ok := in.manifests[d]
		if !ok {
			var err error
			if data, err = in.read(ctx, c.Ref); err != nil {
				return fmt.Errorf("object %s: %w", d, err)
			}
		}
		items = append(items, storage.Item{Ref: c.Ref, Data: data})
	}
	small, together := errgroup.WithContext(ctx)
	small.Go(func() error { return to.Stage(together, in.submissions) })
	if len(items) > 0 {
		small.Go(func() error { return storage.PutAll(together, in.objects, items) })
	}
	if err := small.Wait(); err != nil {
		return err
	}
	for _, c := range large {
		if err := in.storeLarge(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (in *incoming) storeLarge(ctx context.Context, c feed.Content) error {
	r, err := c.Open(0)
	if err != nil {
		return fmt.Errorf("object %s: %w", c.Digest, err)
	}
	defer r.Close()
	return in.objects.Put(ctx, c.Ref, r)
}

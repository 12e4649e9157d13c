package feed

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"airlock/storage"
)

// begin returns a fold that goes on from a state, or reads the feed from its
// start: where there is no state, or with again, where the state is what the
// feed must begin with.
func (f *Follower) begin(id ID, s *State, again bool) *fold {
	w := &fold{id: id, epoch: 1, view: f.View, index: NewIndex()}
	switch {
	case s != nil && again:
		w.epoch, w.passes = s.Epoch, s.Edge
	case s != nil:
		w.epoch, w.logKey, w.edge, w.index = s.Epoch, s.LogKey, s.Edge.Clone(), s.Index
	}
	w.signers = NewSigners(id, w.epoch, f.View, func(ctx context.Context, d storage.Digest, limit int64) ([]byte, error) {
		return ReadObject(ctx, f.Source, id, d, limit)
	})
	if s != nil && !again {
		w.signers.inForce, w.signers.pending = slices.Clone(s.InForce), slices.Clone(s.pending)
	}
	return w
}

// read folds segments up to the size of a checkpoint, which is checked as soon
// as the key to check it with is known: nobody makes us read without end.
func (f *Follower) read(ctx context.Context, w *fold, got Checkpoint) error {
	checked := false
	for s, err := range w.judged(ctx, func(ctx context.Context) iter.Seq2[parsed, error] {
		return f.ahead(ctx, w.id, w.edge.Size(), got.Size)
	}) {
		if err != nil {
			return fmt.Errorf("feed %s: %w", w.id, err)
		}
		if err := w.segment(ctx, s); err != nil {
			return err
		}
		if !checked {
			opened, err := OpenCheckpoint(got.Note, w.id.Origin(w.epoch), w.logKey)
			if err == nil && opened.Size != got.Size {
				err = fmt.Errorf("%w: says size %d, not %d", ErrCheckpoint, opened.Size, got.Size)
			}
			if err != nil {
				return fmt.Errorf("feed %s: %w", w.id, err)
			}
			checked = true
		}
		if f.Progress != nil {
			f.Progress(w.edge.Size(), got.Size)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("feed %s: %w", w.id, err)
	}
	if w.edge.Size() < got.Size {
		return &GapError{ID: w.id, From: w.edge.Size(), To: got.Size}
	}
	return nil
}

// parsed is a segment with what is new in it.
type parsed struct {
	Segment
	items  []item
	judged bool // all items were verified
	err    error
}

// judged verifies segments while the caller works on those before, so that no
// processor waits for what must go one by one. Which leaves count is only known
// once the identities before were read: a segment with one is left to the
// caller, and the next is not touched until the caller is done with it.
func (f *fold) judged(ctx context.Context, ahead func(context.Context) iter.Seq2[parsed, error]) iter.Seq2[parsed, error] {
	return func(yield func(parsed, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		queue, done := make(chan parsed), make(chan struct{})
		go func() {
			defer close(queue)
			for p, err := range ahead(ctx) {
				if p.err = err; err == nil && f.alone(p.items) {
					Parallel(len(p.items), func(i int) { f.verify(&p.items[i]) })
					p.judged = true
				}
				select {
				case queue <- p:
				case <-ctx.Done():
					return
				}
				if p.judged {
					continue
				}
				select {
				case <-done:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range queue { // the source may not be used once Sync has returned
			}
		}()
		for p := range queue {
			if !yield(p, p.err) || p.err != nil {
				return
			}
			if !p.judged {
				select {
				case done <- struct{}{}:
				case <-ctx.Done():
				}
			}
		}
	}
}

// alone reports whether items can be verified without knowing what is before
// them in their segment.
func (f *fold) alone(items []item) bool {
	return len(items) > 0 && items[0].index > 0 && !slices.ContainsFunc(items, func(it item) bool { return it.identity })
}

// ahead reads and parses segments while the caller works on those before.
func (f *Follower) ahead(ctx context.Context, id ID, from, to int64) iter.Seq2[parsed, error] {
	return func(yield func(parsed, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		queue := make(chan parsed, 4)
		go func() {
			defer close(queue)
			for s, err := range f.Source.Segments(ctx, id, from, to) {
				p := parsed{Segment: s, err: err}
				if err == nil {
					p.items = readItems(s, from, to)
				}
				select {
				case queue <- p:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range queue { // the source may not be used once Sync has returned
			}
		}()
		for p := range queue {
			if !yield(p, p.err) {
				return
			}
		}
	}
}

// ReadObject reads a small object of a source whole, as ReadWhole does.
func ReadObject(ctx context.Context, src Source, id ID, d storage.Digest, limit int64) ([]byte, error) {
	return ReadWhole(ctx, func(ctx context.Context, d storage.Digest, off int64) (io.ReadCloser, error) {
		return src.Object(ctx, id, d, off)
	}, d, limit)
}

// ReadWhole reads an object of at most limit bytes whole and checks it against
// its digest. open is a source's Object or a store's Get.
func ReadWhole(ctx context.Context, open func(context.Context, storage.Digest, int64) (io.ReadCloser, error), d storage.Digest, limit int64) ([]byte, error) {
	r, err := open(ctx, d, 0)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", d, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", d, err)
	}
	if int64(len(b)) > limit {
		return nil, malformed("object %s: more than %d bytes", d, limit)
	}
	if got := storage.DigestOf(b); got != d {
		return nil, &storage.DigestError{Want: d, Got: got}
	}
	return b, nil
}

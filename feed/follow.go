package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"reflect"
	"time"

	"airlock/storage"
	"airlock/trust"
)

// Follower reads feeds from any Source and checks everything: there is no
// other way from a source to something that may be applied.
//
// Sync accepts a feed up to its newest checkpoint: each statement is verified,
// the tree is computed again from the entries, and only when it gives the
// signed root is the new state kept. What the entries mean is then in the
// state's index.
type Follower struct {
	Source Source
	View   *trust.View
	// State keeps what was seen, in the follower's own home.
	State *storage.Store
	Now   func() time.Time
	// Learned, where set, is told of identity versions that were new, before
	// the state that rests on them is kept.
	Learned func(*trust.History) error
	// Progress, where set, is told how many entries were read and how many
	// there are.
	Progress func(done, total int64)
}

// Report says what a Sync found.
type Report struct {
	ID       ID
	From, To int64 // sizes before and after
	// Void holds why entries among the new ones do not count.
	Void map[int64]error
}

// Sync brings the state of a feed up to the source's newest checkpoint. On any
// error the state stays as it was; the view may have learned from entries that
// were not accepted, so take a new one then.
//
// Several processes may follow for one home. Who finds that another was faster
// begins again from what that one accepted.
func (f *Follower) Sync(ctx context.Context, id ID) (*State, Report, error) {
	for range maxYields {
		state, report, err := f.sync(ctx, id)
		if !errors.Is(err, storage.ErrConflict) {
			return state, report, err
		}
	}
	return nil, Report{ID: id}, fmt.Errorf("state of feed %s: %w", id, storage.ErrConflict)
}

const maxYields = 20

func (f *Follower) sync(ctx context.Context, id ID) (*State, Report, error) {
	lineage := f.View.History().Lineage()
	report := Report{ID: id}
	state, err := LoadState(ctx, f.State, lineage, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		state = nil
	case err != nil:
		return nil, report, err
	default:
		report.From = state.Edge.Size()
	}
	got, err := f.Source.Checkpoint(ctx, id)
	if err != nil {
		return nil, report, fmt.Errorf("feed %s: %w", id, err)
	}
	again := false
	if state != nil {
		current, err := f.compare(ctx, state, got)
		if err != nil {
			return nil, report, err
		}
		again = !f.restore(state)
		if current && !again {
			report.To = state.Edge.Size()
			return state, report, nil
		}
	}
	return f.extend(ctx, id, state, got, again, report)
}

// restore puts the identities of an earlier sync in force again. It reports
// whether the state still stands: not where a key was revoked since, which
// reaches back, or where identities that it rests on are no longer known.
func (f *Follower) restore(s *State) bool {
	for _, i := range s.InForce {
		if f.View.History().Version(i.Version) == nil {
			return false
		}
		f.View.PutInForce(i.Version, trust.Position{Feed: s.ID.String(), Epoch: s.Epoch, Index: i.From})
	}
	return !f.revokedSince(s.Identity)
}

// revokedSince reports whether an identity after that version revokes a key
// that it did not revoke. A revocation holds for entries before it too, so all
// trust entries are read before any other counts.
func (f *Follower) revokedSince(version int) bool {
	history := f.View.History()
	known := history.Version(version)
	return known == nil || !reflect.DeepEqual(known.Revocations, history.Current().Revocations)
}

// compare holds the source's checkpoint against what was seen. It reports
// whether there is nothing new.
func (f *Follower) compare(ctx context.Context, s *State, got Checkpoint) (current bool, err error) {
	opened, err := OpenCheckpoint(got.Note, s.ID.Origin(s.Epoch), s.LogKey)
	if err != nil {
		return false, fmt.Errorf("feed %s: %w", s.ID, err)
	}
	root := s.Edge.Root()
	switch {
	case opened.Size < s.Edge.Size():
		return false, f.keepEvidence(ctx, &RollbackError{ID: s.ID, Seen: s.Checkpoint(), Got: opened})
	case opened.Size == s.Edge.Size() && opened.Root != root:
		return false, f.keepEvidence(ctx, &RollbackError{ID: s.ID, Seen: s.Checkpoint(), Got: opened, Fork: true})
	}
	return opened.Size == s.Edge.Size(), nil
}

// extend folds what is new and keeps it if it gives the signed root. With again
// it reads the whole feed, of which what was seen must be the beginning.
func (f *Follower) extend(ctx context.Context, id ID, state *State, got Checkpoint, again bool, report Report) (*State, Report, error) {
	known := f.View.History().Current().Version
	var w *fold
	for first := true; first || again; first = false {
		before := f.View.History().Current().Version
		w = f.begin(id, state, again)
		if err := f.read(ctx, w, got); err != nil {
			return nil, report, err
		}
		if again {
			report.From = 0
		}
		again = f.revokedSince(before)
	}
	opened, err := OpenCheckpoint(got.Note, id.Origin(w.epoch), w.logKey)
	if err != nil {
		return nil, report, fmt.Errorf("feed %s: %w", id, err)
	}
	if root := w.edge.Root(); root != opened.Root || w.edge.Size() != opened.Size {
		return nil, report, f.wrongRoot(ctx, w, state, opened)
	}
	if w.missed {
		return nil, report, f.keepEvidence(ctx, &RollbackError{ID: id, Seen: state.Checkpoint(), Got: opened, Fork: true})
	}
	next := &State{ID: id, Lineage: f.View.History().Lineage(), Epoch: w.epoch, LogKey: w.logKey, Edge: w.edge, Note: opened.Note,
		InForce: w.inForce, Identity: f.View.History().Current().Version, SeenAt: f.Now(), Index: w.index, pending: w.pending}
	if state != nil {
		next.tag, next.pages = state.tag, state.pages
	}
	if f.Learned != nil && f.View.History().Current().Version > known {
		if err := f.Learned(f.View.History()); err != nil {
			return nil, report, err
		}
	}
	if err := f.saveOrYield(ctx, next); err != nil {
		return nil, report, err
	}
	report.To, report.Void = opened.Size, w.reasons
	return next, report, nil
}

// saveOrYield saves the state. Where another process of this home was faster
// the error matches storage.ErrConflict, unless it saved the same.
func (f *Follower) saveOrYield(ctx context.Context, next *State) error {
	err := next.save(ctx, f.State)
	if err == nil || !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
		return err
	}
	other, loadErr := LoadState(ctx, f.State, next.Lineage, next.ID)
	if loadErr != nil {
		return errors.Join(storage.ErrConflict, loadErr)
	}
	if other.Edge.Size() == next.Edge.Size() && other.Edge.Root() == next.Edge.Root() {
		next.tag = other.tag
		return nil
	}
	return fmt.Errorf("feed %s: %w", next.ID, storage.ErrConflict)
}

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
		w.inForce = append(w.inForce, s.InForce...)
		w.pending = append(w.pending, s.pending...)
	}
	w.document = func(ctx context.Context, d storage.Digest, limit int64) ([]byte, error) {
		return ReadObject(ctx, f.Source, id, d, limit)
	}
	return w
}

// read folds segments up to the size of a checkpoint, which is checked as soon
// as the key to check it with is known: nobody makes us read without end.
func (f *Follower) read(ctx context.Context, w *fold, got Checkpoint) error {
	checked := false
	for s, err := range f.ahead(ctx, w.id, w.edge.Size(), got.Size) {
		if err != nil {
			return fmt.Errorf("feed %s: %w", w.id, err)
		}
		if keep := got.Size - s.Start; keep < int64(len(s.Statements)) {
			s.Statements = s.Statements[:max(keep, 0)]
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

// ahead reads segments while the caller works on those before.
func (f *Follower) ahead(ctx context.Context, id ID, from, to int64) iter.Seq2[Segment, error] {
	type next struct {
		segment Segment
		err     error
	}
	return func(yield func(Segment, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		queue := make(chan next, 4)
		go func() {
			defer close(queue)
			for s, err := range f.Source.Segments(ctx, id, from, to) {
				select {
				case queue <- next{s, err}:
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
		for n := range queue {
			if !yield(n.segment, n.err) {
				return
			}
		}
	}
}

// ReadObject reads a small object whole and checks it against its digest.
func ReadObject(ctx context.Context, src Source, id ID, d storage.Digest, limit int64) ([]byte, error) {
	r, err := src.Object(ctx, id, d, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("object %s: more than %d bytes", d, limit)
	}
	if got := storage.DigestOf(b); got != d {
		return nil, &storage.DigestError{Want: d, Got: got}
	}
	return b, nil
}

package feed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	// Accepted, where set, is told of a state before it is kept, and from which
	// entry on it is new. It may be told again of entries that it knows.
	Accepted func(ctx context.Context, s *State, from int64) error
	// Bases, where set, returns what is here of a file of an earlier version of
	// a package: chunks that it has are not fetched.
	Bases func(r Ref, path string) (Base, bool)
	// FromSnapshot lets a newcomer to another Space's feed begin at the newest
	// snapshot that the Space signed in it, instead of at its first entry.
	FromSnapshot bool
	// Late is set for a source that stays as it is, such as a medium: it may come
	// after a newer one. Where it has but the beginning of what was accepted, that
	// is no rollback: Sync returns what was accepted, and Report.Late.
	Late bool
	// Progress, where set, is told how many entries were read and how many
	// there are.
	Progress func(done, total int64)
	// Reading, where set, is told of the bytes of packages' files as they are
	// read: how many more. Files may be read by several goroutines.
	Reading func(n int)
}

// Report says what a Sync found.
type Report struct {
	ID       ID
	From, To int64 // sizes before and after
	// Void holds why entries among the new ones do not count.
	Void map[int64]error
	// Snapshot is the number of entries that were taken from a snapshot of the
	// Space and not read: see Follower.FromSnapshot.
	Snapshot int64
	// Late is the number of entries that a late source has, where more were
	// accepted before: see Follower.Late. Else it is 0.
	Late int64
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
	got, err := f.newest(ctx, id, report.From)
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
		if got.Size < state.Edge.Size() {
			if again {
				// All must be read again, and is not there.
				return nil, report, &GapError{ID: id, From: got.Size, To: state.Edge.Size()}
			}
			report.Late = got.Size
		}
		if current && !again {
			report.To = state.Edge.Size()
			return state, report, nil
		}
	}
	return f.extend(ctx, id, state, got, again, report)
}

// newest returns the source's newest checkpoint. A source may be many servers,
// one of which has not seen yet what another said: where it shows less than was
// accepted, it is asked once more and told so.
func (f *Follower) newest(ctx context.Context, id ID, accepted int64) (Checkpoint, error) {
	got, err := f.Source.Checkpoint(ctx, id)
	if err != nil || got.Size >= accepted || f.Late {
		return got, err
	}
	waiter, ok := f.Source.(Waiter)
	if !ok {
		return got, nil
	}
	heads, err := waiter.Heads(ctx, map[ID]int64{id: accepted}, 0)
	if err != nil {
		return Checkpoint{}, err
	}
	if head, ok := heads[id]; ok {
		return head, nil
	}
	return f.Source.Checkpoint(ctx, id)
}

// restore puts the identities of an earlier sync in force again. It reports
// whether the state still stands.
func (f *Follower) restore(s *State) bool {
	if f.outdated(s.Identity) {
		return false
	}
	f.putInForce(s)
	return true
}

func (f *Follower) putInForce(s *State) {
	for _, i := range s.InForce {
		f.View.PutInForce(i.Version, s.At(i.From))
	}
}

// outdated reports whether entries must be judged again that were judged when
// that identity version was the newest: where a key was revoked since, for a
// revocation holds for entries before it too (all trust entries are read before
// any other counts), and where that version is not known any more.
func (f *Follower) outdated(version int) bool {
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
	case opened.Size < s.Edge.Size() && f.Late:
		return true, f.begins(ctx, s, opened)
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
	if state == nil && f.FromSnapshot && f.View.Policy() != nil && got.Size > PageSize {
		var err error
		if w, err = f.goOn(ctx, id, got); err != nil && ctx.Err() != nil {
			return nil, report, fmt.Errorf("feed %s: %w", id, ctx.Err())
		} else if err == nil {
			report.Snapshot = w.began
		}
	}
	for first := w == nil; first || again; first = false {
		before := f.View.History().Current().Version
		w = f.begin(id, state, again)
		if err := f.read(ctx, w, got); err != nil {
			return nil, report, err
		}
		if again {
			report.From = 0
		}
		again = f.outdated(before)
	}
	opened, err := OpenCheckpoint(got.Note, id.Origin(w.epoch), w.logKey)
	if err != nil {
		return nil, report, fmt.Errorf("feed %s: %w", id, err)
	}
	if root := w.edge.Root(); root != opened.Root || w.edge.Size() != opened.Size || w.unread != nil {
		return nil, report, f.wrongRoot(ctx, w, state, opened)
	}
	if w.missed {
		return nil, report, f.keepEvidence(ctx, &RollbackError{ID: id, Seen: state.Checkpoint(), Got: opened, Fork: true})
	}
	// The Space itself may, or it could never carry its identity there.
	if state == nil && f.View.Policy() != nil {
		if err := w.signers.CheckOpener(); err != nil {
			return nil, report, err
		}
	}
	next := &State{ID: id, Lineage: f.View.History().Lineage(), Epoch: w.epoch, LogKey: w.logKey, Edge: w.edge, Note: opened.Note,
		InForce: w.signers.inForce, Identity: f.View.History().Current().Version, SeenAt: f.Now(), Index: w.index, pending: w.signers.pending}
	if state != nil {
		next.tag, next.pages = state.tag, state.pages
	}
	if f.Learned != nil && f.View.History().Current().Version > known {
		if err := f.Learned(f.View.History()); err != nil {
			return nil, report, err
		}
	}
	if f.Accepted != nil {
		if err := f.Accepted(ctx, next, report.From); err != nil {
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

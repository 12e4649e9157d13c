package feed

import (
	"context"
	"errors"
	"fmt"

	"airlock/storage"
)

// RollbackError reports a source that shows less than was seen before, or
// something else at the same place. Both checkpoints are signed by the feed's
// own key, so the two notes together prove it to anybody.
type RollbackError struct {
	ID        ID
	Seen, Got Checkpoint
	Fork      bool
}

func (e *RollbackError) Error() string {
	if e.Fork {
		return fmt.Sprintf("feed %s: was forked: at size %d its root was %s, and now its history is another", e.ID, e.Seen.Size, e.Seen.Root)
	}
	return fmt.Sprintf("feed %s: went back: size %d was seen, the source shows %d", e.ID, e.Seen.Size, e.Got.Size)
}

// Is matches ErrForked where the feed was forked.
func (e *RollbackError) Is(target error) bool { return e.Fork && target == ErrForked }

// ErrRoot reports entries that do not add up to the signed root.
var ErrRoot = errors.New("the entries do not give the signed root")

// begins holds what a source shows of the first entries against those that were
// accepted, by their statements; of a medium that begins later, what it has. One
// that shows others is a *RollbackError. What is the same is not read any
// further, so nothing that it shows beside them is believed.
func (f *Follower) begins(ctx context.Context, s *State, c Checkpoint) error {
	same, whole := true, true
	var edge Edge
	for next := int64(0); next < c.Size; {
		before := next
		for p, err := range f.ahead(ctx, s.ID, next, c.Size) {
			if gap, ok := errors.AsType[*GapError](err); ok {
				next, whole = max(next, gap.To), false
				break
			}
			if err != nil {
				return fmt.Errorf("feed %s: %w", s.ID, err)
			}
			for _, it := range p.items {
				whole = whole && it.index == next
				same = same && it.unread == nil && it.att.ID() == s.Index.Row(it.index).ID
				edge.Append(it.leaf)
				next = it.index + 1
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("feed %s: %w", s.ID, err)
		}
		if next == before {
			whole = false
			break
		}
	}
	switch {
	case whole && edge.Root() != c.Root:
		return fmt.Errorf("feed %s: %w: %s at size %d, computed %s", s.ID, ErrRoot, c.Root, c.Size, edge.Root())
	case !same:
		// Entries that are all there prove to anybody what the head stands for.
		return f.keepEvidence(ctx, &RollbackError{ID: s.ID, Seen: s.Checkpoint(), Got: c, Fork: whole})
	}
	return nil
}

// wrongRoot tells a fork from a damaged source: if the tree that was signed
// does not begin with what was seen, the key signed two histories.
func (f *Follower) wrongRoot(ctx context.Context, w *fold, state *State, opened Checkpoint) error {
	err := fmt.Errorf("feed %s: %w: %s at size %d, computed %s", w.id, ErrRoot, opened.Root, opened.Size, w.edge.Root())
	if w.unread != nil {
		err = w.unread // the root could not have been right
	}
	if state == nil {
		return err
	}
	forked := f.forkedByEntries
	if tiles, ok := f.Source.(Tiles); ok {
		forked = func(ctx context.Context, s *State, c Checkpoint) bool { return forkedByTiles(ctx, tiles, s, c) }
	}
	if forked(ctx, state, opened) {
		return f.keepEvidence(ctx, &RollbackError{ID: w.id, Seen: state.Checkpoint(), Got: opened, Fork: true})
	}
	return err
}

// forkedByTiles asks the tree of a checkpoint whether it begins with the state's.
// Tiles that do not belong to the checkpoint prove nothing.
func forkedByTiles(ctx context.Context, src Tiles, s *State, c Checkpoint) bool {
	begins, err := beginsWith(ctx, src, s.ID, c, s.Checkpoint())
	return err == nil && !begins
}

// Compare holds a checkpoint that somebody else saw of a feed against what was
// accepted, and returns it opened. One that is no beginning of our history, at
// its size, is a fork: a *RollbackError, and both heads are kept. One that is
// larger than ours is returned as it is. The source must be Tiles.
func (f *Follower) Compare(ctx context.Context, s *State, note []byte) (Checkpoint, error) {
	theirs, err := OpenCheckpoint(note, s.ID.Origin(s.Epoch), s.LogKey)
	if err != nil {
		return theirs, fmt.Errorf("feed %s: %w", s.ID, err)
	}
	ours := s.Checkpoint()
	if theirs.Size > ours.Size {
		return theirs, nil
	}
	tiles, ok := f.Source.(Tiles)
	if !ok {
		return theirs, fmt.Errorf("feed %s: the source has no hash tiles: %w", s.ID, errors.ErrUnsupported)
	}
	begins, err := beginsWith(ctx, tiles, s.ID, ours, theirs)
	if err != nil {
		return theirs, err
	}
	if !begins {
		return theirs, f.keepEvidence(ctx, &RollbackError{ID: s.ID, Seen: theirs, Got: ours, Fork: true})
	}
	return theirs, nil
}

// forkedByEntries is forkedByTiles for a source without tiles: it reads all
// entries of the checkpoint's tree.
func (f *Follower) forkedByEntries(ctx context.Context, s *State, c Checkpoint) bool {
	w := &fold{id: s.ID, passes: s.Edge}
	for next, err := range f.ahead(ctx, s.ID, 0, c.Size) {
		if err != nil || len(next.items) == 0 || next.items[0].index != w.edge.Size() {
			return false
		}
		if w.grow(next.items); w.unread != nil {
			return false
		}
	}
	return w.missed && w.edge.Size() == c.Size && w.edge.Root() == c.Root
}

// keepEvidence stores both signed heads: together they prove to anybody that
// the key signed two histories.
func (f *Follower) keepEvidence(ctx context.Context, e *RollbackError) error {
	for _, c := range []Checkpoint{e.Seen, e.Got} {
		key := fmt.Sprintf("evidence/%s/%d-%s", e.ID, c.Size, storage.Digest(c.Root).Hex())
		if err := f.State.Files.Create(ctx, key, c.Note); err != nil && !errors.Is(err, storage.ErrExists) {
			return errors.Join(e, err)
		}
	}
	return e
}

package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"airlock/signing"
	"airlock/trust"
)

// fold reads a feed's entries one after the other and keeps what they add up
// to: edge, index, identities. It trusts nothing but the view it was given.
type fold struct {
	id     ID
	epoch  uint64
	view   *trust.View
	index  *Index
	edge   Edge
	logKey []byte // nil until entry 0 was read

	signers *Signers
	reasons map[int64]error // why entries are void, for this fold
	unread  *UnreadError    // the first entry that has no place in a tree

	// passes is the edge that the tree must have at its size: what was seen
	// before. missed is set where it has another one.
	passes Edge
	missed bool

	began int64 // entries that were taken from a snapshot
}

// segment folds the statements of a segment, from the first one it has not
// seen; items are what readItems made of it. Only an error of the log itself
// comes back; what is wrong with single entries makes them void.
func (f *fold) segment(ctx context.Context, s parsed) error {
	size, items := f.edge.Size(), s.items
	if s.Start > size {
		return &GapError{ID: f.id, From: size, To: s.Start}
	}
	if len(s.Statements) > SegmentSize || len(items) == 0 || items[0].index != size {
		return fmt.Errorf("feed %s: the source gives %d entries from %d on where those after %d were asked for", f.id, len(s.Statements), s.Start, size)
	}
	f.grow(items)
	if items[0].index == 0 {
		used, err := f.open(ctx, items)
		if err != nil {
			return err
		}
		items = items[used:]
	}
	// Entries are verified together, from one identity to the next: which
	// leaves count is only known once the identity before them was read.
	for len(items) > 0 {
		run := 0
		for run < len(items) && !items[run].identity {
			run++
		}
		if !s.judged {
			Parallel(run, func(i int) { f.verify(&items[i]) })
		}
		for i := range run {
			if err := f.add(&items[i]); err != nil {
				return err
			}
		}
		if run < len(items) {
			if err := f.addIdentity(ctx, &items[run]); err != nil {
				return err
			}
			run++
		}
		items = items[run:]
	}
	return nil
}

// grow adds the entries to the tree.
func (f *fold) grow(items []item) {
	for i := range items {
		if items[i].unread != nil && f.unread == nil {
			f.unread = &UnreadError{ID: f.id, Index: items[i].index, Err: items[i].unread}
		}
		f.edge.Append(items[i].leaf)
		if f.edge.Size() == f.passes.Size() {
			f.missed = f.edge.Root() != f.passes.Root()
		}
	}
}

// open reads entry 0 and the identities right behind it. Entry 0 names the
// identity version under which the feed was opened, so that one is learned
// before entry 0 is verified. Without entry 0 there is no key to check
// anything with, so here an error ends the fold.
func (f *fold) open(ctx context.Context, items []item) (used int, err error) {
	fail := func(err error) (int, error) {
		return 0, fmt.Errorf("feed %s: entry 0 does not open it: %w", f.id, err)
	}
	if err := cmp.Or(items[0].unread, items[0].denied); err != nil {
		return fail(err)
	}
	if err := f.signers.Open(items[0].att); err != nil {
		return fail(err)
	}
	f.logKey = f.signers.opening.LogKey
	f.index.Add(Row{ID: items[0].att.ID(), What: IsOpening})
	for used = 1; used < len(items) && items[used].identity && f.signers.Opened() != nil; used++ {
		if err := f.addIdentity(ctx, &items[used]); err != nil {
			return fail(err)
		}
	}
	if err := f.signers.Opened(); err != nil {
		return fail(err)
	}
	if _, err := f.view.Verify(items[0].att, trust.Want{Kind: signing.Feed}, f.signers.at(0)); err != nil {
		return fail(err)
	}
	return used, nil
}

// add gives an entry its row.
func (f *fold) add(it *item) error {
	row, err := it.entry.Row(it.index), it.denied
	if err == nil {
		err = f.index.Check(it.entry)
	}
	if err != nil {
		// What was said stays a link, though it does not count: rule 4.3.
		row.Link = f.index.Follows(it.entry)
		f.void(&row, err)
		return nil
	}
	if it.entry.What == IsOther {
		kind := it.verified.Statement().Kind
		row.Ref.Kind = string(kind)
		if it.verified.Bound().Critical && !knownKind(kind) {
			return &CriticalError{ID: f.id, Index: it.index, Kind: kind}
		}
	}
	f.index.Add(row)
	return nil
}

// addIdentity gives an identity statement its row, and learns from it.
func (f *fold) addIdentity(ctx context.Context, it *item) error {
	row := Row{Index: it.index, ID: it.att.ID(), What: IsIdentity}
	if i, ok := f.index.Holds(row.ID); ok {
		f.void(&row, &RepeatedError{ID: row.ID, Index: i})
		return nil
	}
	if err := f.signers.Add(ctx, it.index, it.att); err != nil {
		if errors.Is(err, ErrDocument) {
			return &documentError{err}
		}
		f.void(&row, err)
		return nil
	}
	f.index.Add(row)
	return nil
}

// knownKind reports whether this version knows what a kind is for, if only to
// leave it alone.
func knownKind(k signing.Kind) bool {
	switch k {
	case signing.Feed, signing.Identity, signing.Publication, signing.Withdrawal, signing.Approval, signing.Holdings:
		return true
	}
	return false
}

// void adds a row that does not count: shown, never applied.
func (f *fold) void(row *Row, why error) {
	row.Void = why.Error()
	if f.reasons == nil {
		f.reasons = map[int64]error{}
	}
	f.reasons[row.Index] = why
	f.index.Add(*row)
}

// OpenedAgainError reports a second opening inside a feed.
type OpenedAgainError struct{}

func (*OpenedAgainError) Error() string { return "opens a feed that is open" }

// UnreadError reports an entry that has no place in a tree, since its bytes are
// no attestation. It matches ErrRoot: what the feed holds cannot be checked.
type UnreadError struct {
	ID    ID
	Index int64
	Err   error
}

func (e *UnreadError) Error() string {
	return fmt.Sprintf("feed %s: entry %d has no place in a tree: %v", e.ID, e.Index, e.Err)
}

// Unwrap returns ErrRoot, and what is wrong with the bytes.
func (e *UnreadError) Unwrap() []error { return []error{ErrRoot, e.Err} }

// documentError is an ErrDocument that does not match fs.ErrNotExist: the source
// has the feed, and not all of it.
type documentError struct{ cause error }

func (e *documentError) Error() string        { return e.cause.Error() }
func (e *documentError) Is(target error) bool { return target == ErrDocument }

// GapError reports entries that a source does not have.
type GapError struct {
	ID       ID
	From, To int64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("feed %s: entries %d to %d are missing", e.ID, e.From, e.To-1)
}

// CriticalError reports an entry that says it must be understood, and is not.
type CriticalError struct {
	ID    ID
	Index int64
	Kind  signing.Kind
}

func (e *CriticalError) Error() string {
	return fmt.Sprintf("feed %s: entry %d is of kind %s, which must be understood and is not known to this version", e.ID, e.Index, e.Kind)
}

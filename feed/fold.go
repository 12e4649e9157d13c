package feed

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
	"airlock/storage"
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
	// document fetches a document object, checked against its digest.
	document func(ctx context.Context, d storage.Digest, limit int64) ([]byte, error)

	opening   int                                // identity version in force when the feed was opened
	leading   bool                               // still in the run of identities after entry 0
	pending   []signing.Attestation              // about identities that more statements must put in force
	documents map[storage.Digest]*trust.Identity // of pending ones
	inForce   []InForce
	reasons   map[int64]error // why entries are void, for this fold
	unread    error           // why the first entry that is no attestation is none

	// passes is the edge that the tree must have at its size: what was seen
	// before. missed is set where it has another one.
	passes Edge
	missed bool
}

// InForce is an identity version and the entry from which it holds.
type InForce struct {
	From    int64 `json:"from"`
	Version int   `json:"version"`
}

// item is an entry on its way through the fold.
type item struct {
	index    int64
	att      signing.Attestation
	parsed   error
	leaf     tlog.Hash
	identity bool
	verified trust.Verified
	entry    Entry
	denied   error // why it does not count, whatever came before it
}

// segment folds the statements of a segment, from the first one it has not
// seen; items are what readItems made of it. Only an error of the log itself
// comes back; what is wrong with single entries makes them void.
func (f *fold) segment(ctx context.Context, s Segment, items []item) error {
	size := f.edge.Size()
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
		Parallel(run, func(i int) { f.verify(&items[i]) })
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
		if items[i].parsed != nil && f.unread == nil {
			f.unread = fmt.Errorf("entry %d: %w", items[i].index, items[i].parsed)
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
	if items[0].parsed != nil {
		return fail(items[0].parsed)
	}
	st, err := signing.ParseStatement(items[0].att.Payload())
	if err != nil {
		return fail(err)
	}
	if st.Kind != signing.Feed {
		return fail(fmt.Errorf("is a statement of kind %s", st.Kind))
	}
	o, err := parseOpening(st, f.id, f.epoch)
	if err != nil {
		return fail(err)
	}
	f.opening, f.logKey, f.leading = o.Identity, o.LogKey, true
	f.index.Add(Row{ID: items[0].att.ID(), What: IsOpening})
	known := func() bool { return f.view.History().Version(o.Identity) != nil }
	at := trust.Position{Feed: f.id.String(), Epoch: f.epoch}
	if known() {
		f.putInForce(o.Identity, at)
	}
	for used = 1; used < len(items) && items[used].identity && !known(); used++ {
		if err := f.addIdentity(ctx, &items[used]); err != nil {
			return fail(err)
		}
	}
	if _, err := f.view.Verify(items[0].att, trust.Want{Kind: signing.Feed}, at); err != nil {
		return fail(err)
	}
	return used, nil
}

// putInForce records from where a version holds, for the view and the state.
func (f *fold) putInForce(version int, from trust.Position) {
	f.view.PutInForce(version, from)
	if n := len(f.inForce); n > 0 && f.inForce[n-1].Version >= version {
		return
	} else if n > 0 && f.inForce[n-1].From == from.Index {
		f.inForce[n-1].Version = version
		return
	}
	f.inForce = append(f.inForce, InForce{from.Index, version})
}

var identityType = []byte(`"predicateType":"` + signing.Identity.PredicateType() + `"`)

// readItems parses the statements of a segment from index from on, up to (not
// including) to.
func readItems(s Segment, from, to int64) []item {
	first := max(from-s.Start, 0)
	statements := s.Statements[:max(min(to-s.Start, int64(len(s.Statements))), 0)]
	if first >= int64(len(statements)) || len(statements) > SegmentSize {
		return nil
	}
	items := make([]item, int64(len(statements))-first)
	for i := range items {
		at := first + int64(i)
		items[i].read(s.Start+at, statements[at])
	}
	return items
}

// read parses a stored statement. What does not parse has no log entry that we
// could compute, so its leaf hash cannot match: the root will tell.
func (it *item) read(index int64, raw []byte) {
	it.index = index
	if it.att, it.parsed = signing.ParseAttestation(raw); it.parsed == nil {
		it.leaf = LeafHash(it.att)
		it.identity = bytes.Contains(it.att.Payload(), identityType)
	}
}

// verify does what can be said of an entry alone. It is called concurrently.
func (f *fold) verify(it *item) {
	it.entry.ID = it.att.ID()
	if it.parsed != nil {
		it.denied = it.parsed
		return
	}
	if it.verified, it.denied = f.view.Verify(it.att, trust.Want{}, f.at(it.index)); it.denied != nil {
		return
	}
	it.entry, it.denied = ParseEntry(it.att.ID(), it.verified.Statement())
	if it.denied == nil && it.entry.What == IsOpening {
		it.denied = &OpenedAgainError{}
	}
}

// add gives an entry its row.
func (f *fold) add(it *item) error {
	f.leading = false
	row, err := it.entry.Row(it.index), it.denied
	if err == nil {
		err = f.index.Check(it.entry)
	}
	if err != nil {
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

// knownKind reports whether this version knows what a kind is for, if only to
// leave it alone.
func knownKind(k signing.Kind) bool {
	switch k {
	case signing.Feed, signing.Identity, signing.Publication, signing.Withdrawal:
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

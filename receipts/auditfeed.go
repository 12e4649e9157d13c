package receipts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

func compareWanted(a, b Wanted) int {
	return cmp.Or(cmp.Compare(a.ID.String(), b.ID.String()), cmp.Compare(a.Epoch, b.Epoch))
}

// signedAt is a time that the source of a feed signed, and the entry with it.
type signedAt struct {
	index int64
	when  time.Time
}

// Feed reads a feed that receipts speak of and that f has just followed: whether
// it holds what was acted on, whether its log is the one that was shown, what
// was published and never answered for.
func (a *Audit) Feed(ctx context.Context, f *feed.Follower, s *feed.State) error {
	at := a.sources[source{s.ID, s.Epoch}]
	if at == nil {
		at = &answered{lineage: s.Lineage}
		a.sources[source{s.ID, s.Epoch}] = at
	}
	origin := s.ID.Origin(s.Epoch)
	shown := a.shown(origin, s)
	times := map[int64]time.Time{} // of publications
	err := walk(ctx, f, s, readTime, func(w *walked, before *feed.Edge) error {
		a.sameRoot(origin, shown[before.Size()], before, s)
		when, ok := w.read.(time.Time)
		if !ok {
			return nil
		}
		if w.row.What == feed.IsPublication {
			times[w.row.Index] = when
		}
		if n := len(at.signed); n == 0 || at.signed[n-1].when.Before(when) {
			at.signed = append(at.signed, signedAt{w.row.Index, when})
		}
		return nil
	})
	if err != nil {
		return err
	}
	at.read = true
	a.sameRoot(origin, shown[s.Edge.Size()], &s.Edge, s)
	a.match(s)
	if a.options.Due > 0 {
		a.unanswered(s, times)
	}
	return nil
}

// readTime reads when a publication, a withdrawal or a sign of life was signed.
func readTime(w *walked) {
	var said struct {
		Time string `json:"time"`
	}
	if w.row.What != feed.IsPublication && w.row.What != feed.IsWithdrawal && w.row.Ref.Kind != string(signing.Holdings) {
		return
	}
	// The forms of these predicates were checked when they were accepted.
	if json.Unmarshal(w.verified.Statement().Predicate, &said) != nil {
		return
	}
	if when, err := signing.ParseTime(said.Time); err == nil {
		w.read = when
	}
}

// shown returns the checkpoints of a log that somebody was shown. Those that the
// log's key did not sign, and those of a longer log than is read here, are
// findings.
func (a *Audit) shown(origin string, s *feed.State) map[int64][]sighting {
	out := map[int64][]sighting{}
	for size, all := range a.ledger.seen[origin] {
		for _, seen := range all {
			_, err := feed.OpenCheckpoint([]byte(seen.note), origin, s.LogKey)
			switch {
			case err != nil:
				a.find(Finding{Kind: Note, Severity: Forged, Origin: origin, From: size, A: seen.by, NoteA: seen.note, Why: fmt.Sprintf("names a checkpoint of size %d that the log of %s did not sign", size, s.ID)})
			case size > s.Edge.Size():
				a.find(Finding{Kind: Behind, Severity: Incomplete, Origin: origin, From: size, A: seen.by, B: Place{Feed: s.ID}, NoteA: seen.note, NoteB: string(s.Note),
					Why: fmt.Sprintf("was shown %d entries of %s, and here are %d: read a newer copy", size, s.ID, s.Edge.Size())})
			default:
				out[size] = append(out[size], seen)
			}
		}
	}
	return out
}

// sameRoot holds what was shown at a size against the tree at that size.
func (a *Audit) sameRoot(origin string, shown []sighting, tree *feed.Edge, s *feed.State) {
	if len(shown) == 0 {
		return
	}
	root := storage.Digest(tree.Root())
	for _, seen := range shown {
		if seen.root != root {
			a.find(forked(origin, tree.Size(), seen, sighting{note: string(s.Note), by: Place{Feed: s.ID}}))
		}
	}
}

// ownLog holds the log of the receipts feed against what others were shown of it.
func (a *Audit) ownLog() {
	origin := a.feed.ID.Origin(a.feed.Epoch)
	shown := a.shown(origin, a.feed)
	var tree feed.Edge
	for _, leaf := range a.leaves {
		tree.Append(leaf)
		a.sameRoot(origin, shown[tree.Size()], &tree, a.feed)
	}
}

// match holds each receipt of a feed against the entry that it names.
func (a *Audit) match(s *feed.State) {
	for i := range a.records {
		r := &a.records[i]
		if r.Publication.Feed != s.ID || r.Publication.Epoch != s.Epoch {
			continue
		}
		if r.Publication.Lineage != s.Lineage {
			a.orphan(r, Place{}, "names the lineage %s, and that of %s is %s", r.Publication.Lineage, s.ID.Space, s.Lineage)
			continue
		}
		index, ok := s.Index.ByID(r.Publication.Statement)
		if !ok {
			a.orphan(r, Place{}, "names a statement about %s that %s does not hold: %s", r.Publication.Ref(), s.ID, r.Publication.Statement)
			continue
		}
		r.PublicationEntry = index
		a.matchRow(r, s, s.Index.Row(index))
	}
}

func (a *Audit) matchRow(r *Record, s *feed.State, row feed.Row) {
	there := Place{s.ID, row.Index}
	removes := r.Operation == "remove"
	switch {
	case row.What != feed.IsPublication && row.What != feed.IsWithdrawal:
		a.orphan(r, there, "names an entry that is about no package")
	case row.Ref.Kind != r.Publication.Kind || row.Ref.Name != r.Publication.Name:
		a.orphan(r, there, "speaks of %s, and the entry that it names of %s", r.Publication.Ref(), row.Ref)
	case !removes && (row.Ref != r.Publication.Ref() || row.Manifest != r.Manifest):
		a.orphan(r, there, "speaks of %s with manifest %s, and the entry that it names of %s with %s", r.Publication.Ref(), r.Manifest, row.Ref, row.Manifest)
	case row.Index >= r.Seen:
		a.orphan(r, there, "names entry %d, and a log of %d entries", row.Index, r.Seen)
	case removes || !did(r.Outcome):
	case row.Void != "":
		a.contradiction(r.Place, there, "says %s of an entry that does not count: %s", r.Outcome, row.Void)
	case row.What == feed.IsWithdrawal:
		a.contradiction(r.Place, there, "says %s of %s, by the entry that withdraws it", r.Outcome, row.Ref)
	default:
		if state, ok := s.Index.State(row.Ref); ok && state.What == feed.IsWithdrawal && state.Index < r.Seen {
			a.contradiction(r.Place, Place{s.ID, state.Index}, "says %s of %s, which was withdrawn in the log that it names", r.Outcome, row.Ref)
		}
	}
}

// did reports whether a package was taken into use.
func did(o Outcome) bool { return o == Applied || o == Deployed }

func (a *Audit) orphan(r *Record, there Place, format string, args ...any) {
	a.find(Finding{Kind: Orphan, Severity: Difference, A: r.Place, B: there, Why: fmt.Sprintf(format, args...)})
}

// unanswered finds live publications of which the Space said nothing when it
// was due. What came after under the same name answers for what was before: a
// receiver takes the newest.
func (a *Audit) unanswered(s *feed.State, times map[int64]time.Time) {
	type name struct{ kind, name string }
	last := map[name]int64{} // the newest entry that was answered for
	for row := range s.Index.Rows(0) {
		if a.answeredFor[row.ID] && row.Ref.Name != "" {
			last[name{row.Ref.Kind, row.Ref.Name}] = row.Index
		}
	}
	for row := range s.Index.Rows(0) {
		when, ok := times[row.Index]
		if !ok || row.Index <= last[name{row.Ref.Kind, row.Ref.Name}] || when.Add(a.options.Due).After(a.options.Now) {
			continue
		}
		if !s.Index.Live(row) || !a.inRange(when, when) {
			continue
		}
		a.find(Finding{Kind: Unanswered, Severity: Difference, A: Place{s.ID, row.Index},
			Why: fmt.Sprintf("%s was published on %s, and no receipt of %s speaks of it", row.Ref, signing.FormatTime(when), a.feed.ID.Space)})
	}
}

// before returns the newest time that the source had signed in a log of that
// size.
func (s *answered) before(size int64) (signedAt, bool) {
	n := sort.Search(len(s.signed), func(i int) bool { return s.signed[i].index >= size })
	if n == 0 {
		return signedAt{}, false
	}
	return s.signed[n-1], true
}

// ofInstance returns the records of each instance, by number. A number that was
// used twice counts once.
func (a *Audit) ofInstance() [][]*Record {
	by := map[string][]*Record{}
	for i := range a.records {
		r := &a.records[i]
		by[r.Instance] = append(by[r.Instance], r)
	}
	var out [][]*Record
	for _, all := range by {
		slices.SortStableFunc(all, func(x, y *Record) int { return cmp.Compare(x.Number, y.Number) })
		out = append(out, slices.CompactFunc(all, func(x, y *Record) bool { return x.Number == y.Number }))
	}
	return out
}

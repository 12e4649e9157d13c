package receipts

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Place is an entry of a feed, or with Index 0 or Remembered the whole of it.
type Place struct {
	Feed  feed.ID
	Index int64
}

// Entry is a receipt that was verified where it stands.
type Entry struct {
	Receipt
	Place
	ID     signing.ID
	Person string         // who held the key, by the word of the Space
	Key    storage.Digest // thumbprint of the key that signed
}

// Ledger holds the receipts of any number of feeds against each other. It keeps
// about 150 bytes of each, and each checkpoint that was seen once. It is not for
// concurrent use.
type Ledger struct {
	instances map[string]map[int64]posted
	seen      map[string]map[int64][]sighting // by origin and size
	found     []Finding
}

type posted struct {
	id, previous signing.ID
	place        Place
}

// sighting is a checkpoint that somebody was shown, and who was the first. Notes
// of one size and root may differ in their signatures.
type sighting struct {
	root storage.Digest
	note string
	by   Place
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{instances: map[string]map[int64]posted{}, seen: map[string]map[int64][]sighting{}}
}

// Read adds all receipts of a receipts feed that was followed, and hands each
// to each as well, in the order of the feed. Entries that do not count were
// refused when the feed was followed; those that are no receipts are findings.
func (l *Ledger) Read(ctx context.Context, f *feed.Follower, s *feed.State, each func(Entry, signing.Attestation) error) error {
	return f.Statements(ctx, s, Rows(s.Index, 0), func(row feed.Row, v trust.Verified, a signing.Attestation) error {
		r, err := Parse(v.Statement())
		e, ok := l.take(Place{s.ID, row.Index}, v, r, err)
		if !ok {
			return nil
		}
		return each(e, a)
	})
}

// take adds what Parse returned of a statement. What is no receipt is a finding.
func (l *Ledger) take(at Place, v trust.Verified, r Receipt, malformed error) (e Entry, ok bool) {
	if malformed != nil {
		l.found = append(l.found, Finding{Kind: Malformed, Severity: Difference, A: at, Why: malformed.Error()})
		return e, false
	}
	e = Entry{r, at, v.ID(), v.Person(), v.Key()}
	l.Add(e)
	return e, true
}

// Add adds a receipt.
func (l *Ledger) Add(e Entry) {
	// Instances are random, so one of two Spaces is a number used twice too.
	numbers := l.instances[e.Instance]
	if numbers == nil {
		numbers = map[int64]posted{}
		l.instances[e.Instance] = numbers
	}
	p := posted{id: e.ID, place: e.Place}
	if e.Previous != nil {
		p.previous = *e.Previous
	}
	if have, ok := numbers[e.Number]; !ok {
		numbers[e.Number] = p
	} else if have.id != p.id {
		l.found = append(l.found, Finding{Kind: Twice, Severity: Difference, Instance: e.Instance, From: e.Number, To: e.Number, A: have.place, B: e.Place})
	}
	if c, err := feed.ParseCheckpoint([]byte(e.Checkpoint)); err == nil {
		l.Saw(c, e.Place)
	}
}

// Saw adds a checkpoint that somebody was shown. Two of one log with one size
// and two roots are a fork, whoever was shown them; whether the log signed them
// is for whoever knows its key.
func (l *Ledger) Saw(c feed.Checkpoint, by Place) {
	sizes := l.seen[c.Origin]
	if sizes == nil {
		sizes = map[int64][]sighting{}
		l.seen[c.Origin] = sizes
	}
	got, known := sighting{storage.Digest(c.Root), string(c.Note), by}, false
	for _, have := range sizes[c.Size] {
		if have.note == got.note {
			return
		}
		known = known || have.root == got.root
	}
	if first := sizes[c.Size]; len(first) > 0 && !known {
		l.found = append(l.found, forked(c.Origin, c.Size, first[0], got))
	}
	sizes[c.Size] = append(sizes[c.Size], got)
}

// Findings returns what does not add up, in a fixed order. What is missing at
// the end of an instance cannot be known here.
func (l *Ledger) Findings() []Finding {
	out := slices.Clone(l.found)
	for _, instance := range slices.Sorted(maps.Keys(l.instances)) {
		out = append(out, chainOf(instance, l.instances[instance])...)
	}
	return out
}

// chainOf looks at the numbers of one instance.
func chainOf(instance string, numbers map[int64]posted) (out []Finding) {
	before := int64(0)
	for _, n := range slices.SortedFunc(maps.Keys(numbers), cmp.Compare[int64]) {
		p := numbers[n]
		switch {
		case n != before+1:
			out = append(out, Finding{Kind: Gap, Severity: Difference, Instance: instance, From: before + 1, To: n - 1, A: p.place})
		case n > 1 && p.previous != numbers[before].id:
			out = append(out, Finding{Kind: Chain, Severity: Difference, Instance: instance, From: n, To: n, A: p.place, B: numbers[before].place})
		}
		before = n
	}
	return out
}

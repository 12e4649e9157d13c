package receipts

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Place is an entry of a receipts feed; for what was seen elsewhere Index is 0.
type Place struct {
	Feed  feed.ID
	Index int64
}

func (p Place) String() string { return fmt.Sprintf("%s entry %d", p.Feed, p.Index) }

// Entry is a receipt that was verified where it stands.
type Entry struct {
	Receipt
	Place
	ID     signing.ID
	Person string         // who held the key, by the word of the Space
	Key    storage.Digest // thumbprint of the key that signed
}

// FindingKind says what a finding is.
type FindingKind string

// The findings of a ledger.
const (
	Gap       FindingKind = "gap"       // numbers of an instance are missing
	Twice     FindingKind = "twice"     // a number names two statements
	Chain     FindingKind = "chain"     // a receipt does not follow the one before
	Malformed FindingKind = "malformed" // an entry of the kind is no receipt
	Fork      FindingKind = "fork"      // two roots of one log at one size were seen
)

// Finding is something that an honest receiver and an honest log do not do.
type Finding struct {
	Kind     FindingKind
	Instance string // of Gap, Twice and Chain
	From, To int64  // numbers, To included; the size where Kind is Fork
	Origin   string // of a Fork
	// A and B are where the two sides stand; B is zero where there is one.
	A, B Place
	Why  string // of Malformed
}

func (f Finding) String() string {
	switch f.Kind {
	case Gap:
		return fmt.Sprintf("%s: receipts %d to %d of instance %s are missing", f.A.Feed, f.From, f.To, f.Instance)
	case Twice:
		return fmt.Sprintf("number %d of instance %s was used twice: %s and %s", f.From, f.Instance, f.A, f.B)
	case Chain:
		return fmt.Sprintf("%s: receipt %d of instance %s does not follow receipt %d, %s", f.A, f.From, f.Instance, f.From-1, f.B)
	case Fork:
		return fmt.Sprintf("log %s was shown with two roots at size %d: to %s and to %s", f.Origin, f.From, f.A, f.B)
	}
	return fmt.Sprintf("%s: %s", f.A, f.Why)
}

// Ledger holds the receipts of any number of feeds against each other. It keeps
// about 150 bytes of each. It is not for concurrent use.
type Ledger struct {
	instances map[string]map[int64]posted
	roots     map[seenAt]seenRoot
	found     []Finding
}

type posted struct {
	id, previous signing.ID
	place        Place
}

type seenAt struct {
	origin string
	size   int64
}

type seenRoot struct {
	root  storage.Digest
	place Place
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{instances: map[string]map[int64]posted{}, roots: map[seenAt]seenRoot{}}
}

// Read adds all receipts of a receipts feed that was followed, and hands each
// to each as well, in the order of the feed. Entries that do not count were
// refused when the feed was followed; those that are no receipts are findings.
func (l *Ledger) Read(ctx context.Context, f *feed.Follower, s *feed.State, each func(Entry, signing.Attestation) error) error {
	return f.Statements(ctx, s, Rows(s.Index, 0), func(row feed.Row, v trust.Verified, a signing.Attestation) error {
		place := Place{s.ID, row.Index}
		r, err := Parse(v.Statement())
		if err != nil {
			l.found = append(l.found, Finding{Kind: Malformed, A: place, Why: err.Error()})
			return nil
		}
		e := Entry{r, place, v.ID(), v.Person(), v.Key()}
		l.Add(e)
		return each(e, a)
	})
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
		l.found = append(l.found, Finding{Kind: Twice, Instance: e.Instance, From: e.Number, To: e.Number, A: have.place, B: e.Place})
	}
	if c, err := feed.ParseCheckpoint([]byte(e.Checkpoint)); err == nil {
		l.Saw(c, e.Place)
	}
}

// Saw adds a checkpoint that somebody was shown. Two of one log with one size
// and two roots are a fork, whoever was shown them; whether the log signed them
// is for whoever knows its key.
func (l *Ledger) Saw(c feed.Checkpoint, by Place) {
	at := seenAt{c.Origin, c.Size}
	have, ok := l.roots[at]
	if !ok {
		l.roots[at] = seenRoot{storage.Digest(c.Root), by}
		return
	}
	if have.root != storage.Digest(c.Root) {
		l.found = append(l.found, Finding{Kind: Fork, Origin: c.Origin, From: c.Size, To: c.Size, A: have.place, B: by})
	}
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
			out = append(out, Finding{Kind: Gap, Instance: instance, From: before + 1, To: n - 1, A: p.place})
		case n > 1 && p.previous != numbers[before].id:
			out = append(out, Finding{Kind: Chain, Instance: instance, From: n, To: n, A: p.place, B: numbers[before].place})
		}
		before = n
	}
	return out
}

package receipts

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
)

// chainer makes the receipts of one instance, in order.
type chainer struct {
	tb       testing.TB
	instance string
	number   int64
	last     *signing.ID
}

// next returns the next receipt; change may spoil it.
func (c *chainer) next(change func(*Receipt)) Entry {
	c.tb.Helper()
	r := example(c.tb)
	c.number++
	r.Instance, r.Number, r.Previous = c.instance, c.number, c.last
	if change != nil {
		change(&r)
	}
	st := statementOf(c.tb, r)
	id, err := st.ID()
	if err != nil {
		c.tb.Fatal(err)
	}
	c.last = &id
	return Entry{Receipt: r, Place: Place{ownFeed, c.number + 10}, ID: id}
}

const (
	instanceA = "00112233445566778899aabbccddeeff"
	instanceB = "ffeeddccbbaa99887766554433221100"
)

// TestLedger spoils one thing in a good row of receipts at a time.
func TestLedger(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(all []Entry) []Entry
		want  []string
	}{
		"good":            {func(all []Entry) []Entry { return all }, nil},
		"one twice":       {func(all []Entry) []Entry { return append(all, all[2]) }, nil}, // the same statement
		"first missing":   {func(all []Entry) []Entry { return all[1:] }, []string{"acme/production/receipts: receipts 1 to 1 of instance " + instanceA + " are missing"}},
		"two missing":     {func(all []Entry) []Entry { return slices.Concat(all[:1], all[3:]) }, []string{"acme/production/receipts: receipts 2 to 3 of instance " + instanceA + " are missing"}},
		"another order":   {func(all []Entry) []Entry { return []Entry{all[3], all[1], all[0], all[2]} }, nil},
		"number twice":    {func(all []Entry) []Entry { return append(all, reused(t, all[1], 99)) }, []string{"number 2 of instance " + instanceA + " was used twice: acme/production/receipts entry 12 and acme/production/receipts entry 99"}},
		"previous broken": {func(all []Entry) []Entry { all[2].Previous = id("other"); return all }, []string{"acme/production/receipts entry 13: receipt 3 of instance " + instanceA + " does not follow receipt 2, acme/production/receipts entry 12"}},
		"two instances": {func(all []Entry) []Entry {
			other := &chainer{tb: t, instance: instanceB}
			return append(all, other.next(nil), other.next(nil))
		}, nil},
		"forked log": {func(all []Entry) []Entry { all[3].Checkpoint = note(t, shared, 7, "another root"); return all },
			[]string{"log " + shared.Origin(1) + " was shown with two roots at size 7: to acme/production/receipts entry 11 and to acme/production/receipts entry 14"}},
		"log at another size": {func(all []Entry) []Entry { all[3].Checkpoint = note(t, shared, 8, "another root"); return all }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			chain, l := &chainer{tb: t, instance: instanceA}, NewLedger()
			var all []Entry
			for range 4 {
				all = append(all, chain.next(nil))
			}
			for _, e := range c.spoil(all) {
				l.Add(e)
			}
			var got []string
			for _, f := range l.Findings() {
				got = append(got, f.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

// reused is another statement under the number of e.
func reused(t *testing.T, e Entry, at int64) Entry {
	e.Receipt.By = "mallory"
	st := statementOf(t, e.Receipt)
	other, err := st.ID()
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Index = other, at
	return e
}

// Whichever receipts are taken out of a row, the gaps are exactly those.
func TestLedgerGaps(t *testing.T) {
	chain := &chainer{tb: t, instance: instanceA}
	var all []Entry
	for range 12 {
		all = append(all, chain.next(nil))
	}
	rapid.Check(t, func(t *rapid.T) {
		kept := rapid.SliceOfNDistinct(rapid.IntRange(0, len(all)-1), 0, len(all), rapid.ID[int]).Draw(t, "kept")
		l, missing := NewLedger(), map[int64]bool{}
		top := -1
		for _, i := range kept {
			l.Add(all[i])
			top = max(top, i)
		}
		for i := range top {
			if !slices.Contains(kept, i) {
				missing[int64(i+1)] = true
			}
		}
		for _, f := range l.Findings() {
			if f.Kind != Gap {
				t.Fatalf("%v", f)
			}
			for n := f.From; n <= f.To; n++ {
				if !missing[n] {
					t.Fatalf("%d is there, and %v", n, f)
				}
				delete(missing, n)
			}
		}
		if len(missing) > 0 {
			t.Fatalf("unnoticed: %v", missing)
		}
	})
}

// A feed is read through the Follower; what is no receipt is a finding.
func TestLedgerRead(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	sign := func(st signing.Statement) feedtest.Signed {
		a, err := w.Space.Publisher.Sign(context.Background(), st)
		if err != nil {
			t.Fatal(err)
		}
		return feedtest.Signed{Attestation: a}
	}
	broken := statementOf(t, example(t))
	broken.Predicate = fmt.Appendf(nil, `{"epoch":1,"feed":%q,"lineage":%q}`, w.ID, w.Space.Lineage())
	w.Append(sign(broken))
	f := w.Follower(w.Source())
	state, report, err := f.Sync(t.Context(), w.ID)
	if err != nil || len(report.Void) != 0 {
		t.Fatalf("%v, %v", report.Void, err)
	}
	l := NewLedger()
	if err := l.Read(t.Context(), f, state, func(Entry, signing.Attestation) error { t.Error("a receipt"); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := l.Findings(); len(got) != 1 || got[0].Kind != Malformed || got[0].A != (Place{w.ID, 2}) {
		t.Errorf("%v", got)
	}
	if rows := Rows(state.Index, 3); len(rows) != 0 {
		t.Errorf("%v", rows)
	}
}

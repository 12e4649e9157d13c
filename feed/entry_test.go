package feed

import (
	"bytes"
	"math/bits"
	"strings"
	"testing"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

var testID = ID{trust.Space{Organisation: "acme", Name: "dev-qa"}, "shared"}

func examplePublication() Publication {
	return Publication{Epoch: 1, Feed: testID, Kind: "file", Lineage: trust.Lineage{1}, ManifestSize: 77, Name: "motd",
		Time: "2026-02-03T04:05:06Z", Title: "Message of the day", Version: "1.0_b"}
}

func exampleWithdrawal() Withdrawal {
	return Withdrawal{Epoch: 1, Feed: testID, Kind: "file", Lineage: trust.Lineage{1}, Name: "motd",
		Previous: &signing.ID{2}, Reason: "wrong", Time: "2026-02-03T04:05:06Z", Version: "1"}
}

func exampleOpening() Opening {
	return Opening{Epoch: 1, Feed: testID, Identity: 1, Lineage: trust.Lineage{1}, LogKey: make([]byte, 32), Origin: testOrigin}
}

func exampleHoldings() Holdings {
	return Holdings{DocumentSize: 1234, Epoch: 1, Feed: testID, Lineage: trust.Lineage{1}, Time: testTime}
}

// TestParseEntry reads what the types write.
func TestParseEntry(t *testing.T) {
	p, w := examplePublication(), exampleWithdrawal()
	for _, c := range []struct {
		statement func() (signing.Statement, error)
		want      Entry
	}{
		{func() (signing.Statement, error) { return p.Statement(storage.Digest{9}) },
			Entry{What: IsPublication, Ref: p.Ref(), Manifest: storage.Digest{9}, ManifestSize: 77}},
		{func() (signing.Statement, error) { return w.Statement(storage.Digest{9}) },
			Entry{What: IsWithdrawal, Ref: w.Ref(), Manifest: storage.Digest{9}, Previous: w.Previous}},
		{exampleOpening().Statement, Entry{What: IsOpening}},
		{func() (signing.Statement, error) { return exampleHoldings().Statement(storage.Digest{9}) },
			Entry{Manifest: storage.Digest{9}, ManifestSize: 1234}},
		{func() (signing.Statement, error) { return signing.Statement{Kind: "receipt"}, nil }, Entry{}},
		{func() (signing.Statement, error) { return signing.Statement{Kind: signing.Identity}, nil }, Entry{What: IsIdentity}},
	} {
		st, err := c.statement()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseEntry(signing.ID{7}, st)
		c.want.ID = signing.ID{7}
		if err != nil || got.What != c.want.What || got.Ref != c.want.Ref || got.Manifest != c.want.Manifest || got.ManifestSize != c.want.ManifestSize {
			t.Errorf("%s: got %+v, %v; want %+v", st.Kind, got, err, c.want)
		}
		if (got.Previous == nil) != (c.want.Previous == nil) || got.Previous != nil && *got.Previous != *c.want.Previous {
			t.Errorf("%s: previous %v, want %v", st.Kind, got.Previous, c.want.Previous)
		}
	}
}

// TestPredicatesRefused changes predicates in one thing each.
func TestPredicatesRefused(t *testing.T) {
	publication := func(change func(*Publication)) func() (signing.Statement, error) {
		return func() (signing.Statement, error) {
			p := examplePublication()
			change(&p)
			return p.Statement(storage.Digest{9})
		}
	}
	withdrawal := func(change func(*Withdrawal)) func() (signing.Statement, error) {
		return func() (signing.Statement, error) {
			w := exampleWithdrawal()
			change(&w)
			return w.Statement(storage.Digest{9})
		}
	}
	raw := func(old, new string) func() (signing.Statement, error) {
		return func() (signing.Statement, error) {
			st, err := examplePublication().Statement(storage.Digest{9})
			changed := strings.Replace(string(st.Predicate), old, new, 1)
			if changed == string(st.Predicate) {
				t.Fatalf("%q is not in %s", old, st.Predicate)
			}
			st.Predicate = []byte(changed)
			return st, err
		}
	}
	for name, statement := range map[string]func() (signing.Statement, error){
		"kind":                        publication(func(p *Publication) { p.Kind = "a/b" }),
		"name with ..":                publication(func(p *Publication) { p.Name = "../x" }),
		"device name":                 publication(func(p *Publication) { p.Name = "con" }),
		"version":                     publication(func(p *Publication) { p.Version = "" }),
		"no manifest size":            publication(func(p *Publication) { p.ManifestSize = 0 }),
		"manifest too large":          publication(func(p *Publication) { p.ManifestSize = MaxManifest + 1 }),
		"title with an escape":        publication(func(p *Publication) { p.Title = "\x1b[2J" }),
		"no title":                    publication(func(p *Publication) { p.Title = "" }),
		"withdrawal without previous": withdrawal(func(w *Withdrawal) { w.Previous = nil }),
		"long reason":                 withdrawal(func(w *Withdrawal) { w.Reason = strings.Repeat("x", 501) }),
		"withdrawal of no version":    withdrawal(func(w *Withdrawal) { w.Version = "" }),
		"unknown member":              raw(`"kind":`, `"extra":1,"kind":`),
		"member twice":                raw(`"kind":"file"`, `"kind":"file","kind":"file"`),
		"member in another case":      raw(`"kind":`, `"Kind":`),
		"member missing":              raw(`"kind":"file",`, ``),
		"white space":                 raw(`"kind":`, `"kind": `),
		"number as text":              raw(`"manifestSize":77`, `"manifestSize":"77"`),
		"number with a fraction":      raw(`"manifestSize":77`, `"manifestSize":77.0`),
		"false written out":           raw(`{"epoch"`, `{"critical":false,"epoch"`),
		"feed with two parts":         raw(`acme/dev-qa/shared`, `acme/dev-qa`),
		"another subject name": func() (signing.Statement, error) {
			st, err := examplePublication().Statement(storage.Digest{9})
			st.SubjectName = "file/other@1"
			return st, err
		},
	} {
		st, err := statement()
		if err != nil {
			continue // the writer refuses it as well
		}
		if e, err := ParseEntry(signing.ID{7}, st); err == nil {
			t.Errorf("%s: read as %+v", name, e)
		}
	}
}

// TestOpeningStatement refuses openings that are not of the feed they stand in.
func TestOpeningStatement(t *testing.T) {
	for name, change := range map[string]func(*Opening, *signing.Statement){
		"another origin":  func(o *Opening, _ *signing.Statement) { o.Origin = "e1.other.dev-qa.acme.airlock.example" },
		"a server's name": func(o *Opening, _ *signing.Statement) { o.Origin = "log.example.com" },
		"a short key":     func(o *Opening, _ *signing.Statement) { o.LogKey = o.LogKey[:31] },
		"identity zero":   func(o *Opening, _ *signing.Statement) { o.Identity = 0 },
		"another subject": func(_ *Opening, st *signing.Statement) { st.Subject[0] ^= 1 },
		"":                func(*Opening, *signing.Statement) {},
	} {
		o := exampleOpening()
		var st signing.Statement
		change(&o, &st)
		made, err := o.Statement()
		if err != nil {
			t.Fatal(err)
		}
		change(&Opening{LogKey: o.LogKey}, &made)
		if _, err := parseOpening(made, testID, 1); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
	made, _ := exampleOpening().Statement()
	if _, err := parseOpening(made, testID, 2); err == nil {
		t.Error("an opening of epoch 1 opens epoch 2")
	}
}

// TestCheckOpening is what a log asks of an opening: it names this log's key.
func TestCheckOpening(t *testing.T) {
	o := exampleOpening()
	st, err := o.Statement()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckOpening(st, testID, 1, o.LogKey); err != nil {
		t.Error(err)
	}
	if err := CheckOpening(st, testID, 1, testKey(1).Public()); err == nil {
		t.Error("an opening that names another log's key was taken")
	}
	if err := CheckOpening(st, testID, 2, o.LogKey); err == nil {
		t.Error("an opening of another epoch was taken")
	}
}

func FuzzEntry(f *testing.F) {
	for _, make := range []func() (signing.Statement, error){
		func() (signing.Statement, error) { return examplePublication().Statement(storage.Digest{9}) },
		func() (signing.Statement, error) { return exampleWithdrawal().Statement(storage.Digest{9}) },
		exampleOpening().Statement,
		func() (signing.Statement, error) { return exampleHoldings().Statement(storage.Digest{9}) },
	} {
		st, err := make()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(st.Kind), st.SubjectName, []byte(st.Predicate))
	}
	f.Fuzz(func(t *testing.T, kind, name string, predicate []byte) {
		st := signing.Statement{Kind: signing.Kind(kind), SubjectName: name, Predicate: predicate}
		e, err := ParseEntry(signing.ID{}, st)
		if err == nil && (e.What == IsPublication || e.What == IsWithdrawal) && e.Ref.Check() != nil {
			t.Errorf("%s was read as %+v", predicate, e)
		}
		if h, err := ParseHoldings(st); err == nil {
			if again, err := h.Statement(st.Subject); err != nil || !bytes.Equal(again.Predicate, predicate) || again.SubjectName != name || h.When().IsZero() {
				t.Errorf("%s came back as %s", predicate, again.Predicate)
			}
		}
		if o, err := parseOpening(st, testID, 1); err == nil {
			if again, err := o.Statement(); err != nil || !bytes.Equal(again.Predicate, predicate) {
				t.Errorf("%s came back as %s", predicate, again.Predicate)
			}
		}
	})
}

// TestSnapshotForm changes a snapshot in one thing each.
func TestSnapshotForm(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *Snapshot)
		ok     bool
	}{
		"good":                 {func(*Snapshot) {}, true},
		"as many as allowed":   {func(s *Snapshot) { *s = snapshotOf(maxSnapshot) }, true},
		"none":                 {func(s *Snapshot) { *s = snapshotOf(0) }, false},
		"more than allowed":    {func(s *Snapshot) { *s = snapshotOf(maxSnapshot + 1) }, false},
		"edge of another size": {func(s *Snapshot) { s.Edge = append(s.Edge, storage.Digest{2}) }, false},
		"no identity":          {func(s *Snapshot) { s.Identity = 0 }, false},
		"empty page":           {func(s *Snapshot) { s.Pages[0].Size = 0 }, false},
		"page past its bound":  {func(s *Snapshot) { s.Pages[0].Size = MaxPage + 1 }, false},
	} {
		s := snapshotOf(1)
		c.change(&s)
		h := exampleHoldings()
		h.Snapshot = &s
		st, err := h.Statement(storage.Digest{9})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Format(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		e, err := ParseEntry(signing.ID{7}, st)
		if (err == nil) != c.ok || c.ok && len(e.Named()) != 1+len(s.Pages) {
			t.Errorf("%s: names %d objects, %v", name, len(e.Named()), err)
		}
	}
}

// snapshotOf is a snapshot of n pages.
func snapshotOf(n int) Snapshot {
	s := Snapshot{Edge: []storage.Digest{}, Identity: 1, Pages: []SnapshotPage{}}
	for i := range n {
		s.Pages = append(s.Pages, SnapshotPage{Digest: storage.Digest{byte(i)}, Size: MaxPage})
	}
	for range bits.OnesCount(uint(n)) {
		s.Edge = append(s.Edge, storage.Digest{1})
	}
	return s
}

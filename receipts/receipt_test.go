package receipts

import (
	"bytes"
	"flag"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

var update = flag.Bool("update", false, "write the example anew")

func space(name string) trust.Space { return trust.Space{Organisation: "acme", Name: name} }

var (
	shared  = feed.ID{Space: space("dev-qa"), Name: "shared"}
	ownFeed = feed.ID{Space: space("production"), Name: Feed}
)

func digest(s string) *storage.Digest {
	d := storage.DigestOf([]byte(s))
	return &d
}

func id(s string) *signing.ID {
	i := signing.ID(storage.DigestOf([]byte(s)))
	return &i
}

// note is a checkpoint of a feed by a key of the tests.
func note(tb testing.TB, of feed.ID, size int64, root string) string {
	tb.Helper()
	key, err := feed.NewLogKey(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	c, err := key.Sign(of.Origin(1), size, tlog.Hash(storage.DigestOf([]byte(root))))
	if err != nil {
		tb.Fatal(err)
	}
	return string(c.Note)
}

// example has every member.
func example(tb testing.TB) Receipt {
	return Receipt{By: "bob", Bundle: digest("bundle"), Checkpoint: note(tb, shared, 7, "root"), Environment: "Production", Epoch: 1, Feed: ownFeed,
		Finished: "2026-02-03T04:05:07Z", Instance: "00112233445566778899aabbccddeeff", Lineage: trust.Lineage(*digest("production")),
		Log: &Log{Digest: digest("log"), URL: "https://ci.acme.example/run/7"}, Number: 2, Operation: "change", Outcome: Failed, Previous: id("before"),
		Publication: Publication{Epoch: 1, Feed: shared, Kind: "variable-set", Lineage: trust.Lineage(*digest("dev-qa")), Name: "shop", Statement: *id("publication"), Version: "1.4.0"},
		Reason:      "exit code 3: no such host", Started: "2026-02-03T04:05:06Z", Targets: []string{"web-1", "web-2"}, Time: "2026-02-03T04:05:08Z", Manifest: *digest("manifest")}
}

func statementOf(tb testing.TB, r Receipt) signing.Statement {
	tb.Helper()
	st, err := r.Statement()
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// testdata/receipt.json is the statement of a receipt, byte for byte.
func TestExample(t *testing.T) {
	raw, err := statementOf(t, example(t)).Format()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "receipt.json", raw)
	st, err := signing.ParseStatement(raw)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(st)
	if err != nil || !reflect.DeepEqual(got, example(t)) {
		t.Errorf("read as %+v, %v", got, err)
	}
}

// TestCheck changes one thing at a time; both directions refuse it.
func TestCheck(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for name, c := range map[string]struct {
		change func(*Receipt)
		want   string
	}{
		"another feed":          {func(r *Receipt) { r.Feed.Name = "shared" }, "feed: acme/production/shared"},
		"instance short":        {func(r *Receipt) { r.Instance = "0011" }, "instance"},
		"instance upper":        {func(r *Receipt) { r.Instance = strings.ToUpper(r.Instance) }, "instance"},
		"number zero":           {func(r *Receipt) { r.Number = 0 }, "previous"},
		"first with previous":   {func(r *Receipt) { r.Number = 1 }, "previous"},
		"second without":        {func(r *Receipt) { r.Previous = nil }, "previous"},
		"outcome":               {func(r *Receipt) { r.Outcome = "fine" }, "outcome"},
		"operation":             {func(r *Receipt) { r.Operation = "keep" }, "operation"},
		"no manifest":           {func(r *Receipt) { r.Manifest = storage.Digest{} }, "subject"},
		"package":               {func(r *Receipt) { r.Publication.Name = "../x" }, "publication"},
		"no checkpoint":         {func(r *Receipt) { r.Checkpoint = "" }, "checkpoint"},
		"checkpoint of another": {func(r *Receipt) { r.Publication.Feed.Name = "other" }, "checkpoint"},
		"checkpoint of epoch":   {func(r *Receipt) { r.Publication.Epoch = 2 }, "checkpoint"},
		"failed, no reason":     {func(r *Receipt) { r.Reason = "" }, "reason"},
		"rejected, no reason":   {func(r *Receipt) { r.Outcome, r.Reason = Rejected, "" }, "reason"},
		"reason too long":       {func(r *Receipt) { r.Reason = long }, "reason"},
		"reason of two lines":   {func(r *Receipt) { r.Reason = "a\nb" }, "reason"},
		"by too long":           {func(r *Receipt) { r.By = long[:257] }, "by"},
		"environment":           {func(r *Receipt) { r.Environment = "a\x1bb" }, "environment"},
		"target too long":       {func(r *Receipt) { r.Targets = []string{long[:129]} }, "targets"},
		"target empty":          {func(r *Receipt) { r.Targets = []string{""} }, "targets"},
		"target twice":          {func(r *Receipt) { r.Targets = []string{"a", "a"} }, "targets"},
		"targets not sorted":    {func(r *Receipt) { r.Targets = []string{"b", "a"} }, "targets"},
		"targets":               {func(r *Receipt) { r.Targets = make([]string, 33) }, "targets"},
		"log of nothing":        {func(r *Receipt) { r.Log = &Log{} }, "log"},
		"log is a script":       {func(r *Receipt) { r.Log.URL = "javascript:alert(1)" }, "log"},
		"log too long":          {func(r *Receipt) { r.Log.URL = "https://x/" + long + long }, "log"},
		"no time":               {func(r *Receipt) { r.Time = "" }, "time"},
		"time with an offset":   {func(r *Receipt) { r.Time = "2026-02-03T04:05:06+00:00" }, "time"},
		"started":               {func(r *Receipt) { r.Started = "yesterday" }, "started"},
		"finished":              {func(r *Receipt) { r.Finished = "2026-02-03T04:05:06.5Z" }, "finished"},
	} {
		r := example(t)
		c.change(&r)
		if _, err := r.Statement(); err == nil || !strings.Contains(err.Error(), ": "+c.want) {
			t.Errorf("%s: written: %v, want %q", name, err, c.want)
		}
		raw, err := signing.MarshalCanonical(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := Parse(signing.Statement{Kind: signing.Receipt, Subject: r.Manifest, SubjectName: r.Publication.Ref().String(), Predicate: raw}); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := statementOf(t, example(t))
	for name, c := range map[string]struct {
		change func(*signing.Statement)
		want   string
	}{
		"another kind":    {func(s *signing.Statement) { s.Kind = signing.Approval }, "of kind approval"},
		"another subject": {func(s *signing.Statement) { s.SubjectName = "file/a@1" }, "subject name"},
		"unknown member":  {func(s *signing.Statement) { s.Predicate = []byte(`{"zzz":1}`) }, "unknown field"},
	} {
		st := good
		c.change(&st)
		if _, err := Parse(st); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// receipts generates receipts that are as they must be.
func receipts(tb testing.TB) *rapid.Generator[Receipt] {
	text := func(most int) *rapid.Generator[string] {
		return rapid.Map(rapid.StringN(0, most, most), func(s string) string { return signing.Printable(s, most) })
	}
	checkpoint := note(tb, shared, 7, "root")
	return rapid.Custom(func(t *rapid.T) Receipt {
		r := example(tb)
		r.Checkpoint = checkpoint
		r.By, r.Environment = text(MaxText).Draw(t, "by"), text(MaxText).Draw(t, "environment")
		r.Reason = "because " + text(500).Draw(t, "reason")
		r.Outcome = rapid.SampledFrom(Outcomes).Draw(t, "outcome")
		r.Operation = rapid.SampledFrom([]string{"", "add", "change", "remove"}).Draw(t, "operation")
		if r.Number = rapid.Int64Range(1, 1<<50).Draw(t, "number"); r.Number == 1 {
			r.Previous = nil
		}
		if rapid.Bool().Draw(t, "without") {
			r.Bundle, r.Log, r.Started, r.Finished, r.Targets = nil, nil, "", "", nil
		}
		return r
	})
}

func TestRoundTrip(t *testing.T) {
	generator := receipts(t)
	rapid.Check(t, func(t *rapid.T) {
		r := generator.Draw(t, "receipt")
		st, err := r.Statement()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := st.Format()
		if err != nil {
			t.Fatal(err)
		}
		if st, err = signing.ParseStatement(raw); err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(st); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v became %+v, %v", r, got, err)
		}
	})
}

// FuzzReceipt: what is read is written the same.
func FuzzReceipt(f *testing.F) {
	good := statementOf(f, example(f))
	f.Add([]byte(good.Predicate))
	f.Add([]byte(`{}`))
	f.Add(bytes.Replace(good.Predicate, []byte(`"number":2`), []byte(`"number":1`), 1))
	f.Fuzz(func(t *testing.T, predicate []byte) {
		st := good
		st.Predicate = predicate
		r, err := Parse(st)
		if err != nil {
			return
		}
		again, err := r.Statement()
		if err != nil || !bytes.Equal(again.Predicate, predicate) || again.SubjectName != st.SubjectName {
			t.Errorf("%s became %s, %v", predicate, again.Predicate, err)
		}
	})
}

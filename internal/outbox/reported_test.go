package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

func row(name, version string) feed.Row {
	ref := feed.Ref{Kind: "file", Name: name, Version: version}
	return feed.Row{Ref: ref, ID: signing.ID(storage.DigestOf([]byte(ref.String()))), What: feed.IsPublication, Manifest: storage.DigestOf([]byte(version))}
}

func outcome(op apply.Op, r feed.Row, err error) apply.Outcome {
	return apply.Outcome{Action: apply.Action{Op: op, Ref: r.Ref, Row: r}, Err: err}
}

// What was done, what failed and what is refused becomes a fact; what was left
// alone for want of somebody's word does not.
func TestFacts(t *testing.T) {
	void := row("gone", "1")
	void.Manifest = storage.Digest{}
	installed := []apply.Item{{Ref: void.Ref, Manifest: storage.DigestOf([]byte("gone"))}}
	facts := Done([]apply.Outcome{
		outcome(apply.Add, row("a", "1"), nil), outcome(apply.Change, row("b", "2"), errors.New("exit status 3")), outcome(apply.Remove, void, nil),
		outcome(apply.Same, row("c", "1"), nil), outcome(apply.Keep, row("d", "1"), nil), outcome(apply.Retain, row("e", "1"), nil)}, installed)
	refused := Refused([]apply.Refused{{Row: row("f", "1"), Err: &trust.DeniedError{Reason: trust.Untrusted, Rule: "allow", File: "home/trust/x.yaml", Thing: "file/f@1", Why: "no rule"}}})
	var got []string
	for _, f := range slices.Concat(facts, refused) {
		got = append(got, fmt.Sprint(f.Ref, " ", f.Operation, " ", f.Outcome, " ", f.Reason))
	}
	want := []string{"file/a@1 add applied ", "file/b@2 change failed exit status 3", "file/gone@1 remove applied ", "file/c@1 same applied ",
		"file/f@1 same rejected file/f@1: no rule (rule allow)"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if facts[2].Manifest != installed[0].Manifest {
		t.Error("what was removed has not the manifest that was there")
	}
	c := Context{Own: Own{Epoch: 1}, Acted: &feed.State{}, Started: now, Finished: now.Add(time.Second), Now: now}
	all := c.Receipts(facts)
	if r := all[0]; r.Operation != "add" || r.Started != "2026-02-03T04:05:06Z" || r.Finished != "2026-02-03T04:05:07Z" {
		t.Errorf("%+v", r)
	}
	if r := all[3]; r.Operation != "" || r.Started != "" || r.Finished != "" {
		t.Errorf("what was there before says when it was done: %+v", r)
	}
}

// A removal of which nobody was told, since the process died that did it, is told
// by the next one: where what is gone was said to be there.
func TestGone(t *testing.T) {
	_, h := newSite(t)
	state := &feed.State{ID: acted, Lineage: trust.Lineage{1}}
	withdrawal := row("a", "1")
	withdrawal.ID, withdrawal.Index = signing.ID(storage.DigestOf([]byte("withdrawal"))), 9
	choice := apply.Choice{Withdrawn: map[feed.Ref]apply.Withdrawn{row("a", "1").Ref: {Publication: row("a", "1"), By: withdrawal}}}
	void := apply.Choice{Void: map[int64]feed.Row{7: row("a", "1")}}
	there := []apply.Item{{Ref: row("a", "1").Ref}}
	did := func(op apply.Op, r feed.Row) []Fact { return Done([]apply.Outcome{outcome(op, r, nil)}, nil) }
	for i, step := range []struct {
		choice    apply.Choice
		installed []apply.Item
		outcomes  []apply.Outcome
		say       []Fact // afterwards
		gone      int
	}{
		{choice, nil, nil, did(apply.Add, row("a", "2")), 0},    // it was never here
		{choice, nil, nil, did(apply.Change, row("a", "1")), 0}, // nor was it before this
		{choice, there, nil, nil, 0},
		{choice, there, []apply.Outcome{outcome(apply.Remove, withdrawal, nil)}, nil, 0}, // Done tells it
		{choice, nil, []apply.Outcome{outcome(apply.Add, row("a", "2"), nil)}, nil, 0},   // as Done tells this
		{void, nil, nil, nil, 1},
		{choice, nil, nil, nil, 1},
		{choice, nil, nil, did(apply.Remove, withdrawal), 1},
		{choice, nil, nil, nil, 0}, // it was said by now
	} {
		r, err := h.Reported(t.Context(), state, "into conf")
		if err != nil {
			t.Fatal(err)
		}
		gone := r.Gone(step.choice, step.installed, step.outcomes)
		if len(gone) != step.gone || len(r.News(gone)) != step.gone {
			t.Errorf("step %d: got %v, want %d", i, gone, step.gone)
		}
		for _, said := range (Context{Acted: state, Started: now, Finished: now, Now: now}).Receipts(gone) {
			if said.Operation != "remove" || said.Started != "" || said.Manifest != row("a", "1").Manifest {
				t.Errorf("step %d: the receipt says %+v", i, said)
			}
		}
		if r, err = h.Reported(t.Context(), state, "into conf"); err != nil {
			t.Fatal(err)
		}
		r.News(step.say)
		if err := r.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A thing is said once, and again when it was done again.
func TestReported(t *testing.T) {
	_, h := newSite(t)
	state := &feed.State{ID: acted, Lineage: trust.Lineage{1}}
	failed := func(why string) Fact {
		return Done([]apply.Outcome{outcome(apply.Change, row("a", "2"), errors.New(why))}, nil)[0]
	}
	did := func(op apply.Op, version string) Fact {
		return Done([]apply.Outcome{outcome(op, row("a", version), nil)}, nil)[0]
	}
	refused := func(why string) Fact {
		return Refused([]apply.Refused{{Row: row("a", "3"), Err: errors.New(why)}})[0]
	}
	for i, step := range []struct {
		fact Fact
		news bool
	}{
		{did(apply.Add, "1"), true},
		{did(apply.Same, "1"), false},
		{did(apply.Change, "1"), true}, // a file was gone
		{failed("no such host"), true},
		{failed("no such host"), false},
		{failed("no space"), true},
		{did(apply.Change, "2"), true},
		{failed("no space"), true}, // it had worked between
		{did(apply.Change, "1"), true},
		{did(apply.Same, "2"), true}, // done by a process that died before it said so
		{did(apply.Remove, "2"), true},
		{refused("1 of 2 approved"), true},
		{refused("1 of 2 approved, since 3 days"), false},
	} {
		r, err := h.restart().Reported(t.Context(), state, "into conf")
		if err != nil {
			t.Fatal(err)
		}
		if news := r.News([]Fact{step.fact}); len(news) == 1 != step.news {
			t.Errorf("step %d: %d news", i, len(news))
		}
		if err := r.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range []string{"into elsewhere", ""} {
		other, err := h.Reported(t.Context(), state, target)
		if err != nil || len(other.News([]Fact{did(apply.Same, "2")})) != 1 {
			t.Errorf("target %q knows what was done elsewhere, %v", target, err)
		}
	}
}

func TestParseReportedRefuses(t *testing.T) {
	rows := func(keys ...string) string {
		out := reportedHeader
		for _, k := range keys {
			out += strings.Repeat(k, 32)
		}
		return out
	}
	for name, text := range map[string]string{"empty": "", "header": "airlock-reported 2\n", "cut": rows("a") + "b", "out of order": rows("b", "a"), "twice": rows("a", "a")} {
		if _, err := parseReported([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if all, err := parseReported([]byte(rows("a", "b"))); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestReportedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.SliceOfN(rapid.Byte(), 16, 16), 0, 20, func(b []byte) string { return string(b) }).Draw(t, "keys")
		slices.SortFunc(keys, bytes.Compare)
		var all []said
		for i, k := range keys {
			all = append(all, said{[16]byte(k), [16]byte{byte(i)}})
		}
		if got, err := parseReported(formatReported(all)); err != nil || !slices.Equal(got, all) {
			t.Fatalf("%v became %v, %v", all, got, err)
		}
	})
}

func FuzzReported(f *testing.F) {
	f.Add([]byte(reportedHeader))
	f.Add([]byte(reportedHeader + strings.Repeat("a", 32) + strings.Repeat("b", 32)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseReported(b); err == nil && !bytes.Equal(formatReported(all), b) {
			t.Errorf("%q became %q", b, formatReported(all))
		}
	})
}

// BenchmarkNews is what a sync costs in which nothing is new.
func BenchmarkNews(b *testing.B) {
	facts := make([]Fact, 100_000)
	for i := range facts {
		facts[i] = Fact{Row: row(fmt.Sprint("p", i), "1"), Ref: row(fmt.Sprint("p", i), "1").Ref, Operation: apply.Same, Outcome: receipts.Applied}
	}
	r := &Reported{store: storage.NewMem(), key: "reported", news: map[[16]byte][16]byte{}, overtaken: map[[16]byte]bool{}}
	r.News(facts)
	if err := r.Keep(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if len(r.News(facts)) != 0 {
			b.Fatal("news")
		}
	}
}

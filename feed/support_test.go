package feed_test

import (
	"context"
	"errors"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// example is a tape of an opened feed with two packages, and its author.
func example(t testing.TB) (*feedtest.Author, *feedtest.Tape) {
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	tape.Add(a.Publish("file/a@1"), a.Publish("file/b@1"), a.Publish("file/a@2"))
	return a, tape
}

// fill adds notes until the tape has n entries.
func fill(a *feedtest.Author, tape *feedtest.Tape, n int64) {
	for tape.Len() < n {
		tape.Add(a.Unknown("note", false, int(tape.Len())))
	}
}

// sync reads as far as src goes, or fails the test.
func sync(t testing.TB, f *feed.Follower, id feed.ID) (*feed.State, feed.Report) {
	t.Helper()
	s, report, err := f.Sync(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s, report
}

// wantRefused syncs and finds an error that matches target, and a state that is
// what it was before.
func wantRefused(t *testing.T, f *feed.Follower, id feed.ID, target error) error {
	t.Helper()
	before := stateOf(t, f, id)
	s, _, err := f.Sync(t.Context(), id)
	if err == nil || s != nil {
		t.Fatalf("accepted up to %d", s.Edge.Size())
	}
	if target != nil && !errors.Is(err, target) {
		t.Errorf("got %v, want one matching %v", err, target)
	}
	if after := stateOf(t, f, id); after != before {
		t.Errorf("the state changed with the refusal: %d bytes became %d", len(before), len(after))
	}
	return err
}

// stateOf returns what is kept of a feed.
func stateOf(t *testing.T, f *feed.Follower, id feed.ID) string {
	t.Helper()
	key := "seen/" + storage.Digest(f.View.History().Lineage()).Hex() + "/" + id.Name
	value, _, err := f.State.Cells.Load(t.Context(), key)
	if err != nil {
		return ""
	}
	return string(value)
}

// later is the same home with a new view of what it learned, as after a restart.
func later(t testing.TB, f *feed.Follower, src feed.Source) *feed.Follower {
	t.Helper()
	history, err := trust.ParseFile(trust.FormatFile(f.View.History()))
	if err != nil {
		t.Fatal(err)
	}
	view, err := trust.NewView(history, nil)
	if err != nil {
		t.Fatal(err)
	}
	next := *f
	next.Source, next.View = src, view
	return &next
}

// voids returns the indices of void entries, as a map to the reasons.
func voids(s *feed.State) map[int64]string {
	out := map[int64]string{}
	for r := range s.Index.Rows(0) {
		if r.Void != "" {
			out[r.Index] = r.Void
		}
	}
	return out
}

func wantVoid(t *testing.T, s *feed.State, want ...int64) {
	t.Helper()
	got := voids(s)
	for _, i := range want {
		if got[i] == "" {
			t.Errorf("entry %d counts", i)
		}
		delete(got, i)
	}
	for i, why := range got {
		t.Errorf("entry %d is void: %s", i, why)
	}
}

// evidence returns the keys of what is kept against a feed.
func evidence(t *testing.T, f *feed.Follower) (keys []string) {
	t.Helper()
	for key, err := range f.State.Files.List(context.Background(), "evidence/", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func wantDenied(t *testing.T, err error, rule string) {
	t.Helper()
	var denied *trust.DeniedError
	if !errors.As(err, &denied) || denied.Rule != rule {
		t.Errorf("got %v, want a refusal by rule %q", err, rule)
	}
}

func parse(t testing.TB, raw []byte) signing.Attestation {
	t.Helper()
	a, err := signing.ParseAttestation(raw)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

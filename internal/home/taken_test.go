package home

import (
	"errors"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/trust"
)

// TestTaken records feeds of a bundle one after the other: the first time stays.
func TestTaken(t *testing.T) {
	dir := t.TempDir()
	bundle, other := storage.DigestOf([]byte("a bundle")), storage.DigestOf([]byte("another"))
	space := trust.Space{Organisation: "acme", Name: "dev-qa"}
	shared, tools := feed.ID{Space: space, Name: "shared"}, feed.ID{Space: space, Name: "tools"}
	note := func(at time.Time, feeds ...feed.ID) {
		t.Helper()
		if err := open(t, dir).NoteTaken(t.Context(), bundle, feeds, at); err != nil {
			t.Fatal(err)
		}
	}
	note(feedtest.Now, shared)
	note(feedtest.Now.Add(time.Hour), shared, tools)
	h := open(t, dir)
	got, err := h.Taken(t.Context(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[feed.ID]string{shared: "2026-02-03T04:05:06Z", tools: "2026-02-03T05:05:06Z"} {
		if when, ok := got.Of(id); !ok || when != want {
			t.Errorf("%s: %q, %v, want %q", id, when, ok, want)
		}
	}
	none, err := h.Taken(t.Context(), other)
	if _, ok := none.Of(shared); ok || err != nil {
		t.Errorf("another bundle: %+v, %v", none, err)
	}
	state, err := h.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := state.Cells.Swap(t.Context(), takenKey(other), "", []byte(`{"feeds":[],"format":"airlock-taken 2"}`)); err != nil {
		t.Fatal(err)
	}
	var format *storage.FormatError
	if _, err := h.Taken(t.Context(), other); !errors.As(err, &format) {
		t.Errorf("of another version: %v", err)
	}
}

package main

import (
	"slices"
	"testing"

	"airlock/bundle"
)

// Bundles of one second are told apart by how far they lead: the base of one lies in
// an older one.
func TestNewestFirst(t *testing.T) {
	set := func(name byte, created string, to ...int64) *bundle.Set {
		doc := &bundle.Document{Created: created}
		for _, n := range to {
			doc.Feeds = append(doc.Feeds, bundle.Slice{To: n})
		}
		return &bundle.Set{ID: bundle.ID{name}, Document: doc}
	}
	sets := []*bundle.Set{
		set(4, "2026-01-01T00:00:00Z", 9), set(3, "2026-01-02T00:00:00Z", 4), set(2, "2026-01-02T00:00:00Z", 3, 2), set(1, "2026-01-02T00:00:00Z", 4),
	}
	slices.SortFunc(sets, newestFirst)
	got := ""
	for _, s := range sets {
		got += s.ID.Short()[:2] + " "
	}
	if want := "02 01 03 04 "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

package home

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
)

// TestServed lists the feeds whose heads a home remembers, whatever else lies there.
func TestServed(t *testing.T) {
	h := open(t, t.TempDir())
	if got := slices.Collect(h.Served()); len(got) > 0 {
		t.Errorf("a new home has served %v", got)
	}
	other := feed.ID{Space: floorFeed.Space, Name: "tools"}
	f := newFloor(t, h)
	f.Raise(other, 1, 2, tlog.Hash{2})
	f.Raise(floorFeed, 1, 1, tlog.Hash{1})
	f.Close()
	if err := os.WriteFile(h.file("state", "cells", "floor", "acme", "dev-qa", "no feed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(h.Served()); !slices.Equal(got, []feed.ID{floorFeed, other}) {
		t.Errorf("got %v", got)
	}
	for first := range h.Served() {
		if first != floorFeed {
			t.Errorf("the first is %s", first)
		}
		break
	}
}

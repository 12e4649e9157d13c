package main

import (
	"testing"

	"airlock/feed"
	"airlock/signing"
)

// A medium that is older than what was seen is no step back only where it shows
// the same statements.
func TestBegins(t *testing.T) {
	index := func(ids ...byte) *feed.Index {
		x := feed.NewIndex()
		for i, id := range ids {
			x.Add(feed.Row{Index: int64(i), ID: signing.ID{id}, What: feed.IsOther})
		}
		return x
	}
	long := index(1, 2, 3)
	for _, c := range []struct {
		short *feed.Index
		want  bool
	}{{index(), true}, {index(1, 2), true}, {index(1, 3), false}, {index(2), false}} {
		if got := begins(long, c.short); got != c.want {
			t.Errorf("an index of %d begins %d: %v", c.short.Size(), long.Size(), got)
		}
	}
}

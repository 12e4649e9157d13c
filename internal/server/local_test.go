package server_test

import (
	"testing"

	"airlock/storage"
)

// TestLocalSegments: what is asked for comes, and where nothing is nothing does.
func TestLocalSegments(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	for _, c := range []struct{ from, to, want int64 }{{0, 2, 2}, {1, 2, 1}, {2, 2, 0}, {2, 1, 0}} {
		n := int64(0)
		for s, err := range w.srv.Local().Segments(t.Context(), w.ID, c.from, c.to) {
			if err != nil || s.Start != c.from {
				t.Errorf("entries %d to %d: from %d, %v", c.from, c.to, s.Start, err)
			}
			n += int64(len(s.Statements))
		}
		if n != c.want {
			t.Errorf("entries %d to %d: %d came, want %d", c.from, c.to, n, c.want)
		}
	}
}

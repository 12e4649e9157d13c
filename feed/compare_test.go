package feed_test

import (
	"bytes"
	"errors"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
)

// TestCompare holds checkpoints that somebody else saw against what was accepted:
// any that our history begins with is good, one that is larger is not judged, and
// another history under the same key is a fork, with both heads kept.
func TestCompare(t *testing.T) {
	a, tape := example(t)
	fill(a, tape, 300)
	fork := tape.First(200).Add(a.Unknown("note", false, 5000))
	longFork := tape.First(200).Add(a.Unknown("note", false, 5000))
	fill(a, longFork, 300)
	longer := tape.Clone().Add(a.Unknown("note", false, 5001))
	f := a.Follower(tape)
	state, _, err := f.Sync(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	noteOf := func(tape *feedtest.Tape) []byte {
		c, err := tape.Checkpoint(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		return c.Note
	}
	for size, seen := range map[int64]*feedtest.Tape{1: tape.First(1), 200: tape.First(200), 257: tape.First(257), 300: tape, 301: longer} {
		if c, err := f.Compare(t.Context(), state, noteOf(seen)); err != nil || c.Size != size {
			t.Errorf("size %d: %v, %v", size, c.Size, err)
		}
	}
	for name, seen := range map[string]*feedtest.Tape{"smaller": fork, "same size": longFork} {
		t.Run(name, func(t *testing.T) {
			f := a.Follower(tape)
			state, _, err := f.Sync(t.Context(), a.ID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Compare(t.Context(), state, noteOf(seen))
			var rollback *feed.RollbackError
			if !errors.As(err, &rollback) || !errors.Is(err, feed.ErrForked) {
				t.Fatalf("got %v, want a fork", err)
			}
			wantEvidence(t, f, a, rollback)
		})
	}
	if _, err := f.Compare(t.Context(), state, []byte("no note\n")); !errors.Is(err, feed.ErrCheckpoint) && !errors.Is(err, feed.ErrMalformed) {
		t.Errorf("no note: %v", err)
	}
	forged := bytes.Replace(noteOf(tape.First(200)), []byte("\n200\n"), []byte("\n199\n"), 1)
	if _, err := f.Compare(t.Context(), state, forged); !errors.Is(err, feed.ErrCheckpoint) {
		t.Errorf("a forged note: %v", err)
	}
	f.Source = noTiles{tape}
	if _, err := f.Compare(t.Context(), state, noteOf(tape.First(200))); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without tiles: %v", err)
	}
}

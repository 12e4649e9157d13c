package log_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

// tapeOf returns a log of n entries that somebody else keeps.
func tapeOf(t *testing.T, n int) (*feedtest.Tape, *feedtest.Author) {
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	for _, s := range newCheap(a).notes(t, storage.NewMem(), 0, n-int(tape.Len())) {
		tape.AddRaw(s.Attestation.Bytes(), feed.LeafHash(s.Attestation))
	}
	return tape, a
}

func headOf(t *testing.T, tape *feedtest.Tape) feed.Checkpoint {
	t.Helper()
	c, err := tape.Checkpoint(t.Context(), tape.ID)
	must(t, err)
	return c
}

// A mirror has what the log has, tiles and all, however it came: at once or bit
// by bit, across segments, or once more.
func TestMirror(t *testing.T) {
	tape, _ := tapeOf(t, 700)
	for name, sizes := range map[string][]int64{"at once": {700}, "bit by bit": {3, 3, 255, 256, 257, 600, 700, 700}, "an older one again": {600, 300, 700}} {
		t.Run(name, func(t *testing.T) {
			store := storage.NewMem()
			have := int64(0)
			for _, size := range sizes {
				l := process(t, log.Config{Store: store}).Feed(tape.ID)
				before, now, err := l.Mirror(t.Context(), tape, headOf(t, tape.First(size)), 1)
				must(t, err)
				if before != have || now != max(have, size) {
					t.Errorf("to %d: from %d to %d", size, before, now)
				}
				have = now
			}
			logs := process(t, log.Config{Store: store, Key: feedtest.Key(9)})
			l := logs.Feed(tape.ID)
			if got := entries(t, l); int64(len(got)) != 700 {
				t.Errorf("%d entries", len(got))
			}
			h, err := l.Head(t.Context(), 0)
			must(t, err)
			if string(h.Checkpoint.Note) != string(headOf(t, tape).Note) {
				t.Errorf("checkpoint %s", h.Checkpoint.Note)
			}
			for _, tile := range []struct {
				level int
				n     int64
				width int
			}{{0, 0, 256}, {0, 2, 188}, {1, 0, 2}} {
				want, err := tape.Tile(t.Context(), tape.ID, tile.level, tile.n, tile.width)
				must(t, err)
				if got, err := l.Tile(t.Context(), tile.level, tile.n, tile.width); err != nil || string(got) != string(want) {
					t.Errorf("tile %v: %v", tile, err)
				}
			}
			if ids, err := logs.List(t.Context()); err != nil || len(ids) != 1 || ids[0] != tape.ID {
				t.Errorf("feeds %v, %v", ids, err)
			}
			// Nobody adds to it here.
			if _, err := feedtest.Append(t.Context(), store, l, tape.ID, feedtest.NewAuthor(t, "acme/dev-qa/shared").Opening()...); !errors.Is(err, log.ErrForeignKey) {
				t.Errorf("appending: %v", err)
			}
		})
	}
}

// Nothing of what does not give the root is written, and a log that is kept here
// is not overwritten.
func TestMirrorRefuses(t *testing.T) {
	tape, a := tapeOf(t, 300)
	mirrorTo := func(store *storage.Store, src feed.Source, to feed.Checkpoint, epoch uint64) error {
		_, _, err := process(t, log.Config{Store: store}).Feed(tape.ID).Mirror(t.Context(), src, to, epoch)
		return err
	}
	fork := tape.First(200)
	for _, s := range newCheap(a).notes(t, storage.NewMem(), 5000, 150) {
		fork.AddRaw(s.Attestation.Bytes(), feed.LeafHash(s.Attestation))
	}
	kept := storage.NewMem()
	opened(t, kept, process(t, log.Config{Store: kept, Key: feedtest.Key(1)}))
	full := storage.NewMem()
	must(t, mirrorTo(full, tape, headOf(t, tape), 1))
	for _, c := range []struct {
		name  string
		store *storage.Store
		src   feed.Source
		to    feed.Checkpoint
		epoch uint64
		want  error
	}{
		{"changed entry", storage.NewMem(), &feedtest.Tampered{Source: tape, Segment: feedtest.Swap(100)}, headOf(t, tape), 1, feed.ErrRoot},
		{"another root", storage.NewMem(), tape, headOf(t, fork.First(300)), 1, feed.ErrRoot},
		{"a fork behind what is there", full, fork, headOf(t, fork), 1, feed.ErrRoot},
		{"a fork of the same size", full, fork, headOf(t, fork.First(300)), 1, feed.ErrRoot},
		{"an epoch before", full, tape, headOf(t, tape), 0, log.ErrWentBack},
		{"a log of this store", kept, tape, headOf(t, tape), 1, log.ErrKept},
	} {
		t.Run(c.name, func(t *testing.T) {
			empty := c.store != full && c.store != kept
			if err := mirrorTo(c.store, c.src, c.to, c.epoch); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			for key, err := range c.store.Files.List(t.Context(), "log/", "") {
				if empty {
					t.Errorf("%s was written: %v", key, err)
				}
			}
		})
	}
	if got := entries(t, process(t, log.Config{Store: full}).Feed(tape.ID)); len(got) != 300 {
		t.Errorf("%d entries", len(got))
	}
	err := mirrorTo(storage.NewMem(), tape.First(250), headOf(t, tape), 1)
	if gap, ok := errors.AsType[*feed.GapError](err); !ok || gap.From != 250 {
		t.Errorf("with a gap: %v", err)
	}
}

// A run that ends anywhere leaves readers what was there before, and the next one
// goes on to the same end.
func TestMirrorFaults(t *testing.T) {
	tape, _ := tapeOf(t, 300)
	for n := 0; ; n++ {
		store := storage.NewMem()
		_, _, err := process(t, log.Config{Store: store}).Feed(tape.ID).Mirror(t.Context(), tape, headOf(t, tape.First(100)), 1)
		must(t, err)
		var left atomic.Int64 // objects are written together
		left.Store(int64(n))
		faulty := broken(store, func(_ context.Context, op, _ string) (before, after error) {
			if op == "create" || op == "swap" || op == "put" {
				if left.Add(-1) < 0 {
					return feedtest.ErrBroken, nil
				}
			}
			return nil, nil
		})
		_, _, err = process(t, log.Config{Store: faulty}).Feed(tape.ID).Mirror(t.Context(), tape, headOf(t, tape), 1)
		if got := len(entries(t, process(t, log.Config{Store: store}).Feed(tape.ID))); got != 100 && got != 300 {
			t.Fatalf("ended at write %d: %d entries", n, got)
		}
		_, now, again := process(t, log.Config{Store: store}).Feed(tape.ID).Mirror(t.Context(), tape, headOf(t, tape), 1)
		if again != nil || now != 300 || len(entries(t, process(t, log.Config{Store: store}).Feed(tape.ID))) != 300 {
			t.Fatalf("after an end at write %d: %d, %v", n, now, again)
		}
		if err == nil && left.Load() >= 0 {
			if n < 5 {
				t.Errorf("only %d writes", n)
			}
			return
		}
	}
}

package feed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	gosync "sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
)

// noTiles hides what a source can do besides being one.
type noTiles struct{ src feed.Source }

func (n noTiles) Checkpoint(ctx context.Context, id feed.ID) (feed.Checkpoint, error) {
	return n.src.Checkpoint(ctx, id)
}

func (n noTiles) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return n.src.Segments(ctx, id, from, to)
}

func (n noTiles) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	return n.src.Object(ctx, id, d, off)
}

// TestRollback shows a follower less than it saw, and other histories signed by
// the same key: at the size it saw and at a larger one, from a source with tiles
// and from one without, small and over several segments. Each is refused with
// both signed heads kept, and what was applied stays (design.md 8, rollback).
func TestRollback(t *testing.T) {
	for _, size := range []int64{5, 300, 600} {
		a, tape := example(t)
		fill(a, tape, size)
		fork := tape.First(size - 1).Add(a.Unknown("note", false, 5000))
		longer := fork.Clone().Add(a.Unknown("note", false, 5001))
		muchLonger := fork.Clone()
		fill(a, muchLonger, size+400)
		for name, c := range map[string]struct {
			src  *feedtest.Tape
			fork bool
		}{
			"smaller":       {tape.First(size - 1), false},
			"only opened":   {tape.First(2), false},
			"same size":     {fork, true},
			"one larger":    {longer, true},
			"larger by far": {muchLonger, true},
			"smaller fork":  {fork.First(size - 1), false},
		} {
			for _, src := range []feed.Source{c.src, noTiles{c.src}} {
				t.Run(fmt.Sprintf("%d/%s/%T", size, name, src), func(t *testing.T) {
					f := a.Follower(tape)
					sync(t, f, a.ID)
					err := wantRefused(t, later(t, f, src), a.ID, nil)
					var rollback *feed.RollbackError
					if !errors.As(err, &rollback) || rollback.Fork != c.fork || errors.Is(err, feed.ErrForked) != c.fork {
						t.Fatalf("got %v, want a *RollbackError, fork: %v", err, c.fork)
					}
					wantEvidence(t, f, a, rollback)
					if _, report := sync(t, later(t, f, tape), a.ID); report.From != size {
						t.Errorf("with the right source again: %+v", report)
					}
				})
			}
		}
	}
}

// wantEvidence opens the two notes that are kept, with the feed's key alone.
func wantEvidence(t *testing.T, f *feed.Follower, a *feedtest.Author, e *feed.RollbackError) {
	t.Helper()
	keys := evidence(t, f)
	if len(keys) != 2 {
		t.Fatalf("evidence: %q", keys)
	}
	for _, key := range keys {
		note, err := f.State.Files.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := feed.OpenCheckpoint(note, a.ID.Origin(1), a.Key.Public())
		if err != nil || !bytes.Equal(c.Note, e.Seen.Note) && !bytes.Equal(c.Note, e.Got.Note) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestNoFalseFork takes sources that are merely broken: they prove nothing
// against the Space.
func TestNoFalseFork(t *testing.T) {
	a, tape := example(t)
	fill(a, tape, 600)
	f := a.Follower(tape.First(300))
	sync(t, f, a.ID)
	badTiles := func(int, int64, []byte) []byte { return make([]byte, 8192) }
	for name, src := range map[string]feed.Source{
		"entries":           &feedtest.Tampered{Source: tape, Segment: feedtest.FlipEntry(400)},
		"entries and tiles": &feedtest.Tampered{Source: tape, Segment: feedtest.FlipEntry(400), TileHash: badTiles},
		"no tiles":          noTiles{&feedtest.Tampered{Source: tape, Segment: feedtest.FlipEntry(400)}},
		"early entries":     noTiles{&feedtest.Tampered{Source: tape, Segment: twice(feedtest.FlipEntry(10), feedtest.FlipEntry(400))}},
	} {
		wantRefused(t, later(t, f, src), a.ID, feed.ErrRoot)
		if keys := evidence(t, f); len(keys) > 0 {
			t.Errorf("%s: evidence %q", name, keys)
		}
	}
}

func twice(f, g func(feed.Segment) (feed.Segment, error)) func(feed.Segment) (feed.Segment, error) {
	return func(s feed.Segment) (feed.Segment, error) {
		s, err := f(s)
		if err != nil {
			return s, err
		}
		return g(s)
	}
}

// TestTwoFollowers syncs one home by several processes at once, from sources at
// different sizes and from forks: the state is one that was verified from the
// one before, and a fork never replaces it.
func TestTwoFollowers(t *testing.T) {
	a, tape := example(t)
	fill(a, tape, 400)
	fork := tape.First(100)
	for n := range 300 {
		fork.Add(a.Unknown("note", false, 9000+n))
	}
	home := storage.NewMem()
	var wg gosync.WaitGroup
	for i := range 8 {
		f := a.Follower(tape.First(int64(300 + i)))
		if i%4 == 3 {
			f.Source = fork.First(int64(320 + i))
		}
		f.State = home
		wg.Go(func() {
			for range 3 {
				s, _, err := f.Sync(t.Context(), a.ID)
				var rollback *feed.RollbackError
				if err != nil && !errors.As(err, &rollback) {
					t.Error(err)
				}
				if err == nil && s.Edge.Root() != f.Source.(*feedtest.Tape).Edge().Root() && s.Edge.Size() == f.Source.(*feedtest.Tape).Len() {
					t.Error("accepted another root than the source's")
				}
			}
		})
	}
	wg.Wait()
	f := a.Follower(tape)
	f.State = home
	s, err := feed.LoadState(t.Context(), home, a.Space.Lineage(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	size := s.Edge.Size()
	if s.Edge.Root() != tape.First(size).Edge().Root() && s.Edge.Root() != fork.First(min(size, fork.Len())).Edge().Root() {
		t.Errorf("the state at %d is of neither history", size)
	}
}

// TestYield has another process of the home save a longer fork while this one
// reads: what this one read does not replace it, nor count beside it.
func TestYield(t *testing.T) {
	a, tape := example(t)
	fork := tape.First(3).Add(a.Unknown("note", false, 1), a.Unknown("note", false, 2), a.Unknown("note", false, 3))
	home := storage.NewMem()
	var once gosync.Once
	f := a.Follower(&feedtest.Tampered{Source: tape, Segment: func(s feed.Segment) (feed.Segment, error) {
		once.Do(func() {
			other := a.Follower(fork)
			other.State = home
			sync(t, other, a.ID)
		})
		return s, nil
	}})
	f.State = home
	_, _, err := f.Sync(t.Context(), a.ID)
	var rollback *feed.RollbackError
	if !errors.As(err, &rollback) {
		t.Errorf("got %v, want a *RollbackError", err)
	}
	if s, err := feed.LoadState(t.Context(), home, a.Space.Lineage(), a.ID); err != nil || s.Edge.Root() != fork.Edge().Root() {
		t.Errorf("the state is not what the other process saved: %v", err)
	}
}

// TestLostAnswer loses the answer of the swap that keeps a state.
func TestLostAnswer(t *testing.T) {
	a, tape := example(t)
	f := a.Follower(tape)
	cells := &lossy{Cells: f.State.Cells, lose: 1}
	f.State.Cells = cells
	s, report := sync(t, f, a.ID)
	if report.From != 0 || report.To != 5 || s.Edge.Size() != 5 {
		t.Errorf("%+v", report)
	}
	tape.Add(a.Publish("file/a@3"))
	cells.lose = 1
	if _, report := sync(t, later(t, f, tape), a.ID); report.From != 5 || report.To != 6 {
		t.Errorf("%+v", report)
	}
}

type lossy struct {
	storage.Cells
	lose int
}

func (l *lossy) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	tag, err := l.Cells.Swap(ctx, key, tag, value)
	if err == nil && l.lose > 0 {
		l.lose--
		return "", storage.ErrUnclear
	}
	return tag, err
}

// TestProve makes proofs from tiles, and from tiles that do not match the root.
func TestProve(t *testing.T) {
	a, tape := example(t)
	fill(a, tape, 700)
	c, err := tape.Checkpoint(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int64{0, 1, 255, 256, 511, 512, 699} {
		proof, err := feed.Prove(t.Context(), tape, a.ID, c, i)
		if err != nil {
			t.Fatal(err)
		}
		att := parse(t, tape.Entry(i))
		if err := tlog.CheckRecord(proof, c.Size, c.Root, i, feed.LeafHash(att)); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	for name, lie := range map[string]func(int, int64, []byte) []byte{
		"flipped": func(_ int, _ int64, b []byte) []byte { b[3] ^= 1; return b },
		"short":   func(_ int, _ int64, b []byte) []byte { return b[:len(b)-32] },
		"empty":   func(int, int64, []byte) []byte { return nil },
	} {
		if _, err := feed.Prove(t.Context(), &feedtest.Tampered{Source: tape, TileHash: lie}, a.ID, c, 3); err == nil {
			t.Errorf("tiles %s: a proof was made", name)
		}
	}
	if _, err := feed.Prove(t.Context(), tape, a.ID, c, 700); err == nil {
		t.Error("an entry past the end was proved")
	}
	if _, err := feed.Prove(t.Context(), tape.First(300), a.ID, c, 600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the tiles: %v", err)
	}
}

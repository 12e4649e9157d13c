package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/storage"
)

// part is a place that hands out what it is told to.
type part struct {
	place
	segments []feed.Segment // from whatever entry on is asked
	fails    error          // after them
	object   string         // "" for none
}

func (p part) Segments(_ context.Context, _ feed.ID, from, _ int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for _, s := range p.segments {
			if s.Start+int64(len(s.Statements)) > from && s.Start <= from && !yield(s, nil) {
				return
			}
		}
		if p.fails != nil {
			yield(feed.Segment{}, p.fails)
		}
	}
}

func (p part) Object(context.Context, feed.ID, storage.Digest, int64) (io.ReadCloser, error) {
	if p.object == "" {
		return nil, cmp.Or(p.fails, fs.ErrNotExist)
	}
	return io.NopCloser(strings.NewReader(p.object)), nil
}

// entriesOf is the entries from start to end, each its own number.
func entriesOf(start, end int) feed.Segment {
	s := feed.Segment{Start: int64(start)}
	for i := start; i < end; i++ {
		s.Statements = append(s.Statements, fmt.Append(nil, i))
	}
	return s
}

func ofParts(parts ...part) *several {
	s := &several{}
	for i, p := range parts {
		s.all = append(s.all, &conn{place: p, name: fmt.Sprint(i)})
	}
	s.place = s.all[0].place
	return s
}

var errBroken = errors.New("broken")

// stubborn hands out the same segment whatever is asked for.
type stubborn struct{ part }

func (p stubborn) Segments(context.Context, feed.ID, int64, int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) { yield(p.segments[0], nil) }
}

func TestSeveralSegments(t *testing.T) {
	gap := &feed.GapError{}
	for name, c := range map[string]struct {
		from *several
		want int // entries
		err  error
	}{
		"one after the other":  {ofParts(part{segments: []feed.Segment{entriesOf(5, 8)}, fails: gap}, part{segments: []feed.Segment{entriesOf(0, 5)}}), 8, nil},
		"overlapping":          {ofParts(part{segments: []feed.Segment{entriesOf(4, 8)}, fails: gap}, part{segments: []feed.Segment{entriesOf(0, 6)}}), 8, nil},
		"by turns":             {ofParts(part{segments: []feed.Segment{entriesOf(0, 2), entriesOf(6, 8)}}, part{segments: []feed.Segment{entriesOf(2, 6)}}), 8, nil},
		"one that breaks off":  {ofParts(part{segments: []feed.Segment{entriesOf(0, 3)}, fails: errBroken}, part{segments: []feed.Segment{entriesOf(0, 8)}}), 8, nil},
		"a hole":               {ofParts(part{segments: []feed.Segment{entriesOf(5, 8)}, fails: fs.ErrNotExist}, part{segments: []feed.Segment{entriesOf(0, 4)}}), 4, &feed.GapError{}},
		"broken at the hole":   {ofParts(part{segments: []feed.Segment{entriesOf(5, 8)}, fails: errBroken}, part{segments: []feed.Segment{entriesOf(0, 4)}}), 4, errBroken},
		"always what was read": {ofParts(part{segments: []feed.Segment{entriesOf(0, 4)}}), 4, &feed.GapError{}},
	} {
		t.Run(name, func(t *testing.T) { readSeveral(t, c.from, c.want, c.err) })
	}
	t.Run("a liar that never goes on", func(t *testing.T) {
		s := ofParts(part{})
		for _, at := range []feed.Segment{entriesOf(0, 2), entriesOf(5, 6), {Start: 2}} {
			s.all[0].place = stubborn{part{segments: []feed.Segment{at}}}
			want := 0
			if at.Start == 0 {
				want = 2
			}
			readSeveral(t, s, want, &feed.GapError{})
		}
	})
}

// readSeveral wants the entries up to one, and then that error.
func readSeveral(t *testing.T, s *several, want int, end error) {
	t.Helper()
	var got []string
	for segment, err := range s.Segments(t.Context(), feed.ID{}, 0, 8) {
		if err != nil {
			if _, gap := end.(*feed.GapError); end == nil || gap != as[*feed.GapError](err) || !gap && !errors.Is(err, end) {
				t.Fatalf("after %d entries: %v, want %v", len(got), err, end)
			}
			end = nil
			break
		}
		for _, statement := range segment.Statements {
			got = append(got, string(statement))
		}
	}
	var all []string
	for i := range want {
		all = append(all, fmt.Sprint(i))
	}
	if !slices.Equal(got, all) || end != nil {
		t.Fatalf("read %v, want %v and then %v", got, all, end)
	}
}

// TestSeveralObject has an object from whichever place has it; where none does
// the error says more than that one lacks it.
func TestSeveralObject(t *testing.T) {
	r, err := ofParts(part{fails: errBroken}, part{}, part{object: "x"}).Object(t.Context(), feed.ID{}, storage.Digest{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); string(b) != "x" {
		t.Errorf("got %q", b)
	}
	if _, err := ofParts(part{}, part{fails: errBroken}, part{}).Object(t.Context(), feed.ID{}, storage.Digest{}, 0); !errors.Is(err, errBroken) {
		t.Errorf("of an object that nobody has: %v, want what kept one from answering", err)
	}
}

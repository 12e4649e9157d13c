package feed_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/trust"
)

// medium has the entries of a feed from first on, with a checkpoint.
type medium struct {
	noTiles
	first  int64
	silent bool // passes over what it does not have instead of naming it
}

func (m medium) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		if from < m.first && !m.silent {
			yield(feed.Segment{}, &feed.GapError{ID: id, From: from, To: m.first})
			return
		}
		for s, err := range m.src.Segments(ctx, id, from, to) {
			if skip := m.first - s.Start; err == nil && skip > 0 {
				s.Start, s.Statements = m.first, s.Statements[min(skip, int64(len(s.Statements))):]
			}
			if len(s.Statements) > 0 && !yield(s, err) {
				return
			}
		}
	}
}

func lateFollower(t *testing.T, f *feed.Follower, src feed.Source) *feed.Follower {
	next := later(t, f, src)
	next.Late = true
	return next
}

// TestLate shows a follower the beginning of what it accepted, whole and in part:
// from a source that may come late it is that and nothing else; from any other it
// is a rollback (design.md 8).
func TestLate(t *testing.T) {
	a, tape := example(t)
	fill(a, tape, 600)
	f := a.Follower(tape)
	sync(t, f, a.ID)
	before := stateOf(t, f, a.ID)
	old := tape.First(300)
	for name, src := range map[string]feed.Source{
		"whole":          old,
		"from 100 on":    medium{noTiles{old}, 100, false},
		"from 270 on":    medium{noTiles{old}, 270, true},
		"without any":    medium{noTiles{old}, 300, false},
		"none, silently": medium{noTiles{old}, 300, true},
	} {
		s, report := sync(t, lateFollower(t, f, src), a.ID)
		if report.Late != 300 || report.From != 600 || report.To != 600 || s.Edge.Size() != 600 || len(evidence(t, f)) > 0 {
			t.Errorf("%s: %+v, %d pieces of evidence", name, report, len(evidence(t, f)))
		}
	}
	if _, report := sync(t, lateFollower(t, f, tape), a.ID); report.Late != 0 {
		t.Errorf("all of it: %+v", report)
	}
	if stateOf(t, f, a.ID) != before {
		t.Error("the state changed")
	}
	wantRefused(t, later(t, f, old), a.ID, nil)
}

// TestLateRefused shows what is not the beginning of what was accepted: another
// history, of which only one that is whole is proven; damage; and a head that
// the log did not sign.
func TestLateRefused(t *testing.T) {
	a, tape := example(t)
	fill(a, tape, 400)
	fork := tape.First(290).Add(a.Unknown("note", false, 9000))
	fill(a, fork, 300)
	for name, src := range map[string]feed.Source{"whole": fork, "from 280 on": medium{noTiles{fork}, 280, false}} {
		f := a.Follower(tape)
		sync(t, f, a.ID)
		err := wantRefused(t, lateFollower(t, f, src), a.ID, nil)
		rollback, ok := errors.AsType[*feed.RollbackError](err)
		if !ok || rollback.Fork != (name == "whole") {
			t.Fatalf("%s: got %v", name, err)
		}
		wantEvidence(t, f, a, rollback)
	}
	f := a.Follower(tape)
	sync(t, f, a.ID)
	flipped := &feedtest.Tampered{Source: tape.First(300), Segment: feedtest.FlipEntry(200)}
	wantRefused(t, lateFollower(t, f, flipped), a.ID, feed.ErrRoot)
	cut := &feedtest.Tampered{Source: tape.First(300), Head: func(c feed.Checkpoint) feed.Checkpoint {
		c, _ = feedtest.Key(2).Sign(c.Origin, c.Size, c.Root)
		return c
	}}
	wantRefused(t, lateFollower(t, f, cut), a.ID, feed.ErrCheckpoint)
	if keys := evidence(t, f); len(keys) > 0 {
		t.Errorf("evidence %q", keys)
	}
}

// TestLateRevoked has a late source where a revocation was learned elsewhere: all
// must be judged again, for which it lacks the newest entries. The state never
// becomes less than it was.
func TestLateRevoked(t *testing.T) {
	a, tape := example(t)
	carol := a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(listing(a, carol))
	tape.Add(a.Identity(2)...).Add(a.Draft(carol, "file/c@1", nil, nil))
	f := a.Follower(tape)
	sync(t, f, a.ID)
	a.Space.Next(func(id *trust.Identity) {
		a.Space.Revoke(id, carol, trust.Position{Feed: a.ID.String(), Epoch: 1, Index: 6})
	})
	knowing := lateFollower(t, f, tape.First(5))
	knowing.View = a.Space.View(nil)
	err := wantRefused(t, knowing, a.ID, nil)
	if gap, ok := errors.AsType[*feed.GapError](err); !ok || gap.From != 5 || gap.To != 7 {
		t.Errorf("got %v, want entries 5 and 6 to be missing", err)
	}
}

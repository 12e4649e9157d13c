package feed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	gosync "sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// longFeed is a feed of more than a page, and what its Space says of it to
// newcomers. Making it takes a while, so the tests share one.
type longFeed struct {
	author *feedtest.Author
	tape   *feedtest.Tape // without any holdings
	seen   feed.Checkpoint
	snap   *feed.Snapshot
	page   []byte
	old    *signing.Signer // a publisher that identity version 2 dropped
}

var long struct {
	gosync.Once
	longFeed
}

func theLongFeed(t *testing.T) longFeed {
	t.Helper()
	long.Do(func() { long.longFeed = newLongFeed(t) })
	return long.longFeed
}

func newLongFeed(t *testing.T) longFeed {
	a, tape := example(t)
	tape.Add(a.Withdraw("file/b@1"), a.Draft(a.Space.Approver, "file/void@1", nil, nil))
	old := a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(func(id *trust.Identity) { a.Space.List(id, old) })
	tape.Add(a.Identity(2)...)
	a.Space.Next(func(id *trust.Identity) { a.Space.Drop(id, old) })
	tape.Add(a.Identity(3)...)
	// What comes from a stranger costs nobody a signature.
	noise := feedtest.NewAuthor(t, a.ID.String()).Unknown("noise", false, 1_000_000)
	for tape.Len() < feed.PageSize+300 {
		payload := bytes.Replace(noise.Payload(), []byte("1000000"), fmt.Append(nil, tape.Len()), 1)
		att := parse(t, feedtest.StoredForm(payload, noise.Signature(), noise.CertificateDER()))
		tape.AddRaw(att.Bytes(), feed.LeafHash(att))
	}
	own := a.Follower(tape)
	own.View = a.Space.View(nil)
	s, _ := sync(t, own, a.ID)
	snap, pages, err := s.Snapshot(t.Context(), tape)
	if err != nil || len(pages) != 1 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	return longFeed{author: a, tape: tape, seen: s.Checkpoint(), snap: snap, page: s.Index.Page(0), old: old}
}

const snapTime = "2026-02-03T04:05:06Z"

// said is the feed with holdings that hold a snapshot, and entries behind it.
func (l longFeed) said(by *signing.Signer, s *feed.Snapshot, page []byte) *feedtest.Tape {
	tape := l.tape.Clone().Add(l.author.Snapshot(by, snapTime, l.seen, s, page))
	return tape.Add(l.author.Unknown("note", false, -1))
}

// newcomer follows under a policy, and may begin at a snapshot.
func (l longFeed) newcomer(t *testing.T, src feed.Source) *feed.Follower {
	f := l.author.Follower(src)
	view, err := trust.NewView(l.author.Space.History(), trust.NewPolicy(l.author.Space.Name, l.author.Space.Lineage()))
	if err != nil {
		t.Fatal(err)
	}
	f.View, f.FromSnapshot = view, true
	return f
}

// segmentCount counts the segments that are asked for.
type segmentCount struct {
	*feedtest.Tape
	segments int
}

func (c *segmentCount) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for s, err := range c.Tape.Segments(ctx, id, from, to) {
			c.segments++
			if !yield(s, err) {
				return
			}
		}
	}
}

// TestNewcomerFromSnapshot has newcomers read a feed from the Space's snapshot
// on, and as a whole: they end with the same state, and the one reads a fraction
// of what the other does. Then both go on alike.
func TestNewcomerFromSnapshot(t *testing.T) {
	l := theLongFeed(t)
	a, src := l.author, &segmentCount{Tape: l.said(l.author.Space.Publisher, l.snap, l.page)}
	f := l.newcomer(t, src)
	s, report := sync(t, f, a.ID)
	if report.Snapshot != feed.PageSize || report.From != 0 || report.To != src.Len() || src.segments > 12 {
		t.Errorf("%+v after %d segments", report, src.segments)
	}
	whole := l.newcomer(t, src)
	whole.FromSnapshot = false
	want, _ := sync(t, whole, a.ID)
	if stateOf(t, f, a.ID) != stateOf(t, whole, a.ID) {
		t.Errorf("another state than from the start: %d void, want %d", len(voids(s)), len(voids(want)))
	}
	if got := voids(s); got[5] != "" || got[6] == "" || got[7] != "" {
		t.Errorf("void: %q, %q, %q", got[5], got[6], got[7])
	}
	if row, ok := s.Index.State(feedtest.ParseRef("file/b@1")); !ok || row.What != feed.IsWithdrawal {
		t.Errorf("what was withdrawn in the first page is %+v", row)
	}
	src.Tape.Add(a.Publish("file/a@3"))
	s, report = sync(t, later(t, f, src), a.ID)
	if row, ok := s.Index.State(feedtest.ParseRef("file/a@3")); !ok || report.From != report.To-1 || row.Void != "" {
		t.Errorf("afterwards: %+v, %+v", report, row)
	}
	// The Space itself, and who does not ask for it, read all.
	own := l.newcomer(t, src)
	own.View = a.Space.View(nil)
	if _, report := sync(t, own, a.ID); report.Snapshot != 0 {
		t.Errorf("the Space itself began at %d", report.Snapshot)
	}
}

// TestSnapshotsRefused offers newcomers snapshots that are not the Space's word,
// or not of this feed as its checkpoint has it. None is gone by.
func TestSnapshotsRefused(t *testing.T) {
	l := theLongFeed(t)
	a := l.author
	with := func(change func(s *feed.Snapshot)) *feed.Snapshot {
		s := *l.snap
		s.Pages, s.Edge = slices.Clone(s.Pages), slices.Clone(s.Edge)
		change(&s)
		return &s
	}
	good := l.said(a.Space.Publisher, l.snap, l.page)
	tail := l.otherPage(t)
	stranger := feedtest.NewAuthor(t, a.ID.String())
	for name, src := range map[string]feed.Source{
		"":                            good,
		"no holdings":                 l.tape,
		"holdings without a snapshot": l.tape.Clone().Add(a.Holdings(snapTime, l.seen)),
		"signed by a stranger":        l.said(stranger.Space.Publisher, l.snap, l.page),
		"signed by an approver":       l.said(a.Space.Approver, l.snap, l.page),
		"signed by a dropped leaf":    l.said(l.old, l.snap, l.page),
		"the edge of another tree":    l.said(a.Space.Publisher, with(func(s *feed.Snapshot) { s.Edge[0] = storage.Digest{1} }), l.page),
		"a page that is not there":    l.said(a.Space.Publisher, with(func(s *feed.Snapshot) { s.Pages[0].Digest = storage.Digest{1} }), l.page),
		"a page that is none": l.said(a.Space.Publisher, with(func(s *feed.Snapshot) {
			s.Pages[0] = feed.SnapshotPage{Digest: storage.DigestOf([]byte("x")), Size: 1}
		}), []byte("x")),
		"a page that is not full": l.said(a.Space.Publisher, with(func(s *feed.Snapshot) {
			s.Pages[0] = feed.SnapshotPage{Digest: storage.DigestOf(tail), Size: int64(len(tail))}
		}), tail),
		"more pages than entries":       l.said(a.Space.Publisher, with(func(s *feed.Snapshot) { s.Pages = append(s.Pages, s.Pages[0]) }), l.page),
		"an identity that nobody knows": l.said(a.Space.Publisher, with(func(s *feed.Snapshot) { s.Identity = 9 }), l.page),
		"a page changed on the way": &feedtest.Tampered{Source: good, Bytes: func(d storage.Digest, r io.ReadCloser) io.ReadCloser {
			if d == l.snap.Pages[0].Digest {
				return feedtest.Endless(d, r)
			}
			return r
		}},
		"a bit flipped behind it":   &feedtest.Tampered{Source: good, Segment: feedtest.FlipEntry(feed.PageSize + 100)},
		"another identity in place": &feedtest.Tampered{Source: good, Segment: feedtest.Change(7, func([]byte) []byte { return good.Entry(8) })},
		"another log's checkpoint": &feedtest.Tampered{Source: good, Head: func(feed.Checkpoint) feed.Checkpoint {
			c, _ := feedtest.Key(9).Sign(a.ID.Origin(1), good.Len(), tlog.Hash{1})
			return c
		}},
		"a root that nobody signed": &feedtest.Tampered{Source: good, Head: func(feed.Checkpoint) feed.Checkpoint {
			c, _ := a.Key.Sign(a.ID.Origin(1), good.Len(), tlog.Hash{1})
			return c
		}},
	} {
		f := l.newcomer(t, src)
		err := feed.GoOn(t.Context(), f, a.ID)
		if (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
		if name != "" && f.View.History().Current().Version != 3 {
			t.Errorf("%q: the view changed", name)
		}
	}
}

// otherPage is a page that is not full.
func (l longFeed) otherPage(t *testing.T) []byte {
	f := l.author.Follower(l.tape.First(100))
	f.View = l.author.Space.View(nil)
	s, _ := sync(t, f, l.author.ID)
	return s.Index.Tail()
}

// TestSnapshotRevoked has the signer of a snapshot revoked behind it: a newcomer
// who learns of it on the way reads the whole feed, and finds the same as who
// knew.
func TestSnapshotRevoked(t *testing.T) {
	l := theLongFeed(t)
	l.author = l.author.Clone(t)
	a := l.author
	thief := a.Space.Publisher
	carol := a.Space.Leaf("carol", trust.Publisher)
	tape := l.said(thief, l.snap, l.page)
	before := a.Space.HistoryAt(3)
	a.Space.Next(func(id *trust.Identity) {
		a.Space.List(id, carol)
		a.Space.Drop(id, thief)
		a.Space.Revoke(id, thief, trust.Position{Feed: a.ID.String(), Epoch: 1, Index: 3})
	})
	tape.Add(a.Identity(4)...)
	f := l.newcomer(t, tape)
	view, err := trust.NewView(before, f.View.Policy())
	if err != nil {
		t.Fatal(err)
	}
	f.View = view
	if err := feed.GoOn(t.Context(), f, a.ID); err == nil {
		t.Error("went on from what a revoked key said")
	}
	s, report := sync(t, f, a.ID)
	if row := s.Index.Row(3); report.Snapshot != 0 || row.Void == "" {
		t.Errorf("%+v: entry 3 is %+v", report, row)
	}
	if err := feed.GoOn(t.Context(), l.newcomer(t, tape), a.ID); !errors.Is(err, feed.ErrNoSnapshot) {
		t.Errorf("who knew of the revocation: %v", err)
	}
}

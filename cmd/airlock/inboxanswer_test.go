package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/home"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
)

// isOver reports whether an arrival waits for nobody.
func isOver(a *arrival) bool {
	select {
	case <-a.over:
		return true
	default:
		return false
	}
}

// receiptOf is a signed receipt about the entry with a statement; number makes it
// another one.
func (s *inboxSite) receiptOf(of signing.ID, number int64) signing.Attestation {
	s.t.Helper()
	c, err := s.Source().Checkpoint(s.t.Context(), s.ID)
	s.check(err)
	r := receipts.Receipt{Checkpoint: string(c.Note), Epoch: 1, Feed: feed.ID{Space: s.ID.Space, Name: receipts.Feed}, Instance: strings.Repeat("ab", 16), Lineage: s.Space.Lineage(),
		Manifest: storage.Digest{1}, Number: number, Outcome: receipts.Applied, Previous: &signing.ID{}, Time: "2026-02-03T04:05:06Z",
		Publication: receipts.Publication{Epoch: 1, Feed: s.ID, Kind: "file", Lineage: s.Space.Lineage(), Name: "a", Statement: of, Version: "1"}}
	st, err := r.Statement()
	return s.Sign(s.Space.Publisher, st, err).Attestation
}

// An answer waits for the subscriptions that follow what came, each until it has
// looked at it or a turn that began later has failed, and has what they say about
// what that push brought.
func TestArrivals(t *testing.T) {
	s := newInboxSite(t)
	s.Publish("file/a@1")
	s.Publish("file/b@1")
	state, _, err := s.Follower(s.Source()).Sync(t.Context(), s.ID)
	s.check(err)
	row := func(i int64) signing.ID { return state.Index.Row(i).ID }
	slice := bundle.Slice{Epoch: 1, Feed: s.ID, From: 3, To: 4}

	var l arrivals
	if a := l.add(slice, state.Index); !isOver(a) {
		t.Error("waits for nobody")
	} else {
		l.remove(a)
	}
	l.follow("conf", []string{"acme/*/shared"})
	l.follow("other", []string{"acme/dev-qa/other"})
	l.follow("gone", []string{"acme/dev-qa/shared"})
	early := l.begin()
	a := l.add(slice, state.Index)
	l.hand([]signing.Attestation{s.receiptOf(row(2), 2), s.receiptOf(row(3), 3), s.receiptOf(row(3), 3)})
	l.looked("conf", map[feed.ID]int64{s.ID: 3})
	l.ended("conf", early)
	l.leave("gone")
	if isOver(a) {
		t.Error("is over before anybody has looked")
	}
	l.looked("conf", map[feed.ID]int64{s.ID: 4})
	l.looked("conf", map[feed.ID]int64{s.ID: 4})
	if !isOver(a) {
		t.Error("waits for who has looked")
	}
	if said := l.remove(a); len(said) != 1 || said[0].ID() != s.receiptOf(row(3), 3).ID() {
		t.Errorf("%d receipts", len(said))
	}
	a = l.add(slice, state.Index)
	l.ended("conf", l.begin())
	if !isOver(a) {
		t.Error("waits for a turn that failed")
	}
	for n := range int64(maxAnswered) + 1 {
		l.hand([]signing.Attestation{s.receiptOf(row(3), n+2)})
	}
	if said := l.remove(a); len(said) != maxAnswered {
		t.Errorf("%d receipts", len(said))
	}
	l.hand([]signing.Attestation{s.receiptOf(row(3), 2)})
	if len(l.open) > 0 {
		t.Error("something is kept")
	}
}

// Receipts go to the operator in whose log the Space's receipts feed is, or is going
// to be; which that is nobody knows where the Space joined several.
func TestAnswerOfOtherLog(t *testing.T) {
	s := newInboxSite(t)
	s.Publish("file/a@1")
	state, _, err := s.Follower(s.Source()).Sync(t.Context(), s.ID)
	s.check(err)
	said := []signing.Attestation{s.receiptOf(state.Index.Row(2).ID, 2)}
	answer := func() string {
		raw, err := s.in.batch(t.Context(), said, s.Key.Public())
		s.check(err)
		if raw == nil {
			return "none"
		}
		b, err := feedhttp.ParseBatch(raw, feed.ID{Space: s.ID.Space, Name: receipts.Feed})
		return fmt.Sprintf("%d statements, %v", len(b.Statements), err)
	}
	if got := answer(); got != "3 statements, <nil>" { // what opens the feed, and it
		t.Error(got)
	}
	s.in.sending.to = "https://feeds.acme.example"
	if got := answer(); got != "none" {
		t.Errorf("that are sent elsewhere: %s", got)
	}
	s.in.sending.to = ""
	s.check(s.in.home.Remember(home.Server{LogKey: feedtest.Key(2).Public(), Pin: storage.Digest{2}, URL: "https://other.acme.example"}))
	if got := answer(); got != "none" {
		t.Errorf("of a Space with two operators: %s", got)
	}
}

// What takes longer than a server waits is not in the answer, and one that does not
// wait is given none.
func TestAnswerInTime(t *testing.T) {
	s := newInboxSite(t)
	s.in.arrivals.follow("conf", []string{"acme/dev-qa/shared"})
	s.Publish("file/a@1")
	if got, err := s.take(s.stream(s.Source(), 0, s.Key, nil)); err != nil || got.Size != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if len(s.in.arrivals.open) > 0 {
		t.Error("an arrival is left")
	}
	state, _, err := s.Follower(s.Source()).Sync(t.Context(), s.ID)
	s.check(err)
	for wait, want := range map[time.Duration]bool{0: false, time.Minute: true} {
		a := s.in.arrivals.add(bundle.Slice{Epoch: 1, Feed: s.ID, To: 3}, state.Index)
		s.in.arrivals.hand([]signing.Attestation{s.receiptOf(state.Index.Row(2).ID, 2)})
		s.in.arrivals.looked("conf", map[feed.ID]int64{s.ID: 3})
		if got := s.in.answer(t.Context(), a, s.Key.Public(), wait); (got != nil) != want {
			t.Errorf("with %s to wait: %d bytes", wait, len(got))
		}
	}
}

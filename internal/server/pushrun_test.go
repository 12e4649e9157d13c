package server

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/internal/agent"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// Who pushed before writes no cursor any more, whenever it comes to it.
func TestPushFenced(t *testing.T) {
	s := New(Config{Store: storage.NewMem(), LogKey: registryKey(t, 1), Pushing: Pushing{Retry: time.Millisecond}})
	defer s.Close()
	record := pushRecord{Added: 1, Feeds: []feed.Pattern{"*/*/*"}, ID: "07k3m2qxwz5a", Said: 1, Space: "acme/production", URL: "https://inbox.acme.example"}
	runner := func(term int64) *pushRunner {
		r := &pushRunner{pusher: &pusher{server: s}, record: record, term: term}
		var err error
		if r.cursor, r.tag, err = s.pushCursor(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		return r
	}
	old, next := runner(1), runner(2)
	next.cursor.Term = 2
	if err := next.save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := old.save(t.Context()); !errors.Is(err, errTerm) {
		t.Errorf("under a tag of before: %v", err)
	}
	if err := runner(1).run(t.Context()); !errors.Is(err, errTerm) {
		t.Errorf("under a term of before: %v", err)
	}
	record.Said++
	if c, _, err := s.pushCursor(t.Context(), record); err != nil || c.Term != 2 {
		t.Errorf("said again: %+v, %v", c, err)
	}
}

// One server at a time has the work, each under a term of its own; one that was killed
// has it again at once when it begins anew.
func TestPushTerms(t *testing.T) {
	store := storage.NewMem()
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for i, c := range []struct {
		id   string
		want int64
	}{{a, 1}, {b, 0}, {a, 2}, {a, 3}, {b, 0}} {
		s := New(Config{Store: store, LogKey: registryKey(t, 1), Pushing: Pushing{Self: agent.Agent{ID: c.id, Patience: time.Hour}}})
		defer s.Close()
		p := &pusher{server: s, desk: agent.NewDesk(boardCell{store.Cells, pushBoard}, s.config.Pushing.Self, time.Now)}
		for range 2 {
			if got, err := p.look(t.Context(), 7); got != c.want || err != nil {
				t.Errorf("%d: term %d, %v, want %d", i, got, err, c.want)
			}
		}
	}
	_, tag, err := store.Cells.Load(t.Context(), pushBoard)
	if err == nil {
		_, err = store.Cells.Swap(t.Context(), pushBoard, tag, []byte("x"))
	}
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Store: store})
	defer s.Close()
	p := &pusher{server: s, desk: agent.NewDesk(boardCell{store.Cells, pushBoard}, agent.Agent{ID: a, Patience: time.Hour}, time.Now)}
	if got, err := p.look(t.Context(), 7); got != 7 || err == nil || !strings.Contains(err.Error(), pushBoard) {
		t.Errorf("what is no board: term %d, %v", got, err)
	}
}

// A feed that comes while feeds are listed is not lost, is there once, and is forgotten
// with the push.
func TestPushFeedsWhileListed(t *testing.T) {
	id := feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}
	var f *pushFeeds
	lists := 0
	s := New(Config{Store: storetest.WithFaults(storage.NewMem(), func(c storetest.Call) storetest.Fault {
		lists++
		f.note(id)
		return storetest.Fault{}
	})})
	defer s.Close()
	f = s.pushFeeds
	patterns := []feed.Pattern{"acme/*/shared", "acme/dev-qa/*"}
	for range 3 {
		if got, _, err := f.of(t.Context(), patterns); err != nil || len(got) != 1 || !got[id] {
			t.Errorf("%v, %v", got, err)
		}
	}
	f.keepOnly([]pushRecord{{Feeds: patterns[:1]}})
	if f.note(id); lists != 2 || len(f.found) != 1 || len(f.found["acme/"].all) != 1 {
		t.Errorf("listed %d times, %+v", lists, f.found)
	}
}

// Feeds are listed again when a minute is over since they were, and who asks is told
// when that is, whoever asked before.
func TestPushFeedsListedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := 0
		s := New(Config{Store: storetest.WithFaults(storage.NewMem(), func(storetest.Call) storetest.Fault {
			lists++
			return storetest.Fault{}
		})})
		defer s.Close()
		for i, c := range []struct {
			lists int
			due   time.Duration
		}{{1, time.Minute}, {1, 30 * time.Second}, {2, time.Minute}} {
			_, due, err := s.pushFeeds.of(t.Context(), []feed.Pattern{"*/*/*"})
			if err != nil || lists != c.lists || time.Until(due) != c.due {
				t.Errorf("%d: listed %d times, again in %s, %v", i, lists, time.Until(due), err)
			}
			time.Sleep(30 * time.Second)
		}
	})
}

// TestMayPushTo has an address of each kind.
func TestMayPushTo(t *testing.T) {
	allowed := prefixes("10.1.0.0/16", "fd00::/8")
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"10.1.2.3": true, "fd00::1": true, "::ffff:10.1.2.3": true,
		"10.2.0.1": false, "::ffff:10.2.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false,
		"0.0.0.0": false, "::": false, "169.254.169.254": false, "fe80::1%eth0": false, "fc00::1": false, "100.64.0.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false, "2001::1": false, "::7f00:1": false,
	} {
		if got := mayPushTo(netip.MustParseAddr(address), allowed); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

package server

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// Who held the lease before writes no cursor any more, whenever it comes to it.
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

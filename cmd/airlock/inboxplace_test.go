package main

import (
	"os"
	"path/filepath"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
)

// The inbox may come late by whatever path it is named, and nothing else does. Who
// waits there for more waits for what goes on from what it has.
func TestPushedPlace(t *testing.T) {
	s := newInboxSite(t)
	s.Publish("file/a@1", feedtest.Text("a.txt", "one"))
	_, err := s.take(s.stream(s.Source(), 0, s.Key, nil))
	s.check(err)
	s.Publish("file/a@2", feedtest.Text("a.txt", "two"))
	_, _, _, err = s.in.sync(t.Context(), &conn{place: pulledPlace{s.Source()}, name: "elsewhere"}, s.ID)
	s.check(err)

	inbox, link, other := s.in.home.Inbox(), filepath.Join(t.TempDir(), "link"), filepath.Join(t.TempDir(), "other")
	s.check(os.Symlink(inbox, link))
	s.check(os.CopyFS(other, os.DirFS(inbox)))
	for path, late := range map[string]bool{inbox: true, inbox + "/.": true, link: true, other: false} {
		c, err := s.fleet.from(t.Context(), path)
		s.check(err)
		if c.late != late {
			t.Errorf("%s: late %v, want %v", path, c.late, late)
		}
		p := &puller{app: s.fleet.app, conn: c, options: pullOptions{receipts: receiptOptions{to: receiptsOff}}}
		known, err := p.round(t.Context(), []feed.ID{s.ID}, false)
		if late && (err != nil || known[s.ID] != 3) || !late && !as[*feed.RollbackError](err) {
			t.Errorf("%s: has %d entries, %v", path, known[s.ID], err)
		}
		s.check(c.Close())
	}

	s.check(os.RemoveAll(inbox))
	if !s.in.home.IsInbox(inbox+"/.") || s.in.home.IsInbox(other) {
		t.Error("where nothing was pushed yet the inbox is known by its path")
	}
	if _, err := s.fleet.from(t.Context(), inbox); !as[*notPushedError](err) {
		t.Errorf("nothing was pushed yet: %v", err)
	}
}

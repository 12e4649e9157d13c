package home

import (
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
)

// TestAlive reads signs of life from a feed: the newest counts, none moves the
// time back, and one from the future waits until its day has come.
func TestAlive(t *testing.T) {
	h := open(t, t.TempDir())
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	now := feedtest.Now
	learn := func(want string) {
		t.Helper()
		f := a.Follower(tape)
		s, _, err := f.Sync(t.Context(), a.ID)
		if err == nil {
			err = h.LearnAlive(t.Context(), f, s, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := open(t, h.path).Alive(t.Context(), a.Space.Lineage(), a.ID)
		if err != nil || want == "" && !got.IsZero() || want != "" && signing.FormatTime(got) != want {
			t.Errorf("alive %v, %v; want %q", got, err, want)
		}
	}
	say := func(at time.Time) {
		t.Helper()
		c, err := tape.Checkpoint(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		tape.Add(a.Holdings(signing.FormatTime(at), c))
	}
	learn("")
	say(now.Add(-48 * time.Hour))
	say(now.Add(-time.Hour))
	learn("2026-02-03T03:05:06Z")
	say(now.Add(-3 * time.Hour)) // the clock was put back
	learn("2026-02-03T03:05:06Z")
	say(now.Add(25 * time.Hour))
	say(now.Add(26 * time.Hour))
	learn("2026-02-03T03:05:06Z")
	say(now.Add(23 * time.Hour))
	learn("2026-02-04T03:05:06Z")
	say(now.Add(48 * time.Hour))
	learn("2026-02-04T03:05:06Z")
	now = now.Add(25 * time.Hour)
	learn("2026-02-05T04:05:06Z")

	other := feed.ID{Space: a.ID.Space, Name: "other"}
	if got, err := h.Alive(t.Context(), a.Space.Lineage(), other); err != nil || !got.IsZero() {
		t.Errorf("another feed: %v, %v", got, err)
	}
}

// TestAliveVoid has a sign of life that a stranger signed: it says nothing.
func TestAliveVoid(t *testing.T) {
	h := open(t, t.TempDir())
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	c, err := tape.Checkpoint(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	thief := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape.Add(thief.Holdings("2026-02-03T03:05:06Z", c))
	f := a.Follower(tape)
	s, _, err := f.Sync(t.Context(), a.ID)
	if err == nil {
		err = h.LearnAlive(t.Context(), f, s, feedtest.Now)
	}
	if got, aliveErr := h.Alive(t.Context(), a.Space.Lineage(), a.ID); err != nil || aliveErr != nil || !got.IsZero() {
		t.Errorf("alive %v, %v, %v", got, err, aliveErr)
	}
}

// TestTargets notes folders and programs of two feeds.
func TestTargets(t *testing.T) {
	h := open(t, t.TempDir())
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	for _, target := range []Target{{Into: "/srv/conf"}, {Record: "0123abcd"}, {Into: "/srv/conf"}} {
		if err := h.NoteTarget(a.Space.Lineage(), a.ID, target); err != nil {
			t.Fatal(err)
		}
	}
	got, err := open(t, h.path).Targets(a.Space.Lineage(), a.ID)
	if err != nil || len(got) != 2 || got[0] != (Target{Record: "0123abcd"}) || got[1] != (Target{Into: "/srv/conf"}) {
		t.Errorf("targets %+v, %v", got, err)
	}
	if got, err := h.Targets(a.Space.Lineage(), feed.ID{Space: a.ID.Space, Name: "other"}); err != nil || len(got) != 0 {
		t.Errorf("of another feed: %+v, %v", got, err)
	}
}

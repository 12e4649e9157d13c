package home

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
)

// TestHeld keeps what a Space said last that it holds: nothing older comes in its
// place, and what is kept verifies.
func TestHeld(t *testing.T) {
	h := open(t, t.TempDir())
	a := feedtest.NewAuthor(t, "acme/production/receipts")
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	lineage := a.Space.Lineage()
	learn := func(want time.Time) {
		t.Helper()
		f := a.Follower(tape)
		s, _, err := f.Sync(t.Context(), a.ID)
		if err == nil {
			err = h.LearnHeld(t.Context(), f, s)
		}
		if err != nil {
			t.Fatal(err)
		}
		att, document, err := h.Held(lineage)
		if want.IsZero() {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("nothing was said, and %v", err)
			}
			return
		}
		account, _, opened := feed.OpenHoldings(f.View.History(), att, document)
		if err != nil || opened != nil || account.Time != signing.FormatTime(want) {
			t.Errorf("got %+v, %v, %v; want those of %v", account, err, opened, want)
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
	learn(time.Time{})
	say(feedtest.Now)
	learn(feedtest.Now)
	say(feedtest.Now.Add(-time.Hour)) // the clock was put back
	learn(feedtest.Now)
	say(feedtest.Now.Add(time.Hour))
	learn(feedtest.Now.Add(time.Hour))

	// A file that is no such thing says which one it is.
	for _, text := range []string{"", "{}", "{}\n{}"} {
		if err := os.WriteFile(h.heldFile(lineage), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.Held(lineage); err == nil || !strings.Contains(err.Error(), h.heldFile(lineage)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

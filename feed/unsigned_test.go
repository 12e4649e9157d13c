package feed_test

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
)

// A head that the feed's own key did not sign proves nothing about the Space: it
// is refused as what it is, and no evidence is kept.
func TestUnsignedHead(t *testing.T) {
	a, tape := example(t)
	f := a.Follower(tape)
	sync(t, f, a.ID)
	for name, forge := range map[string]func(feed.Checkpoint) (feed.Checkpoint, error){
		"smaller": func(c feed.Checkpoint) (feed.Checkpoint, error) { return feedtest.Key(2).Sign(c.Origin, 2, c.Root) },
		"another root": func(c feed.Checkpoint) (feed.Checkpoint, error) {
			return feedtest.Key(2).Sign(c.Origin, c.Size, tlog.Hash{1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			lie := &feedtest.Tampered{Source: tape, Head: func(c feed.Checkpoint) feed.Checkpoint {
				forged, err := forge(c)
				if err != nil {
					t.Fatal(err)
				}
				return forged
			}}
			wantRefused(t, later(t, f, lie), a.ID, feed.ErrCheckpoint)
			if n := len(evidence(t, f)); n > 0 {
				t.Errorf("%d pieces of evidence against the Space", n)
			}
		})
	}
}

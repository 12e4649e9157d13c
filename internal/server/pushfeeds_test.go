package server_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/storage/storetest"
)

// calls counts what a store is asked for, by port, operation and key.
type calls struct {
	mu sync.Mutex
	of map[storetest.Call]int
}

func (c *calls) count(call storetest.Call) storetest.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[call]++
	return storetest.Fault{}
}

// taken returns how often each key was asked for that begins so, and begins to count
// anew.
func (c *calls) taken(op, prefix string) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for call, n := range c.of {
		if call.Op == op && strings.HasPrefix(call.Key, prefix) {
			out[call.Key] += n
			delete(c.of, call)
		}
	}
	return out
}

// A server that pushes a few feeds of a store with many asks for these, not for all,
// and for what is new among them once a minute.
func TestPushAsksForItsFeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := &calls{of: map[storetest.Call]int{}}
		w := newWorld(t, storetest.WithFaults(storage.NewMem(), asked.count))
		for _, name := range []string{"acme/a/shared", "acme/b/shared", "acme/bb/receipts", "other/c/shared"} {
			a := feedtest.NewAuthor(t, name)
			w.admit(a)
			if _, err := w.srv.Publish(t.Context(), reader, batch(a.ID, a.Opening()...)); err != nil {
				t.Fatal(err)
			}
		}
		w.pushesNowhere("acme/dev-qa/*", "acme/b*/receipts")
		asked.taken("List", "feeds/")
		asked.taken("Load", "")
		time.Sleep(10 * time.Minute)
		for prefix, n := range asked.taken("List", "feeds/") {
			if !slices.Contains([]string{"feeds/acme/dev-qa/", "feeds/acme/b", "feeds/acme/production/receipts"}, prefix) || n > 10 {
				t.Errorf("feeds of %s were listed %d times in 10 minutes", prefix, n)
			}
		}
		for key, n := range asked.taken("Load", "") {
			if strings.Contains(key, "/a/") || strings.Contains(key, "/c/") || strings.Contains(key, "/bb/") {
				t.Errorf("%s was read %d times, and is not pushed", key, n)
			}
		}
	})
}

// pushesNowhere starts a server that pushes to an address which it may not dial: that
// it fails shows that there is something to push. It returns the server.
func (w *world) pushesNowhere(feeds ...feed.Pattern) *server.Server {
	w.t.Helper()
	srv := w.pushing(func(c *server.Config) {
		c.Pushing = server.Pushing{On: true, To: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}}
	})
	w.receiver("http://127.0.0.1:1", feeds...)
	time.Sleep(2 * time.Second) // it has looked at the list of pushes, and at feeds
	return srv
}

// A feed that is new is found at once where it was begun at the server that pushes, or
// where another one tells of it; within a minute where nobody does. So is one that the
// Space may read only since then.
func TestPushNewFeed(t *testing.T) {
	for name, c := range map[string]struct {
		here   bool // it begins at the server that pushes
		hidden bool
		told   func(pushes *server.Server, id feed.ID) error
		within time.Duration
	}{
		"begun here":     {here: true, within: time.Second},
		"told by a peer": {told: tellGrown, within: time.Second},
		"told by nobody": {within: time.Minute},
		"opened to it":   {here: true, hidden: true, told: openToAll, within: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, storage.NewMem())
				pushes, a := w.pushesNowhere("acme/*/shared"), feedtest.NewAuthor(t, "acme/new/shared")
				at := w.srv
				if c.here {
					at = pushes
				}
				w.admit(a)
				if c.hidden {
					if err := pushes.SetAudience(t.Context(), server.Operator, a.ID, feedhttp.Audience{}); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := at.Publish(t.Context(), reader, batch(a.ID, a.Opening()...)); err != nil {
					t.Fatal(err)
				}
				if time.Sleep(time.Second); c.told != nil {
					if got := w.push(); got.State != server.Pushed {
						t.Errorf("before anything was told: %+v", got)
					}
					if err := c.told(pushes, a.ID); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(c.within)
				if p := w.push(); p.State != server.Retrying || !strings.Contains(p.Problem, a.ID.String()) {
					t.Errorf("after %s: %+v", c.within, p)
				}
			})
		})
	}
}

func tellGrown(pushes *server.Server, id feed.ID) error {
	return pushes.Grown(context.Background(), feedhttp.Caller{Role: feedhttp.Peer}, map[feed.ID]int64{id: 2})
}

func openToAll(pushes *server.Server, id feed.ID) error {
	return pushes.SetAudience(context.Background(), server.Operator, id, feedhttp.Audience{All: true})
}

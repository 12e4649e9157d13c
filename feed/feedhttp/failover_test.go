package feedhttp_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

// sidekick is another server on the store of b.
func sidekick(tb testing.TB, b *backend) *backend {
	out := newBackend(tb)
	out.store, out.logs = b.store, b.logs
	return out
}

// TestFailover asks the next server at once where one closes, stays with it, and
// sends each its own token.
func TestFailover(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	closing, open := handler(t, b, nil), handler(t, sidekick(t, b), nil)
	var asked, tokens [2]atomic.Int64
	at := func(n int, h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked[n].Add(1)
			if r.Header.Get("Authorization") == "Bearer "+strings.Repeat("t", 16)+string(rune('0'+n)) {
				tokens[n].Add(1)
			}
			h.ServeHTTP(w, r)
		})
	}
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c := client(t, serve(t, at(0, refuse)), func(c *feedhttp.ClientConfig) {
		c.Token = strings.Repeat("t", 16) + "0"
		c.Others = []feedhttp.Endpoint{{Base: serve(t, at(1, open)), Token: strings.Repeat("t", 16) + "1"}}
		c.Retry = feedhttp.Retry{First: time.Hour, Max: time.Hour, Total: 9 * time.Hour}
	})
	for range 3 {
		if _, err := c.Checkpoint(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if asked[0].Load() != 1 || asked[1].Load() != 3 || tokens[0].Load() != 1 || tokens[1].Load() != 3 {
		t.Errorf("asked %d and %d times, %d and %d with the server's token; want 1 and 3", asked[0].Load(), asked[1].Load(), tokens[0].Load(), tokens[1].Load())
	}
	// Who waits at a server that closes waits at the next, for the rest of the time.
	waiter := client(t, serve(t, closing), func(c *feedhttp.ClientConfig) { c.Others = []feedhttp.Endpoint{{Base: serve(t, open)}} })
	grown := make(chan error, 1)
	go func() {
		heads, err := waiter.Heads(t.Context(), map[feed.ID]int64{a.ID: 3}, time.Minute)
		if heads[a.ID].Size != 4 {
			t.Errorf("told %v", heads)
		}
		grown <- err
	}()
	waits := func(h http.Handler) {
		for metric(t, h, `airlock_shared_used{of="long_polls"}`) != "1" {
			time.Sleep(time.Millisecond)
		}
	}
	waits(closing)
	closing.Drain()
	waits(open)
	if _, err := b.Publish(t.Context(), feedhttp.Caller{}, batchOf(a, a.Publish("file/next@1"))); err != nil {
		t.Fatal(err)
	}
	if err := <-grown; err != nil {
		t.Error(err)
	}
}

// TestUploadElsewhere uploads a large object to another server when the one that
// was asked for it goes away in between: that one does not expect it yet.
func TestUploadElsewhere(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	first := handler(t, b, nil)
	c := client(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		first.ServeHTTP(w, r)
	})), func(c *feedhttp.ClientConfig) {
		c.Others = []feedhttp.Endpoint{{Base: serve(t, handler(t, sidekick(t, b), nil))}}
	})
	data := make([]byte, 3<<20)
	signed := append(a.Opening(), a.Publish("file/large@1", feedtest.File{Path: "large", Data: data}))
	if _, err := c.Publish(t.Context(), batchOf(a, signed...)); err != nil {
		t.Fatal(err)
	}
	if got, err := readObject(t, c, a.ID, storage.DigestOf(data), 0); err != nil || len(got) != len(data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestReadsWhatItPublished holds that who published to one server is shown that by
// the next, even where that one has an older head at hand.
func TestReadsWhatItPublished(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	behind := newBackend(t)
	behind.store = b.store
	behind.logs = log.New(log.Config{Store: b.store, Key: b.key, Fresh: time.Hour})
	stale := handler(t, behind, nil)
	ask(stale, "GET", shared+"/checkpoint", "")
	ends := &atomic.Bool{}
	first := handler(t, b, nil)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ends.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		first.ServeHTTP(w, r)
	})
	c := client(t, serve(t, h), func(c *feedhttp.ClientConfig) { c.Others = []feedhttp.Endpoint{{Base: serve(t, stale)}} })
	accepted, err := c.Publish(t.Context(), batchOf(a, a.Publish("file/next@1")))
	if err != nil {
		t.Fatal(err)
	}
	ends.Store(true)
	if head, err := c.Checkpoint(t.Context(), a.ID); err != nil || head.Size != accepted.Checkpoint.Size {
		t.Errorf("shown %d entries, %v; it published up to %d", head.Size, err, accepted.Checkpoint.Size)
	}
}

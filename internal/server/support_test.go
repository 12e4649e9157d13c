package server_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: feedtest.Now} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a server on a store, and the author of a feed of an admitted Space.
type world struct {
	*feedtest.Author
	t     *testing.T
	srv   *server.Server
	store *storage.Store
	clock *clock
	tls   bool // others reach its servers by TLS
}

// reader may do everything.
var reader = feedhttp.Caller{Role: feedhttp.Administrator}

func newWorld(t *testing.T, store *storage.Store) *world {
	t.Helper()
	w := &world{Author: feedtest.NewAuthor(t, "acme/dev-qa/shared"), t: t, store: store, clock: newClock()}
	w.srv = w.server(server.Config{})
	w.admit(w.Author)
	return w
}

// server starts another server on the store, one that is open.
func (w *world) server(c server.Config) *server.Server {
	w.t.Helper()
	c.Open = true
	return w.start(c)
}

// closed starts another server on the store, one that asks for credentials.
func (w *world) closed() *server.Server {
	w.t.Helper()
	return w.start(server.Config{})
}

func (w *world) start(c server.Config) *server.Server {
	w.t.Helper()
	if c.Store = w.store; c.Now == nil {
		c.Now = w.clock.Now
	}
	if c.LogKey.IsZero() {
		c.LogKey = w.Key
	}
	s := server.New(c)
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (w *world) admit(a *feedtest.Author) {
	w.t.Helper()
	if _, err := w.srv.Admit(context.Background(), reader, a.Space.File()); err != nil {
		w.t.Fatal(err)
	}
}

// batch is a batch of these statements with what they name.
func batch(id feed.ID, statements ...feedtest.Signed) feed.Batch {
	b := feed.Batch{Feed: id, Epoch: 1}
	seen := map[storage.Digest]bool{}
	for _, s := range statements {
		b.Statements = append(b.Statements, s.Attestation)
		for _, o := range s.Objects {
			if d := storage.DigestOf(o); !seen[d] {
				seen[d] = true
				b.Objects = append(b.Objects, feed.ContentOf(o))
			}
		}
	}
	return b
}

func (w *world) send(statements ...feedtest.Signed) (feed.Accepted, error) {
	return w.srv.Publish(context.Background(), reader, batch(w.ID, statements...))
}

func (w *world) mustSend(statements ...feedtest.Signed) feed.Accepted {
	w.t.Helper()
	a, err := w.send(statements...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// size is how many entries the feed has.
func (w *world) size() int64 {
	w.t.Helper()
	c, err := w.srv.Head(context.Background(), reader, w.ID, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Size
}

// has reports whether an object of the Space is visible.
func (w *world) has(b []byte) bool { return w.stored(storage.DigestOf(b)) }

func (w *world) stored(d storage.Digest) bool {
	_, err := w.store.Objects(w.ID.Space.String()).Stat(context.Background(), d)
	return err == nil
}

// client serves s over HTTP and returns the other end.
func client(t *testing.T, s *server.Server) *feedhttp.Client {
	t.Helper()
	h, err := feedhttp.New(feedhttp.Config{Reader: s, Writer: s, Enroller: s})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(func() { ts.Close(); _ = h.Close() })
	base, err := url.Parse(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: base, Retry: feedhttp.Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// follow reads the whole feed as a stranger would, and returns the void entries.
func (w *world) follow(src feed.Source) (*feed.State, map[int64]error) {
	w.t.Helper()
	state, report, err := w.Follower(src).Sync(context.Background(), w.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return state, report.Void
}

func wantDenied(t *testing.T, err error, rule string) {
	t.Helper()
	if d, ok := errors.AsType[*trust.DeniedError](err); !ok || d.Rule != rule {
		t.Errorf("got %v, want a refusal by rule %s", err, rule)
	}
}

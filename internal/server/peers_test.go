package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
)

// lockedBuffer is what several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// site is a server of a store that others reach.
type site struct {
	srv     *server.Server
	http    *httptest.Server
	entries atomic.Int64 // batches that came over HTTP
	delay   atomic.Int64 // before each answer, in ns
	id      string
}

// every is long enough that a busy machine does not take a server for gone, which is so
// after four times as long.
const every = 150 * time.Millisecond

// join starts a server that others of the store know. Its own clock is off by
// that much.
func (w *world) join(id string, off time.Duration, change func(*server.Config)) *site {
	w.t.Helper()
	out := &site{id: strings.Repeat(id, 32)}
	var h atomic.Pointer[feedhttp.Handler]
	out.http = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/entries") {
			out.entries.Add(1)
		}
		select {
		case <-time.After(time.Duration(out.delay.Load())):
		case <-r.Context().Done():
		}
		h.Load().ServeHTTP(rw, r)
	}))
	pin := w.listen(out.http)
	c := server.Config{Recheck: time.Hour, Now: func() time.Time { return w.clock.Now().Add(off) },
		Peering: server.Peering{ID: out.id, Address: out.http.URL, Pin: func() storage.Digest { return pin }, Version: "test", Every: every}}
	if change != nil {
		change(&c)
	}
	out.srv = w.start(c)
	handler, err := feedhttp.New(feedhttp.Config{Reader: out.srv, Writer: out.srv, Callers: out.srv, Peers: out.srv})
	if err != nil {
		w.t.Fatal(err)
	}
	h.Store(handler)
	w.t.Cleanup(func() { _ = handler.Close(); out.http.CloseClientConnections(); out.http.Close() })
	if err := out.srv.Join(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// listen starts a server's listener, and returns what its TLS key is pinned by.
func (w *world) listen(s *httptest.Server) storage.Digest {
	w.t.Helper()
	if !w.tls {
		s.Start()
		return storage.Digest{}
	}
	cert, err := server.Certificate(w.Key, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	return signing.KeyThumbprint(cert.Leaf)
}

// send publishes at one of several servers.
func (s *site) send(t *testing.T, a *feedtest.Author, statements ...feedtest.Signed) {
	t.Helper()
	if _, err := s.srv.Publish(t.Context(), reader, batch(a.ID, statements...)); err != nil {
		t.Fatal(err)
	}
}

// TestPeers lets three servers of a store, whose clocks are an hour apart, pass
// batches on and tell each other of commits.
func TestPeers(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	var audit lockedBuffer
	first := w.join("a", 0, func(c *server.Config) { c.Audit = slog.New(slog.NewJSONHandler(&audit, nil)) })
	second := w.join("b", time.Hour, nil)
	third := w.join("c", -time.Hour, nil)
	time.Sleep(3 * every) // each has seen the others
	first.send(t, w.Author, w.Opening()...)

	caller := reader
	caller.Request = "one-and-the-same"
	if _, err := second.srv.Publish(t.Context(), caller, batch(w.ID, w.Publish("file/a@1"))); err != nil {
		t.Fatal(err)
	}
	if n := first.entries.Load(); n != 1 || !strings.Contains(audit.String(), "one-and-the-same") {
		t.Errorf("%d batches came to who committed last, want the one, under its id:\n%s", n, audit.String())
	}
	head, err := second.srv.Head(t.Context(), reader, w.ID, 0)
	if err != nil || head.Size != 3 {
		t.Errorf("who passed it on shows %d entries, %v; want 3", head.Size, err)
	}
	// What was passed on is not passed on again, and who may not append is refused
	// where it asks.
	caller.Forwarded = true
	if _, err := second.srv.Publish(t.Context(), caller, batch(w.ID, w.Publish("file/a@2"))); err != nil || first.entries.Load() != 1 {
		t.Errorf("%v, after %d batches to who committed last", err, first.entries.Load())
	}
	if _, err := first.srv.Publish(t.Context(), feedhttp.Caller{}, batch(w.ID, w.Publish("file/c@1"))); err == nil || second.entries.Load() > 0 {
		t.Errorf("%v, after %d batches that nobody may bring", err, second.entries.Load())
	}
	first.send(t, w.Author, feedtest.AuthorOf(t, w.Space, "shared").Publish("file/d@1"))
	if n := second.entries.Load(); n != 1 {
		t.Fatalf("%d batches to who committed last, want the one", n)
	}
	// A refusal is the other server's word.
	if _, err := first.srv.Publish(t.Context(), reader, batch(w.ID, feedtest.AuthorOf(t, w.Space, "shared").Publish("file/a@1", feedtest.Text("a", "other")))); err == nil || second.entries.Load() != 2 {
		t.Errorf("%v, after %d batches to who committed last", err, second.entries.Load())
	}
	checkFigures(t, first.srv, map[string]float64{"airlock_peers": 2,
		"airlock_forwards_total taken": 1, "airlock_forwards_total refused": 1, "airlock_forwards_total failed": 0})

	// So it is where the Space has its share there.
	full := feedhttp.NewQueue("things", 1, 0, 0)
	leave, err := full.Enter(t.Context(), w.ID.Space, 1)
	if err != nil {
		t.Fatal(err)
	}
	second.srv.WithQueue(full)
	if _, err := first.srv.Publish(t.Context(), reader, batch(w.ID, feedtest.AuthorOf(t, w.Space, "shared").Publish("file/e@1"))); !as[*feedhttp.ShareError](err) {
		t.Errorf("where the Space has its share: %v", err)
	}
	leave()
	checkFigures(t, first.srv, map[string]float64{"airlock_peers": 2, "airlock_forwards_total refused": 2})

	begin := time.Now()
	go func() {
		time.Sleep(5 * every)
		_, _ = first.srv.Publish(context.Background(), reader, batch(w.ID, w.Publish("file/b@1")))
	}()
	heads, err := third.srv.Heads(t.Context(), reader, map[feed.ID]int64{w.ID: 5}, time.Minute)
	if err != nil || heads[w.ID].Size != 6 || time.Since(begin) > 20*time.Second {
		t.Errorf("who waits elsewhere is told %v, %v after %s", heads, err, time.Since(begin))
	}
}

// TestPeersOverTLS passes batches on to a server that nobody vouches for, by the key
// that its registration names, and to none that shows another one.
func TestPeersOverTLS(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*server.Config)
		came   int64
	}{
		"its key":     {came: 1},
		"another key": {change: func(s *server.Config) { s.Peering.Pin = func() storage.Digest { return storage.DigestOf(nil) } }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.NewMem())
			w.tls = true
			first := w.join("a", 0, c.change)
			second := w.join("b", 0, nil)
			first.send(t, w.Author, w.Opening()...)
			second.send(t, w.Author, w.Publish("file/a@1"))
			if n := first.entries.Load(); n != c.came {
				t.Errorf("%d batches came to who committed last, want %d", n, c.came)
			}
		})
	}
}

// TestPeersFollowThePin passes batches on to a server that came to show another key
// than the one with which it began.
func TestPeersFollowThePin(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.tls = true
	var renewed atomic.Bool
	first := w.join("a", 0, func(s *server.Config) {
		pin := s.Peering.Pin
		s.Peering.Pin = func() storage.Digest {
			if renewed.Load() {
				return pin()
			}
			return storage.DigestOf(nil)
		}
	})
	second := w.join("b", 0, nil)
	first.send(t, w.Author, w.Opening()...)
	renewed.Store(true)
	time.Sleep(20 * every)
	second.send(t, w.Author, w.Publish("file/a@1"))
	if n := first.entries.Load(); n != 1 {
		t.Errorf("%d batches came to who committed last, want the one", n)
	}
}

// TestPeerStartsAnew holds that a server that was killed is known as soon as it runs
// again, and not only when it says so the next time.
func TestPeerStartsAnew(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	once := func(s *server.Config) { s.Peering.Every = time.Hour }
	w.join("a", 0, once)
	first, second := w.join("a", 0, once), w.join("b", 0, once)
	first.send(t, w.Author, w.Opening()...)
	second.send(t, w.Author, w.Publish("file/a@1"))
	if n := first.entries.Load(); n != 1 {
		t.Errorf("%d batches came to who committed last, want the one", n)
	}
}

// TestPeerFails commits here what the server that committed last does not take:
// one that is slow, one that died, and one that says nothing any more.
func TestPeerFails(t *testing.T) {
	slow := func(s *site) { s.delay.Store(int64(10 * time.Second)) }
	for name, c := range map[string]struct {
		fail   func(*site)
		says   time.Duration // that it runs
		looks  time.Duration // that the other one does; what is late by a few is gone
		within time.Duration
	}{
		"slow":   {slow, every, 2 * time.Second, 9 * time.Second},
		"dead":   {func(s *site) { s.http.CloseClientConnections(); s.http.Close() }, every, every, 2 * time.Second},
		"silent": {func(s *site) { slow(s); time.Sleep(10 * every) }, time.Hour, every, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.NewMem())
			first := w.join("a", 0, func(s *server.Config) { s.Peering.Every = c.says })
			second := w.join("b", 0, func(s *server.Config) { s.Peering.Every = c.looks })
			first.send(t, w.Author, w.Opening()...)
			time.Sleep(3 * every)
			c.fail(first)
			begin := time.Now()
			second.send(t, w.Author, w.Publish("file/a@1"))
			second.send(t, w.Author, w.Publish("file/b@1"))
			if took := time.Since(begin); took > c.within {
				t.Errorf("committed after %s, want %s", took, c.within)
			}
		})
	}
}

// TestForwardStoreAway: who publishes while the store does not answer hears it when it
// was waited for once, and not once for each step of a commit.
func TestForwardStoreAway(t *testing.T) {
	var away atomic.Bool
	var asked atomic.Int64
	w := newWorld(t, storetest.WithFaults(storage.NewMem(), func(c storetest.Call) storetest.Fault {
		if !away.Load() || !strings.Contains(c.Key, "acme/dev-qa/shared") || strings.HasPrefix(c.Key, "checkpoint/") { // that is left for others
			return storetest.Fault{}
		}
		asked.Add(1)
		return storetest.Fault{Before: storage.ErrAway}
	}))
	at := w.join("a", 0, nil)
	at.send(t, w.Author, w.Opening()...)
	away.Store(true)
	_, err := at.srv.Publish(t.Context(), reader, batch(w.ID, w.Publish("file/a@1")))
	if !errors.Is(err, storage.ErrAway) || asked.Load() != 1 {
		t.Errorf("%v, and the store was waited for %d times", err, asked.Load())
	}
}

// shamFiles say of a store that it is a key's.
type shamFiles struct {
	storage.Files
	key feed.LogKey
}

func (f shamFiles) Get(ctx context.Context, key string) ([]byte, error) {
	if key == "operator" {
		return []byte("airlock-operator 1\n" + storage.DigestOf(f.key.Public()).String() + "\n"), nil
	}
	return f.Files.Get(ctx, key)
}

func (f shamFiles) Create(ctx context.Context, key string, value []byte) error {
	if key == "operator" {
		return nil
	}
	return f.Files.Create(ctx, key, value)
}

// TestJoinOperator: a server with another log key than the store's does not join.
func TestJoinOperator(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.join("a", 0, nil)
	err := w.start(server.Config{LogKey: feedtest.Key(9)}).Join(t.Context())
	if e, ok := errors.AsType[*log.OperatorError](err); !ok || e.Key != storage.DigestOf(w.Key.Public()) {
		t.Errorf("%v, want an OperatorError", err)
	}
}

// TestForeignServer holds that a server with another log key is no peer: what it
// registers leads nowhere, and what it shows opens nothing.
func TestForeignServer(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	first := w.join("a", 0, nil)
	first.send(t, w.Author, w.Opening()...)
	sham := *w.store
	sham.Files = shamFiles{w.store.Files, feedtest.Key(9)}
	w.store = &sham
	foreign := w.join("b", 0, func(c *server.Config) { c.LogKey = feedtest.Key(9) })
	time.Sleep(3 * every)
	if _, err := foreign.srv.Publish(t.Context(), reader, batch(w.ID, w.Publish("file/a@1"))); err == nil || first.entries.Load() > 0 {
		t.Errorf("%v, and %d batches came", err, first.entries.Load())
	}
	if _, err := first.srv.Identify(t.Context(), feedhttp.Credentials{Token: "airlock-peer_" + strings.Repeat("0", 64)}); err == nil {
		t.Error("a token that no server of the store made was taken")
	}
	first.send(t, w.Author, w.Publish("file/b@1"))
	if foreign.entries.Load() > 0 {
		t.Error("a batch went to a server with another log key")
	}
}

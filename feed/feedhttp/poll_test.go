package feedhttp_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
)

// headBackend has one feed whose head the test moves.
type headBackend struct {
	*backend
	mu      sync.Mutex
	head    feed.Checkpoint
	changed chan struct{}
}

func newHeadBackend(t *testing.T) *headBackend {
	b := &headBackend{backend: &backend{key: feedtest.Key(1)}, changed: make(chan struct{})}
	b.head = sign(t, 7)
	return b
}

func sign(t *testing.T, size int64) feed.Checkpoint {
	t.Helper()
	c, err := feedtest.Key(1).Sign("e1.shared.dev-qa.acme.airlock.example", size, [32]byte{byte(size)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *headBackend) Head(context.Context, feedhttp.Caller, feed.ID) (feed.Checkpoint, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head, b.changed, nil
}

// grow moves the head; where nobody is told it is as if another server had.
func (b *headBackend) grow(t *testing.T, tell bool) {
	head := sign(t, 8)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = head
	if tell {
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

// poll starts a long poll and returns where its answer comes.
func poll(ctx context.Context, h http.Handler, query string, header ...string) chan *httptest.ResponseRecorder {
	out := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		r := httptest.NewRequestWithContext(ctx, "GET", shared+"/checkpoint?"+query, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		out <- w
	}()
	return out
}

func TestLongPoll(t *testing.T) {
	config := func(c *feedhttp.Config) { c.Limits = feedhttp.Limits{Recheck: time.Hour, Waiters: 2} }
	t.Run("another size is answered at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			w := <-poll(t.Context(), handlerOf(t, b, config), "wait=55&size=6")
			if w.Code != 200 || w.Body.String() != string(b.head.Note) || time.Since(start) > 0 {
				t.Errorf("%d %q after %s", w.Code, w.Body, time.Since(start))
			}
		})
	})
	t.Run("growth wakes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			answer := poll(t.Context(), handlerOf(t, b, config), "wait=55&size=7", "If-None-Match", `"7-0700000000000000"`)
			time.Sleep(10 * time.Second)
			b.grow(t, true)
			if w := <-answer; w.Code != 200 || w.Header().Get("Etag") != `"8-0800000000000000"` || time.Since(start) != 10*time.Second {
				t.Errorf("%d %v after %s", w.Code, w.Header(), time.Since(start))
			}
		})
	})
	t.Run("what other servers committed is found", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			answer := poll(t.Context(), handlerOf(t, b, func(c *feedhttp.Config) { c.Limits.Recheck = 2 * time.Second }), "wait=55&size=7")
			time.Sleep(3 * time.Second)
			b.grow(t, false)
			if w := <-answer; w.Code != 200 || time.Since(start) != 4*time.Second {
				t.Errorf("%d after %s", w.Code, time.Since(start))
			}
		})
	})
	t.Run("patience ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			h := handlerOf(t, b, config)
			same, plain := poll(t.Context(), h, "wait=3600&size=7", "If-None-Match", `"7-0700000000000000"`), poll(t.Context(), h, "wait=30&size=7")
			if w := <-plain; w.Code != 200 || time.Since(start) != 30*time.Second {
				t.Errorf("without a tag: %d after %s", w.Code, time.Since(start))
			}
			if w := <-same; w.Code != 304 || w.Body.Len() > 0 || time.Since(start) != 55*time.Second {
				t.Errorf("with the tag: %d after %s", w.Code, time.Since(start))
			}
		})
	})
	t.Run("closing wakes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			h := handlerOf(t, b, config)
			answer := poll(t.Context(), h, "wait=55&size=7")
			synctest.Wait()
			h.Drain()
			if w := <-answer; w.Code != 200 || time.Since(start) > 0 {
				t.Errorf("%d after %s", w.Code, time.Since(start))
			}
			if w := ask(h, "GET", "/readyz", ""); w.Code != 503 || problemOf(w) != "closing" {
				t.Errorf("ready while closing: %d", w.Code)
			}
		})
	})
	t.Run("waiters are bounded, and leave", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newHeadBackend(t)
			h := handlerOf(t, b, config)
			ctx, cancel := context.WithCancel(t.Context())
			first, second := poll(ctx, h, "wait=55&size=7"), poll(ctx, h, "wait=55&size=7")
			synctest.Wait()
			if w := <-poll(t.Context(), h, "wait=55&size=7"); w.Code != 503 || problemOf(w) != "busy" || w.Header().Get("Retry-After") == "" {
				t.Errorf("a third waiter: %d %v", w.Code, w.Header())
			}
			cancel()
			<-first
			<-second
			third := poll(t.Context(), h, "wait=1&size=7")
			if w := <-third; w.Code != 200 {
				t.Errorf("after the others left: %d", w.Code)
			}
		})
	})
}

// handlerOf is handler for a backend of another type; it ends within the test.
func handlerOf(t *testing.T, b feedhttp.Reader, change func(*feedhttp.Config)) *feedhttp.Handler {
	t.Helper()
	config := feedhttp.Config{Reader: b}
	if change != nil {
		change(&config)
	}
	h, err := feedhttp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// TestShutdownWakes holds that a server can end while readers wait.
func TestShutdownWakes(t *testing.T) {
	var start time.Time
	onPipes(t, feedhttp.Limits{}, func(t *testing.T, b *backend, dial func() net.Conn) {
		b.fill(t, feedtest.NewAuthor(t, "acme/dev-qa/shared"), 1)
		conn := dial()
		go func() {
			fmt.Fprintf(conn, "GET %s/checkpoint?wait=55&size=3 HTTP/1.1\r\nHost: x\r\n\r\n", shared)
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if took := time.Since(start); err != nil || r.StatusCode != 200 || took > time.Second {
				t.Errorf("%v, %v after %s", r, err, took)
			}
			conn.Close()
		}()
		synctest.Wait()
		start = time.Now() // and onPipes shuts the server down
	})
}

// TestClientWait waits for a feed to grow, over the wire.
func TestClientWait(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	c := client(t, serve(t, handler(t, b, nil)), nil)
	head, err := c.Checkpoint(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := c.Wait(t.Context(), a.ID, head.Size-1); err != nil || same.Size != head.Size {
		t.Errorf("a feed that is longer already: %d, %v", same.Size, err)
	}
	grown := make(chan feed.Checkpoint, 1)
	go func() {
		next, _ := c.Wait(t.Context(), a.ID, head.Size)
		grown <- next
	}()
	if _, err := client(t, serve(t, handler(t, b, nil)), nil).Publish(t.Context(), batchOf(a, a.Publish("file/next@1"))); err != nil {
		t.Fatal(err)
	}
	if next := <-grown; next.Size != head.Size+1 {
		t.Errorf("woken at size %d, want %d", next.Size, head.Size+1)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if known, err := c.Wait(ended, a.ID, head.Size+1); err != nil || known.Size != head.Size+1 {
		t.Errorf("a wait that was ended: size %d, %v", known.Size, err)
	}
}

package feedhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/trust"
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

func (b *headBackend) Heads(ctx context.Context, _ feedhttp.Caller, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		b.mu.Lock()
		head, changed, out := b.head, b.changed, map[feed.ID]feed.Checkpoint{}
		b.mu.Unlock()
		for id, size := range known {
			if size != head.Size {
				out[id] = head
			}
		}
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// grow moves the head.
func (b *headBackend) grow(t *testing.T) {
	head := sign(t, 8)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = head
	close(b.changed)
	b.changed = make(chan struct{})
}

const headsType = "Content-Type: application/json"

// poll starts a long poll and returns where its answer comes.
func poll(ctx context.Context, h http.Handler, body string, header ...string) chan *httptest.ResponseRecorder {
	out := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		r := httptest.NewRequestWithContext(ctx, "POST", "/v1/heads", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		for _, token := range header {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		out <- w
	}()
	return out
}

const none = `{"heads":{}}` + "\n"

const qa, prod = "acme/some-qa-space", "acme/production-space"

// others are callers of two other Spaces, by the tokens "of-<Space>".
var others = tokens{
	"of-" + qa:   {Role: feedhttp.Enrolled, Space: trust.Space{Organisation: "acme", Name: "some-qa-space"}},
	"of-" + prod: {Role: feedhttp.Enrolled, Space: trust.Space{Organisation: "acme", Name: "production-space"}},
}

func TestLongPoll(t *testing.T) {
	config := func(c *feedhttp.Config) {
		c.Limits = feedhttp.Limits{Waiters: 4, Waited: 8}
		c.Callers = others
	}
	known := func(sizes string, wait int) string {
		return fmt.Sprintf(`{"known":{%s},"wait":%d}`, sizes, wait)
	}
	const same, other = `"acme/dev-qa/shared":7`, `"acme/dev-qa/other":6,"acme/dev-qa/shared":7`
	t.Run("another size is answered at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			w := <-poll(t.Context(), handlerOf(t, b, config), known(other, 55))
			note, _ := json.Marshal(string(b.head.Note))
			if w.Code != 200 || w.Body.String() != `{"heads":{"acme/dev-qa/other":`+string(note)+"}}\n" || time.Since(start) > 0 {
				t.Errorf("%d %q after %s", w.Code, w.Body, time.Since(start))
			}
		})
	})
	t.Run("growth wakes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			answer := poll(t.Context(), handlerOf(t, b, config), known(same, 55))
			time.Sleep(10 * time.Second)
			b.grow(t)
			if w := <-answer; w.Code != 200 || !strings.Contains(w.Body.String(), "acme/dev-qa/shared") || time.Since(start) != 10*time.Second {
				t.Errorf("%d %s after %s", w.Code, w.Body, time.Since(start))
			}
		})
	})
	t.Run("patience ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			h := handlerOf(t, b, config)
			none0, long, short := poll(t.Context(), h, known(same, 0)), poll(t.Context(), h, known(same, 3600)), poll(t.Context(), h, known(same, 30))
			for _, c := range []struct {
				answer chan *httptest.ResponseRecorder
				after  time.Duration
			}{{none0, 0}, {short, 30 * time.Second}, {long, 55 * time.Second}} {
				if w := <-c.answer; w.Code != 200 || w.Body.String() != none || time.Since(start) != c.after {
					t.Errorf("%d %s after %s, want nothing after %s", w.Code, w.Body, time.Since(start), c.after)
				}
			}
		})
	})
	t.Run("closing wakes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newHeadBackend(t), time.Now()
			h := handlerOf(t, b, config)
			answer := poll(t.Context(), h, known(same, 55))
			synctest.Wait()
			h.Drain()
			if w := <-answer; w.Code != 200 || w.Body.String() != none || time.Since(start) > 0 {
				t.Errorf("%d %s after %s", w.Code, w.Body, time.Since(start))
			}
			if w := ask(h, "GET", "/readyz", ""); w.Code != 503 || problemOf(w) != "closing" {
				t.Errorf("ready while closing: %d", w.Code)
			}
		})
	})
	t.Run("waiters are bounded, and leave", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := handlerOf(t, newHeadBackend(t), config)
			ctx, cancel := context.WithCancel(t.Context())
			first, second := poll(ctx, h, known(same, 55)), poll(ctx, h, known(same, 55))
			synctest.Wait()
			if w := <-poll(t.Context(), h, known(same, 55)); w.Code != 429 || problemOf(w) != "share" || w.Header().Get("Retry-After") == "" {
				t.Errorf("a third of four waiters: %d %v", w.Code, w.Header())
			}
			third, fourth := poll(ctx, h, known(same, 55), "of-"+qa), poll(ctx, h, known(same, 55), "of-"+prod)
			synctest.Wait()
			if w := <-poll(t.Context(), h, known(same, 55), "of-"+prod); w.Code != 503 || problemOf(w) != "busy" {
				t.Errorf("a fifth of four waiters: %d %s", w.Code, w.Body)
			}
			if w := <-poll(t.Context(), h, known(same, 0)); w.Code != 200 {
				t.Errorf("who does not wait: %d %s", w.Code, w.Body)
			}
			cancel()
			if w := <-first; w.Code != 499 {
				t.Errorf("a client that left: %d %s", w.Code, w.Body)
			}
			<-second
			<-third
			<-fourth
			if w := <-poll(t.Context(), h, known(same, 1)); w.Code != 200 {
				t.Errorf("after the others left: %d", w.Code)
			}
		})
	})
	t.Run("what all wait for is bounded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := handlerOf(t, newHeadBackend(t), config)
			three := known(`"acme/dev-qa/a":7,"acme/dev-qa/b":7,"acme/dev-qa/c":7`, 55)
			ctx, cancel := context.WithCancel(t.Context())
			first := poll(ctx, h, three)
			synctest.Wait()
			if w := <-poll(t.Context(), h, three); w.Code != 429 || problemOf(w) != "share" {
				t.Errorf("six feeds of the eight that may be waited for: %d %s", w.Code, w.Body)
			}
			second := poll(ctx, h, three, "of-"+qa)
			synctest.Wait()
			if w := <-poll(t.Context(), h, three, "of-"+prod); w.Code != 503 || problemOf(w) != "busy" {
				t.Errorf("nine feeds where eight may be waited for: %d %s", w.Code, w.Body)
			}
			cancel()
			<-first
			<-second
			if w := <-poll(t.Context(), h, known(`"acme/dev-qa/a":7,"acme/dev-qa/b":7`, 1)); w.Code != 200 {
				t.Errorf("after the others left: %d", w.Code)
			}
		})
	})
}

// TestHeadsInParts holds that an answer is bounded, and that who asks again has
// the rest.
func TestHeadsInParts(t *testing.T) {
	b := newHeadBackend(t)
	c := client(t, serve(t, handlerOf(t, b, nil)), nil)
	known := map[feed.ID]int64{}
	for i := range 1500 {
		known[feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: fmt.Sprint("feed-", i)}] = 1
	}
	for _, want := range []int{1024, 476, 0} {
		got, err := c.Heads(t.Context(), known, 0)
		if err != nil || len(got) != want {
			t.Fatalf("%d heads, %v; want %d", len(got), err, want)
		}
		for id, head := range got {
			known[id] = head.Size
		}
	}
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
			body := `{"known":{"acme/dev-qa/shared":3},"wait":55}`
			fmt.Fprintf(conn, "POST /v1/heads HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n%s", headsType, len(body), body)
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

// TestClientHeads waits for feeds to grow, over the wire.
func TestClientHeads(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	c := client(t, serve(t, handler(t, b, nil)), nil)
	head, err := c.Checkpoint(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	nowhere := feed.ID{Space: a.ID.Space, Name: "none"}
	for size, want := range map[int64]int{head.Size - 1: 1, head.Size: 0} {
		got, err := c.Heads(t.Context(), map[feed.ID]int64{a.ID: size, nowhere: 0}, 0)
		if err != nil || len(got) != want || want > 0 && !bytes.Equal(got[a.ID].Note, head.Note) {
			t.Errorf("known at %d: %+v, %v; want %d heads", size, got, err, want)
		}
	}
	grown := make(chan map[feed.ID]feed.Checkpoint, 1)
	go func() {
		next, _ := c.Heads(t.Context(), map[feed.ID]int64{a.ID: head.Size, nowhere: 0}, time.Minute)
		grown <- next
	}()
	if _, err := client(t, serve(t, handler(t, b, nil)), nil).Publish(t.Context(), batchOf(a, a.Publish("file/next@1"))); err != nil {
		t.Fatal(err)
	}
	if next := <-grown; len(next) != 1 || next[a.ID].Size != head.Size+1 {
		t.Errorf("woken with %+v, want size %d", next, head.Size+1)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := c.Heads(ended, map[feed.ID]int64{a.ID: head.Size + 1}, time.Minute); err != nil || len(got) > 0 {
		t.Errorf("a wait that was ended: %+v, %v", got, err)
	}
	if _, err := c.Heads(t.Context(), nil, 0); err == nil {
		t.Error("no feeds were asked for")
	}
}

// TestClientHeadsRefuses reads answers that no honest server gives.
func TestClientHeadsRefuses(t *testing.T) {
	note, err := json.Marshal(string(sign(t, 8).Note))
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"another feed": `{"heads":{"acme/dev-qa/other":` + string(note) + `}}`,
		"no note":      `{"heads":{"acme/dev-qa/shared":"8"}}`,
		"no feed":      `{"heads":{"shared":"8"}}`,
		"no document":  `[]`,
	} {
		c := client(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})), nil)
		if got, err := c.Heads(t.Context(), map[feed.ID]int64{feedtest.NewAuthor(t, "acme/dev-qa/shared").ID: 7}, 0); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
}

// TestCheckpointNotOlder holds that a server reads again what a client's tag
// says is older than what another server told it.
func TestCheckpointNotOlder(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	behind := newBackend(t)
	behind.logs = log.New(log.Config{Store: b.store, Key: b.key, Fresh: time.Hour})
	h := handler(t, behind, nil)
	before := ask(h, "GET", shared+"/checkpoint", "").Header().Get("Etag")
	if _, err := b.Publish(t.Context(), feedhttp.Caller{}, batchOf(a, a.Publish("file/next@1"))); err != nil {
		t.Fatal(err)
	}
	newest := ask(handler(t, b, nil), "GET", shared+"/checkpoint", "").Header().Get("Etag")
	for _, c := range []struct{ tags, want string }{
		{"", before},
		{before, before},
		{`"2-0", "x-y", W/` + before, before},
		{newest, newest},
	} {
		if got := ask(h, "GET", shared+"/checkpoint", "", "If-None-Match: "+c.tags).Header().Get("Etag"); got != c.want {
			t.Errorf("who knows of %s is shown %s, want %s", c.tags, got, c.want)
		}
	}
}

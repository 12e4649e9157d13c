package feedhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
)

// pipes is a listener for connections in memory, so that time can be the
// test's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// onPipes serves a handler in memory while test runs in a bubble of time.
func onPipes(t *testing.T, limits feedhttp.Limits, test func(*testing.T, *backend, func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		h := handlerOf(t, b, func(c *feedhttp.Config) { c.Writer, c.Limits = b, limits })
		server, listener := feedhttp.Server(h), newPipes()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(listener)
		}()
		test(t, b, listener.dial)
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-done
	})
}

// TestSlowClients plays clients that keep a connection busy without using it.
func TestSlowClients(t *testing.T) {
	limits := feedhttp.Limits{Grace: 10 * time.Second, Pace: 1000, HeaderTime: 5 * time.Second, IdleTime: 30 * time.Second}
	post := "POST " + shared + "/entries HTTP/1.1\r\nHost: x\r\nContent-Type: " + feedhttp.BatchMediaType + "\r\nContent-Length: 50000\r\n\r\n"

	t.Run("header", func(t *testing.T) {
		onPipes(t, limits, func(t *testing.T, _ *backend, dial func() net.Conn) {
			conn, start := dial(), time.Now()
			fmt.Fprint(conn, "GET /v1/ HT")
			io.Copy(io.Discard, conn)
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("the connection was kept for %s", took)
			}
		})
	})
	t.Run("idle", func(t *testing.T) {
		onPipes(t, limits, func(t *testing.T, _ *backend, dial func() net.Conn) {
			conn := dial()
			answers := bufio.NewReader(conn)
			go fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			r, err := http.ReadResponse(answers, nil)
			if err != nil || r.StatusCode != 200 {
				t.Fatal(r, err)
			}
			io.Copy(io.Discard, r.Body)
			start := time.Now()
			if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) || time.Since(start) > 31*time.Second {
				t.Errorf("%v after %s", err, time.Since(start))
			}
		})
	})
	t.Run("body that stops", func(t *testing.T) {
		onPipes(t, limits, func(t *testing.T, _ *backend, dial func() net.Conn) {
			conn, start := dial(), time.Now()
			var sender sync.WaitGroup
			sender.Go(func() { io.WriteString(conn, post+strings.Repeat("x", 2500)) })
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || r.StatusCode != http.StatusRequestTimeout || time.Since(start) != 10*time.Second {
				t.Errorf("%v, %v after %s", r, err, time.Since(start))
			}
			conn.Close()
			sender.Wait()
		})
	})
	t.Run("body that drips", func(t *testing.T) {
		onPipes(t, limits, func(t *testing.T, _ *backend, dial func() net.Conn) {
			conn, start := dial(), time.Now()
			var sender sync.WaitGroup
			sender.Go(func() {
				if _, err := io.WriteString(conn, post); err != nil {
					return
				}
				for {
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || r.StatusCode != http.StatusRequestTimeout || time.Since(start) > 11*time.Second {
				t.Errorf("%v, %v after %s", r, err, time.Since(start))
			}
			conn.Close()
			sender.Wait()
		})
	})
	t.Run("body that takes long and flows", func(t *testing.T) {
		onPipes(t, limits, func(t *testing.T, _ *backend, dial func() net.Conn) {
			conn, start := dial(), time.Now()
			var sender sync.WaitGroup
			sender.Go(func() {
				io.WriteString(conn, post)
				for range 50 {
					time.Sleep(5 * time.Second)
					io.WriteString(conn, strings.Repeat("x", 1000))
				}
			})
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || r.StatusCode != http.StatusBadRequest || time.Since(start) != 250*time.Second {
				t.Errorf("%v, %v after %s", r, err, time.Since(start))
			}
			conn.Close()
			sender.Wait()
		})
	})
	t.Run("reader that stops", func(t *testing.T) {
		onPipes(t, limits, func(t *testing.T, b *backend, dial func() net.Conn) {
			id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
			d := b.put(t, id, bytes.Repeat([]byte("x"), 1<<20))
			b.inMemory = false
			conn := dial()
			go fmt.Fprintf(conn, "GET %s/object/%s HTTP/1.1\r\nHost: x\r\n\r\n", shared, d.Hex())
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || r.StatusCode != 200 {
				t.Fatal(r, err)
			}
			time.Sleep(time.Minute) // and nothing is read
			if n, err := io.Copy(io.Discard, r.Body); err == nil {
				t.Errorf("%d bytes came although nobody had read for a minute", n)
			}
			conn.Close()
		})
	})
}

// TestLongHeader sends a header that does not end soon.
func TestLongHeader(t *testing.T) {
	onPipes(t, feedhttp.Limits{}, func(t *testing.T, _ *backend, dial func() net.Conn) {
		conn := dial()
		var sender sync.WaitGroup
		sender.Go(func() {
			fmt.Fprintf(conn, "GET /v1/ HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
		})
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%v, %v", r, err)
		}
		conn.Close()
		sender.Wait()
	})
}

// TestEndlessBody sends more than is allowed, announced and not.
func TestEndlessBody(t *testing.T) {
	limits := feedhttp.Limits{BatchBytes: 10_000, BatchMemory: 40_000, UploadBytes: 10_000}
	b := newBackend(t)
	h := handler(t, b, func(c *feedhttp.Config) { c.Limits = limits })
	for _, header := range [][]string{
		{"POST", "/entries", "Content-Type: " + feedhttp.BatchMediaType},
		{"POST", "/uploads", "Content-Type: " + feedhttp.BatchMediaType},
	} {
		r, _ := http.NewRequest(header[0], "http://x"+shared+header[1], endlessBody{})
		r.RequestURI = shared + header[1]
		key, value, _ := strings.Cut(header[2], ": ")
		r.Header.Set(key, value)
		for _, length := range []int64{-1, 10_001} {
			r.ContentLength = length
			w := &recorder{}
			h.ServeHTTP(w, r)
			if w.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s %s, length %d: %d", header[0], header[1], length, w.status)
			}
		}
	}
	if held := metric(t, h, `airlock_shared_used{of="bytes_of_bodies"}`); held != "0" {
		t.Errorf("%s bytes are still held", held)
	}
}

type endlessBody struct{}

func (endlessBody) Read(p []byte) (int, error) { return len(p), nil }
func (endlessBody) Close() error               { return nil }

// recorder keeps the status alone.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// metric returns the value of a metric, "" where there is none.
func metric(t *testing.T, h http.Handler, name string) string {
	t.Helper()
	w := ask(h, "GET", "/metrics", "")
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestBatchMemory holds that batches that arrive at once share a bound.
func TestBatchMemory(t *testing.T) {
	h := handler(t, newBackend(t), func(c *feedhttp.Config) {
		c.Limits = feedhttp.Limits{BatchMemory: 20_000}
	})
	w := ask(h, "POST", shared+"/entries", strings.Repeat("x", 30_000), "Content-Type: "+feedhttp.BatchMediaType)
	if w.Code != http.StatusServiceUnavailable || problemOf(w) != "busy" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest("POST", shared+"/entries", strings.NewReader(strings.Repeat("x", 12_000)))
	r.Header.Set("Content-Type", feedhttp.BatchMediaType)
	r.ContentLength = -1 // memory grows with what arrives
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusTooManyRequests || problemOf(w) != "share" {
		t.Errorf("more for one Space than is left: %d %s", w.Code, w.Body)
	}
	if held := metric(t, h, `airlock_shared_used{of="bytes_of_bodies"}`); held != "0" {
		t.Errorf("%s bytes are still held", held)
	}
}

// TestBusy holds that batches and uploads are only let in as far as there is
// room, and that those who leave make room.
func TestBusy(t *testing.T) {
	b := newBackend(t)
	b.expected[storage.Digest{}] = 10
	h := handler(t, b, func(c *feedhttp.Config) { c.Limits = feedhttp.Limits{Appends: 1, Uploads: 1} })
	for _, c := range [][4]string{
		{"POST", "/entries", "/entries", feedhttp.BatchMediaType},
		{"PATCH", "/uploads/" + noObject, "/uploads/1" + noObject[1:], "application/partial-upload"},
	} {
		body, line := io.Pipe()
		first := make(chan struct{})
		go func() {
			defer close(first)
			r := httptest.NewRequest(c[0], shared+c[1], body)
			r.Header.Set("Content-Type", c[3])
			r.Header.Set("Upload-Offset", "0")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		_, _ = line.Write([]byte("x")) // is read once the request has been let in
		again := func() *httptest.ResponseRecorder {
			return ask(h, c[0], shared+c[2], "x", "Content-Type: "+c[3], "Upload-Offset: 0")
		}
		if w := again(); w.Code != http.StatusServiceUnavailable || problemOf(w) != "busy" {
			t.Errorf("%s %s: %d %s", c[0], c[2], w.Code, w.Body)
		}
		_ = line.Close()
		<-first
		if w := again(); w.Code == http.StatusServiceUnavailable {
			t.Errorf("%s %s, after the first has left: %d %s", c[0], c[2], w.Code, w.Body)
		}
	}
}

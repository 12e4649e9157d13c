package feedhttp_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
)

// discard is a ResponseWriter that costs as little as there can be.
type discard struct {
	header http.Header
	status int
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }

// fastBackend answers with one head and one object from memory, as a server
// does that has both at hand.
type fastBackend struct {
	*backend
	head   feed.Checkpoint
	object feedhttp.Object
}

func (b *fastBackend) Head(context.Context, feedhttp.Caller, feed.ID, int64) (feed.Checkpoint, error) {
	return b.head, nil
}

func (b *fastBackend) Object(context.Context, feedhttp.Caller, feed.ID, storage.Digest, feedhttp.Of, int64) (feedhttp.Object, error) {
	return b.object, nil
}

// benchHandler is a handler with everything on: tokens, access log, metrics.
func benchHandler(b *testing.B) (h *feedhttp.Handler, objectPath, headPath, headTag string) {
	back := newBackend(b)
	a := feedtest.NewAuthor(b, "acme/dev-qa/shared")
	back.fill(b, a, 3)
	d := storage.DigestOf(make([]byte, 2048))
	log, err := os.Create(filepath.Join(b.TempDir(), "access.log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	head, err := back.Head(b.Context(), feedhttp.Caller{}, a.ID, 0)
	if err != nil {
		b.Fatal(err)
	}
	fast := &fastBackend{backend: back, head: head, object: feedhttp.Object{Bytes: make([]byte, 2048), Size: 2048}}
	h, err = feedhttp.New(feedhttp.Config{Reader: fast, Callers: tokens{benchToken: {Role: feedhttp.Enrolled}}, AccessLog: log})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.Close() })
	w := ask(h, "GET", "/v1/feeds/acme/dev-qa/shared/checkpoint", "", "Authorization: Bearer "+benchToken)
	if w.Code != http.StatusOK {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
	return h, "/v1/feeds/acme/dev-qa/shared/object/" + d.Hex(), "/v1/feeds/acme/dev-qa/shared/checkpoint", w.Header().Get("Etag")
}

const benchToken = "0123456789abcdef0123456789abcdef"

func BenchmarkObject2K(b *testing.B) {
	h, path, _, _ := benchHandler(b)
	b.Run("direct", func(b *testing.B) { direct(b, h, path, http.StatusOK) })
	b.Run("loopback", func(b *testing.B) { overLoopback(b, h, path, http.StatusOK) })
}

func BenchmarkCheckpoint304(b *testing.B) {
	h, _, path, tag := benchHandler(b)
	b.Run("direct", func(b *testing.B) { direct(b, h, path, http.StatusNotModified, "If-None-Match", tag) })
	b.Run("loopback", func(b *testing.B) { overLoopback(b, h, path, http.StatusNotModified, "If-None-Match", tag) })
}

// direct calls the handler without a server around it.
func direct(b *testing.B, h http.Handler, path string, status int, header ...string) {
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.RequestURI, r.RemoteAddr = path, "127.0.0.1:40000"
	r.Header.Set("Authorization", "Bearer "+benchToken)
	r.Header.Set("User-Agent", "bench")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		if h.ServeHTTP(w, r); w.status != status {
			b.Fatalf("status %d, want %d", w.status, status)
		}
	}
}

// overLoopback sends request after request over one connection.
func overLoopback(b *testing.B, h http.Handler, path string, status int, header ...string) {
	base := serve(b, h)
	conn, err := net.Dial("tcp", base.Host)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := "GET " + path + " HTTP/1.1\r\nHost: " + base.Host + "\r\nUser-Agent: bench\r\nAuthorization: Bearer " + benchToken + "\r\n"
	for i := 0; i < len(header); i += 2 {
		request += header[i] + ": " + header[i+1] + "\r\n"
	}
	request += "\r\n"
	answers := bufio.NewReaderSize(conn, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(conn, request); err != nil {
			b.Fatal(err)
		}
		r, err := http.ReadResponse(answers, nil)
		if err != nil || r.StatusCode != status {
			b.Fatalf("%v, %v", r, err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Fatal(err)
		}
	}
}

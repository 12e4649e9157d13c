package feedhttp_test

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
)

// TestContentCoding asks for parts compressed and not: the same bytes come.
func TestContentCoding(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 260)
	h := handler(t, b, nil)
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/segment/000", "/segment/001.p/3", "/pack/000", "/pack/001.p/3"} {
		plain := ask(h, "GET", shared+path, "")
		for accept, coded := range map[string]bool{
			"zstd": true, "gzip, zstd;q=0.5": true, "zstd;q=0": false, "zstd;q=0.000": false, "gzip": false, "identity": false, "xzstd": false,
		} {
			w := ask(h, "GET", shared+path, "", "Accept-Encoding: "+accept)
			body := w.Body.Bytes()
			if got := w.Header().Get("Content-Encoding") == "zstd"; got != coded || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s for %q: %v", path, accept, w.Header())
				continue
			}
			if coded {
				if body, err = decoder.DecodeAll(body, nil); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
			if !bytes.Equal(body, plain.Body.Bytes()) {
				t.Errorf("%s for %q: other bytes", path, accept)
			}
		}
	}
	compressed := client(t, serve(t, h), func(c *feedhttp.ClientConfig) { c.Compress = true })
	n := 0
	for s, err := range compressed.Segments(t.Context(), a.ID, 3, 259) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(s.Statements)
	}
	if n != 259 {
		t.Errorf("%d statements, want 259", n)
	}
	if _, err := compressed.Pack(t.Context(), a.ID, 0, feed.SegmentSize); err != nil {
		t.Error(err)
	}
}

// TestCompressedOnce holds that a part is compressed once for all who ask, and
// that a pack, which may be purged, is made again after a while.
func TestCompressedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
		b.fill(t, a, 260)
		parts := 0
		var mu sync.Mutex
		b.refuse = func(method string) error {
			mu.Lock()
			defer mu.Unlock()
			if method == "Part" {
				parts++
			}
			return nil
		}
		h := handler(t, b, nil)
		get := func(path string) {
			if w := ask(h, "GET", shared+path, "", "Accept-Encoding: zstd"); w.Code != 200 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { get("/segment/000") })
			all.Go(func() { get("/pack/000") })
		}
		all.Wait()
		if parts > 4 { // one each, but for who came between two looks
			t.Errorf("the store was asked %d times", parts)
		}
		parts = 0
		time.Sleep(2 * time.Minute)
		get("/segment/000")
		get("/pack/000")
		if parts != 1 {
			t.Errorf("after two minutes the store was asked %d times, want once, for the pack", parts)
		}
	})
}

// TestPrefetch holds that segments come in order, whatever order they arrive
// in, and that leaving early ends what was begun.
func TestPrefetch(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 900)
	c := client(t, serve(t, handler(t, b, nil)), nil)
	next := int64(0)
	for s, err := range c.Segments(t.Context(), a.ID, 0, 902) {
		if err != nil || s.Start != next {
			t.Fatalf("segment at %d, want %d: %v", s.Start, next, err)
		}
		next += int64(len(s.Statements))
	}
	if next != 902 {
		t.Errorf("%d entries, want 902", next)
	}
	for range c.Segments(t.Context(), a.ID, 0, 902) {
		break
	}
	for _, err := range c.Segments(t.Context(), a.ID, 700, 100_000) {
		if err != nil {
			return // beyond the end there is nothing
		}
	}
	t.Error("segments beyond the end of the feed")
}

package feedhttp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
)

// cutting is a connection that breaks after so many bytes that the server
// reads from it or writes to it.
type cutting struct {
	net.Conn
	read, write *atomic.Int64 // what is left
}

func (c *cutting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read.Add(-int64(n)) < 0 {
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *cutting) Write(p []byte) (int, error) {
	if left := c.write.Add(-int64(len(p))); left < 0 {
		n, _ := c.Conn.Write(p[:max(0, left+int64(len(p)))])
		c.Conn.Close()
		return n, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// cuttingListener breaks the first connections, each after so many bytes, and
// leaves the others alone.
type cuttingListener struct {
	net.Listener
	reads, writes []int64
	accepted      atomic.Int64
}

const never = 1 << 60

func (l *cuttingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	n := int(l.accepted.Add(1)) - 1
	c := &cutting{Conn: conn, read: new(atomic.Int64), write: new(atomic.Int64)}
	c.read.Store(never)
	c.write.Store(never)
	if n < len(l.reads) {
		c.read.Store(l.reads[n])
	}
	if n < len(l.writes) {
		c.write.Store(l.writes[n])
	}
	return c, nil
}

// serveCut serves a handler on connections that break.
func serveCut(t *testing.T, h *feedhttp.Handler, reads, writes []int64) (*url.URL, *cuttingListener) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &cuttingListener{Listener: inner, reads: reads, writes: writes}
	server := feedhttp.Server(h)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return &url.URL{Scheme: "http", Host: inner.Addr().String()}, l
}

func random(n int) []byte {
	out := make([]byte, n)
	rand.NewChaCha8([32]byte{2}).Read(out)
	return out
}

// TestObjectResumes reads an object over connections that break.
func TestObjectResumes(t *testing.T) {
	b := newBackend(t)
	b.inMemory = false
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	data := random(2 << 20)
	d := b.put(t, id, data)
	base, l := serveCut(t, handler(t, b, nil), nil, []int64{100, 300_000, 1000, 700_000})
	got, err := readObject(t, client(t, base, nil), id, d, 5)
	if err != nil || !bytes.Equal(got, data[5:]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := l.accepted.Load(); n != 5 {
		t.Errorf("%d connections, want 5", n)
	}
}

// TestUploadResumes publishes a large object over connections that break: what
// has arrived is not sent again.
func TestUploadResumes(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	data := random(8 << 20)
	signed := append(a.Opening(), a.Publish("file/large@1", feedtest.File{Path: "large", Data: data}))
	base, _ := serveCut(t, handler(t, b, nil), []int64{3 << 20, 3 << 20}, nil)
	var from []int64
	batch := batchOf(a, signed...)
	for i, o := range batch.Objects {
		if o.Size == int64(len(data)) {
			batch.Objects[i].Open = func(off int64) (io.ReadCloser, error) {
				from = append(from, off)
				return o.Open(off)
			}
		}
	}
	if _, err := client(t, base, nil).Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if last := from[len(from)-1]; from[0] != 0 || last < 5_000_000 || !slices.IsSorted(from) {
		t.Errorf("sent from %v", from)
	}
	if got, err := readObject(t, client(t, base, nil), a.ID, storage.DigestOf(data), 0); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
}

// TestLostAnswer publishes a batch whose answer is lost: asking again does no
// harm and gives the same places.
func TestLostAnswer(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	signed := append(a.Opening(), a.Publish("file/db@1"))
	base, l := serveCut(t, handler(t, b, nil), nil, []int64{10, 10})
	accepted, err := client(t, base, nil).Publish(t.Context(), batchOf(a, signed...))
	if err != nil || accepted.Added != 0 || accepted.Indices[len(signed)-1] != int64(len(signed)-1) || accepted.Checkpoint.Size != int64(len(signed)) {
		t.Errorf("%+v, %v", accepted, err)
	}
	if n := l.accepted.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// TestRetries holds which refusals are asked again, and how often.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		err   error
		calls int64
	}{
		{feedhttp.ErrBusy, 4},
		{feedhttp.ErrClosing, 4},
		{storage.ErrUnclear, 4},
		{storage.ErrAway, 4},
		{errors.New("disk on fire"), 4},
		{storage.ErrNoSpace, 1},
		{fs.ErrNotExist, 1},
		{&feed.RepeatedError{}, 1},
		{feedhttp.ErrUnauthorized, 1},
	} {
		b := newBackend(t)
		b.refuse = func(string) error { return c.err }
		cl := client(t, serve(t, handler(t, b, nil)), func(c *feedhttp.ClientConfig) { c.Retry.Attempts = 4 })
		if _, err := cl.Checkpoint(t.Context(), feedtest.NewAuthor(t, "acme/dev-qa/shared").ID); err == nil || b.calls.Load() != c.calls {
			t.Errorf("%v: asked %d times, want %d (%v)", c.err, b.calls.Load(), c.calls, err)
		}
	}
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	var calls atomic.Int64
	b.refuse = func(string) error {
		if calls.Add(1) < 3 {
			return feedhttp.ErrBusy
		}
		return nil
	}
	if _, err := client(t, serve(t, handler(t, b, nil)), nil).Checkpoint(t.Context(), a.ID); err != nil {
		t.Errorf("a server that was busy twice: %v", err)
	}
}

// TestGreedyServer gives a client more than it asked for.
func TestGreedyServer(t *testing.T) {
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := encoder.EncodeAll(make([]byte, 256<<20), nil) // a few kilobytes
	for _, c := range []struct {
		name   string
		header [2]string
		write  func(io.Writer)
	}{
		{"endless", [2]string{}, func(w io.Writer) {
			for block := make([]byte, 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}},
		{"announced", [2]string{"Content-Length", "99999999999"}, func(io.Writer) {}},
		{"bomb", [2]string{"Content-Encoding", "zstd"}, func(w io.Writer) { w.Write(bomb) }},
		{"broken zstd", [2]string{"Content-Encoding", "zstd"}, func(w io.Writer) { w.Write(bomb[:20]) }},
		{"other coding", [2]string{"Content-Encoding", "br"}, func(w io.Writer) { w.Write(bomb) }},
		{"nonsense", [2]string{}, func(w io.Writer) { fmt.Fprint(w, "nonsense") }},
		{"nothing", [2]string{}, func(io.Writer) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.header[0] != "" {
					w.Header().Set(c.header[0], c.header[1])
				}
				c.write(w)
			}))
			cl := client(t, base, func(c *feedhttp.ClientConfig) { c.Retry.Attempts = 2 })
			if _, err := cl.Checkpoint(t.Context(), id); err == nil {
				t.Error("a checkpoint")
			}
			for s, err := range cl.Segments(t.Context(), id, 0, 300) {
				if err == nil {
					t.Errorf("a segment %v", s)
				}
			}
			if _, err := cl.Tile(t.Context(), id, 0, 0, 256); err == nil {
				t.Error("a tile")
			}
			if _, err := cl.Pack(t.Context(), id, 0, 256); err == nil {
				t.Error("a pack")
			}
			if _, err := cl.Chunks(t.Context(), id, storage.Digest{}); err == nil {
				t.Error("chunks")
			}
			if _, err := cl.Delta(t.Context(), id, storage.Digest{}, storage.Digest{1}); err == nil {
				t.Error("a delta")
			}
			if _, err := cl.LogKey(t.Context()); err == nil {
				t.Error("a log key")
			}
		})
	}
}

// TestForeignServer asks servers that are none of ours, or give more than they
// may: what they say of themselves does not count.
func TestForeignServer(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	info := func(name, api, key string) string {
		return fmt.Sprintf(`{"api":%q,"logKey":%q,"name":%q}`, api, key, name)
	}
	good := info("airlock", "v1", key)
	long := good + strings.Repeat(" ", 64<<10)
	for name, c := range map[string]struct {
		body, coding string
		ok           bool
	}{
		"good":                     {good, "", true},
		"good, compressed":         {string(encoder.EncodeAll([]byte(good), nil)), "zstd", true},
		"another program":          {info("zot", "v1", key), "", false},
		"another interface":        {info("airlock", "v2", key), "", false},
		"short key":                {info("airlock", "v1", key[:4]), "", false},
		"longer than it may be":    {long, "", false},
		"longer once decompressed": {string(encoder.EncodeAll([]byte(long), nil)), "zstd", false},
	} {
		base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.coding != "" {
				w.Header().Set("Content-Encoding", c.coding)
			}
			io.WriteString(w, c.body)
		}))
		if key, err := client(t, base, nil).LogKey(t.Context()); (err == nil) != c.ok {
			t.Errorf("%s: key %x, %v", name, key, err)
		}
	}
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }))
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	if head, err := client(t, base, nil).Checkpoint(t.Context(), id); err == nil {
		t.Errorf("not modified since nothing: %+v", head)
	}
}

// TestWrongRange gives a client other bytes of an object than those asked for.
func TestWrongRange(t *testing.T) {
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	const content = "0123456789"
	for field, want := range map[string]string{
		"bytes 4-9/10":  "456789",
		"bytes 3-9/10":  "",
		"bytes 4-8/10":  "",
		"bytes 4-10/11": "",
		"":              "",
		"whole":         "456789", // ranges are not understood there
	} {
		base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if field == "whole" {
				fmt.Fprint(w, content)
				return
			}
			w.Header().Set("Content-Range", field)
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, content[4:])
		}))
		got, err := readObject(t, client(t, base, func(c *feedhttp.ClientConfig) { c.Retry.Attempts = 1 }), id, storage.Digest{1}, 4)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("Content-Range %q: %q, %v", field, got, err)
		}
	}
}

// TestStalledServer holds that a client does not wait for ever.
func TestStalledServer(t *testing.T) {
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	for _, first := range []string{"", "x"} {
		base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if first != "" {
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, first)
				http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		}))
		cl := client(t, base, func(c *feedhttp.ClientConfig) { c.Patience, c.Retry.Attempts = 20*time.Millisecond, 2 })
		start := time.Now()
		_, err := cl.Checkpoint(t.Context(), id)
		if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "does not answer") || took > 2*time.Second {
			t.Errorf("after %q: %v, in %s", first, err, took)
		}
		if _, err := readObject(t, cl, id, storage.Digest{1}, 0); err == nil {
			t.Errorf("after %q: an object", first)
		}
	}
}

// TestLocalFailure holds that what cannot be read here is not tried again, and
// that the server does not take a part for the whole.
func TestLocalFailure(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	cl := client(t, serve(t, handler(t, b, nil)), nil)
	for name, open := range map[string]func(int64) (io.ReadCloser, error){
		"cannot be opened": func(int64) (io.ReadCloser, error) { return nil, fs.ErrPermission },
		"cannot be read":   func(int64) (io.ReadCloser, error) { return io.NopCloser(failing{}), nil },
		"is shorter":       func(int64) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil },
	} {
		batch := batchOf(a, append(a.Opening(), a.Publish("file/x@1"))...)
		tries := 0
		batch.Objects[len(batch.Objects)-1].Open = func(off int64) (io.ReadCloser, error) {
			tries++
			return open(off)
		}
		if _, err := cl.Publish(t.Context(), batch); err == nil || tries != 1 {
			t.Errorf("an object that %s: tried %d times, %v", name, tries, err)
		}
	}
	if _, err := cl.Checkpoint(t.Context(), a.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was committed: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fs.ErrPermission }

// TestMissingObjects leaves objects out that the server does not have.
func TestMissingObjects(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	cl := client(t, serve(t, handler(t, b, nil)), nil)
	batch := batchOf(a, append(a.Opening(), a.Publish("file/x@1"))...)
	left := batch.Objects[len(batch.Objects)-1]
	batch.Objects = batch.Objects[:len(batch.Objects)-1]
	_, err := cl.Publish(t.Context(), batch)
	missing, ok := errors.AsType[*feed.MissingError](err)
	if !ok || len(missing.Objects) != 1 || missing.Objects[0] != left.Ref {
		t.Errorf("got %v", err)
	}
}

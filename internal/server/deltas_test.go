package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// heard is a logger's handler that hands on the messages that it gets.
type heard chan string

func (h heard) Enabled(context.Context, slog.Level) bool { return true }
func (h heard) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h heard) WithGroup(string) slog.Handler            { return h }
func (h heard) Handle(_ context.Context, r slog.Record) error {
	h <- r.Message
	return nil
}

// newDeltaWorld is a world whose server keeps payloads in chunks and makes
// deltas, and what it says.
func newDeltaWorld(t *testing.T) (*world, heard) {
	t.Helper()
	w := newWorld(t, storage.Chunked(storage.NewMem()))
	says := make(heard, 100)
	w.srv = w.server(server.Config{Deltas: true, Logger: slog.New(says)})
	return w, says
}

func (h heard) wait(t *testing.T, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case got := <-h:
			if got == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("nobody said %q", want)
		}
	}
}

func big(data []byte) feedtest.File { return feedtest.File{Path: "big", Data: data} }

// pullLast reads the last package of the feed with a base at hand, and returns
// how much came over the line.
func (w *world) pullLast(base []byte, open func(context.Context, *feed.Package) (io.ReadCloser, error)) (got []byte, received int64) {
	w.t.Helper()
	c := client(w.t, w.srv)
	f := w.Follower(c)
	f.Bases = func(feed.Ref, string) (feed.Base, bool) {
		return feed.Base{Ref: storage.RefOf(base), ReaderAt: bytes.NewReader(base), Closer: io.NopCloser(nil)}, true
	}
	s, _, err := f.Sync(w.t.Context(), w.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	before := c.Received()
	err = f.Fetch(w.t.Context(), s, []feed.Row{s.Index.Row(s.Index.Size() - 1)}, func(p *feed.Package) error {
		r, err := open(w.t.Context(), p)
		if err != nil {
			return err
		}
		defer r.Close()
		got, err = io.ReadAll(r)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return got, c.Received() - before
}

func byFrames(ctx context.Context, p *feed.Package) (io.ReadCloser, error) { return p.Open(ctx, 0) }

func byDelta(ctx context.Context, p *feed.Package) (io.ReadCloser, error) {
	if r := p.OpenDelta(ctx, 0); r != nil {
		return r, nil
	}
	return nil, errors.New("no delta")
}

// What comes over the line of an edited file of 20 MiB: by frames a part of it,
// by a delta next to nothing.
func TestDeltaOverTheLine(t *testing.T) {
	w, says := newDeltaWorld(t)
	old := storetest.Text(1, 20<<20)
	next := bytes.Clone(old)
	for at := 1 << 20; at < len(next); at += 4 << 20 {
		copy(next[at:], "an edit")
	}
	next = append(next[:5<<20:5<<20], append([]byte("something that was put in between"), next[5<<20:]...)...)
	w.mustSend(append(w.Opening(), w.Publish("file/big@1", big(old)))...)
	w.mustSend(w.Publish("file/big@2", big(next)))
	says.wait(t, "delta made")

	got, whole := w.pullLast(nil, byFrames)
	if !bytes.Equal(got, next) {
		t.Fatal("another payload came")
	}
	got, frames := w.pullLast(old, byFrames)
	if !bytes.Equal(got, next) {
		t.Fatal("another payload came by frames")
	}
	got, delta := w.pullLast(old, byDelta)
	if !bytes.Equal(got, next) {
		t.Fatal("another payload came by a delta")
	}
	t.Logf("whole %d bytes, frames %d, delta %d", whole, frames, delta)
	if frames > whole/5 || delta > frames/20 || delta > 10_000 {
		t.Errorf("whole %d bytes, frames %d, delta %d", whole, frames, delta)
	}
}

// Deltas are made where a version follows another with large files, and where
// they save something; a server that was not asked to makes none.
func TestDeltasMade(t *testing.T) {
	old := storetest.Text(1, 3<<20)
	next := append([]byte("an edit"), old...)
	last := append([]byte("another edit"), old...)
	w, says := newDeltaWorld(t)
	w.mustSend(append(w.Opening(), w.Publish("file/big@1", big(old)), w.Publish("file/small@1"),
		w.Publish("file/noise@1", feedtest.File{Path: "a", Data: storetest.Random(1, 2<<20)}))...)
	w.mustSend(w.Publish("file/small@2"), w.Publish("file/noise@2", feedtest.File{Path: "a", Data: storetest.Random(2, 2<<20)}),
		w.Publish("file/big@2", feedtest.File{Path: "renamed", Data: next}, feedtest.File{Path: "small", Data: []byte("small")}))
	says.wait(t, "delta made") // one at a time: those before it had their turn
	differ := w.store.Objects(w.ID.Space.String()).(storage.Differ)
	ends := func(a, b []byte) (storage.Digest, storage.Digest) { return storage.DigestOf(a), storage.DigestOf(b) }
	base, target := ends(old, next)
	if _, err := differ.Delta(t.Context(), base, target); err != nil {
		t.Errorf("to a file of another path: %v", err)
	}
	base, target = ends(storetest.Random(1, 2<<20), storetest.Random(2, 2<<20))
	if p, err := differ.Delta(t.Context(), base, target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("between payloads that are not alike: %+v, %v", p, err)
	}
	select {
	case said := <-says:
		t.Errorf("said %q", said)
	default:
	}

	without := w.server(server.Config{})
	w.srv = without
	w.mustSend(w.Publish("file/big@3", feedtest.File{Path: "renamed", Data: last}))
	if err := without.Close(); err != nil {
		t.Fatal(err)
	}
	base, target = ends(next, last)
	if p, err := differ.Delta(t.Context(), base, target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("by a server that makes none: %+v, %v", p, err)
	}
}

// A server that ends does not wait for deltas, and no goroutine stays.
func TestDeltasEnd(t *testing.T) {
	w, _ := newDeltaWorld(t)
	old := storetest.Text(1, 8<<20)
	w.mustSend(append(w.Opening(), w.Publish("file/big@1", big(old)))...)
	w.mustSend(w.Publish("file/big@2", big(append([]byte("an edit"), old...))))
	if err := w.srv.Close(); err != nil {
		t.Fatal(err)
	}
}

// How payloads are cut, and their deltas, are for readers of the Space alone.
func TestReadingLarge(t *testing.T) {
	ctx := t.Context()
	w, says := newDeltaWorld(t)
	old := storetest.Text(1, 2<<20)
	next := append([]byte("an edit"), old...)
	w.mustSend(append(w.Opening(), w.Publish("file/big@1", big(old)))...)
	w.mustSend(w.Publish("file/big@2", big(next)))
	says.wait(t, "delta made")
	base, target := storage.DigestOf(old), storage.DigestOf(next)
	elsewhere := feed.ID{Space: trust.Space{Organisation: "acme", Name: "other"}, Name: "shared"}
	for name, c := range map[string]struct {
		srv    *server.Server
		caller feedhttp.Caller
		id     feed.ID
		want   error
	}{
		"a reader":               {w.srv, reader, w.ID, nil},
		"nobody":                 {w.closed(), feedhttp.Caller{}, w.ID, feedhttp.ErrUnauthorized},
		"through another Space":  {w.srv, reader, elsewhere, fs.ErrNotExist},
		"a store without chunks": {newWorld(t, storage.NewMem()).srv, reader, w.ID, fs.ErrNotExist},
	} {
		if _, err := c.srv.Chunks(ctx, c.caller, c.id, target); !errors.Is(err, c.want) {
			t.Errorf("chunks, %s: %v", name, err)
		}
		if _, err := c.srv.Delta(ctx, c.caller, c.id, base, target); !errors.Is(err, c.want) {
			t.Errorf("delta, %s: %v", name, err)
		}
	}
}

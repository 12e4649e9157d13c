package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/iotest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
)

const (
	segment = feedhttp.Segment
	pack    = feedhttp.Pack
	tile    = feedhttp.Tile
)

func partErr(srv *server.Server, id feed.ID, c feedhttp.Caller, kind feedhttp.PartKind) error {
	_, err := srv.Part(context.Background(), c, id, feedhttp.Part{Kind: kind, Width: 1})
	return err
}

func withSpool(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, storage.NewMem())
	spool, err := storage.OpenSpool(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spool.Close() })
	w.srv = w.server(server.Config{Spool: spool})
	w.mustSend(w.Opening()...)
	return w
}

// Only what checked statements name may be uploaded, for an hour.
func TestUpload(t *testing.T) {
	ctx := context.Background()
	w := withSpool(t)
	payload := storetest.Random(7, 300<<10)
	s := w.Publish("file/a@1", feedtest.File{Path: "a", Data: payload})
	d := storage.DigestOf(payload)
	upload := func(off int64, r io.Reader) (int64, error) { return w.srv.Upload(ctx, reader, w.ID, d, off, r) }
	if _, err := upload(0, bytes.NewReader(payload)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not expected: %v", err)
	}
	expect := func() {
		t.Helper()
		missing, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{s.Attestation}, s.Objects[:1])
		if err != nil || len(missing) != 1 || missing[0] != storage.RefOf(payload) {
			t.Fatalf("missing %v, %v", missing, err)
		}
	}
	expect()
	w.clock.add(time.Hour + time.Second)
	if _, err := upload(0, bytes.NewReader(payload)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after an hour: %v", err)
	}
	expect()
	if n, err := upload(0, iotest.TimeoutReader(bytes.NewReader(payload[:200<<10]))); err == nil {
		t.Errorf("a broken line gave no error at %d", n)
	}
	at, err := w.srv.Offset(ctx, reader, w.ID, d)
	if err != nil || at == int64(len(payload)) {
		t.Fatalf("offset %d, %v", at, err)
	}
	if _, err := upload(at+1, bytes.NewReader(payload[at:])); !as[*feedhttp.OffsetError](err) {
		t.Errorf("wrong offset: %v", err)
	}
	if w.has(payload) {
		t.Error("half an object is visible")
	}
	if _, err := upload(at, bytes.NewReader(payload[at:])); err != nil || !w.has(payload) {
		t.Errorf("resumed: %v", err)
	}
	if n, err := w.srv.Offset(ctx, reader, w.ID, d); err != nil || n != int64(len(payload)) {
		t.Errorf("offset once stored: %d, %v", n, err)
	}
	b := batch(w.ID, s)
	b.Objects = b.Objects[:1]
	if _, err := w.srv.Publish(ctx, reader, b); err != nil {
		t.Error(err)
	}
}

// TestTakesTurns holds that what is verified and what is stored wait for their turn,
// and that an upload which had to is stored by whatever asks for it next.
func TestTakesTurns(t *testing.T) {
	ctx := context.Background()
	for name, again := range map[string]func(*world, []byte) (int64, error){
		"offset":   func(w *world, p []byte) (int64, error) { return w.srv.Offset(ctx, reader, w.ID, storage.DigestOf(p)) },
		"all":      func(w *world, p []byte) (int64, error) { return w.upload(p, 0) },
		"no bytes": func(w *world, p []byte) (int64, error) { return w.upload(p, int64(len(p))) },
	} {
		w := withSpool(t)
		payload := storetest.Random(7, 1000)
		s := w.Publish("file/a@1", feedtest.File{Path: "a", Data: payload})
		expect := func() error {
			_, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{s.Attestation}, s.Objects[:1])
			return err
		}
		if err := expect(); err != nil {
			t.Fatal(err)
		}
		full := feedhttp.NewQueue("things", 1, 0, 0) // nothing may wait
		leave, err := full.Enter(ctx, w.ID.Space, 1)
		if err != nil {
			t.Fatal(err)
		}
		w.srv.WithQueue(full)
		if err := expect(); !as[*feedhttp.ShareError](err) {
			t.Errorf("statements are verified out of turn: %v", err)
		}
		if _, err := w.upload(payload, 0); !as[*feedhttp.ShareError](err) || w.has(payload) {
			t.Errorf("an upload is stored out of turn: %v", err)
		}
		if _, err := again(w, payload); !as[*feedhttp.ShareError](err) || w.has(payload) {
			t.Errorf("%s: an upload that is not stored is said to be complete: %v", name, err)
		}
		leave()
		if n, err := again(w, payload); err != nil || n != int64(len(payload)) || !w.has(payload) {
			t.Errorf("%s: %d of an upload that has all its bytes, once it is its turn: %v", name, n, err)
		}
	}
}

// upload brings the bytes of an object from off on.
func (w *world) upload(object []byte, off int64) (int64, error) {
	return w.srv.Upload(context.Background(), reader, w.ID, storage.DigestOf(object), off, bytes.NewReader(object[off:]))
}

func TestUploadWrongBytes(t *testing.T) {
	ctx := context.Background()
	w := withSpool(t)
	payload := storetest.Random(7, 1000)
	s := w.Publish("file/a@1", feedtest.File{Path: "a", Data: payload})
	if _, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{s.Attestation}, s.Objects[:1]); err != nil {
		t.Fatal(err)
	}
	d := storage.DigestOf(payload)
	_, err := w.srv.Upload(ctx, reader, w.ID, d, 0, bytes.NewReader(storetest.Random(8, 1000)))
	if !as[*storage.DigestError](err) || w.has(payload) {
		t.Errorf("wrong bytes: %v, visible %v", err, w.has(payload))
	}
	_, err = w.srv.Upload(ctx, reader, w.ID, d, 0, bytes.NewReader(append(payload, 'x')))
	if !as[*storage.SizeError](err) || w.has(payload) {
		t.Errorf("too many bytes: %v", err)
	}
	mallory := feedtest.AuthorOf(t, w.Space, "shared").Draft(w.Space.Approver, "file/a@1", nil, nil)
	if _, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{mallory.Attestation}, nil); err == nil {
		t.Error("statements that may not be published make objects expected")
	}
}

// A large payload goes from one end to the other.
func TestLargeOverHTTP(t *testing.T) {
	w := withSpool(t)
	c := client(t, w.srv)
	payload := storetest.Random(3, 600<<10)
	if _, err := c.Publish(context.Background(), batch(w.ID, w.Publish("file/a@1", feedtest.File{Path: "a", Data: payload}))); err != nil {
		t.Fatal(err)
	}
	got, err := feed.ReadObject(context.Background(), c, w.ID, storage.DigestOf(payload), 1<<20)
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("read back %d bytes, %v", len(got), err)
	}
}

// The log of another operator can be read, not added to.
func TestForeignLog(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	w.mustSend(append(w.Opening(), w.Publish("file/a@1"))...)
	if err := w.srv.Close(); err != nil { // leaves the checkpoint for readers
		t.Fatal(err)
	}
	foreign := w.server(server.Config{LogKey: feedtest.Key(9)})
	if _, err := foreign.Publish(ctx, reader, batch(w.ID, w.Draft(w.Space.Publisher, "file/b@1", nil, nil))); !errors.Is(err, feedhttp.ErrForeignLog) {
		t.Errorf("another operator's log: %v", err)
	}
	keyless := server.New(server.Config{Store: w.store, Now: w.clock.Now})
	t.Cleanup(func() { _ = keyless.Close() })
	s := w.Draft(w.Space.Publisher, "file/b@1", nil, nil)
	if _, err := keyless.Publish(ctx, reader, batch(w.ID, s)); !errors.Is(err, feedhttp.ErrForeignLog) {
		t.Errorf("without a log key: %v", err)
	}
	if _, err := keyless.Expect(ctx, reader, w.ID, []signing.Attestation{w.Opening()[0].Attestation}, nil); !errors.Is(err, feedhttp.ErrForeignLog) {
		t.Errorf("expecting without a log key: %v", err)
	}
	if _, err := keyless.LogKey(ctx); !errors.Is(err, feedhttp.ErrForeignLog) {
		t.Errorf("log key: %v", err)
	}
	for name, s := range map[string]*server.Server{"foreign": foreign, "keyless": keyless} {
		if state, void := w.follow(s.Local()); state.Index.Size() != 3 || len(void) != 0 {
			t.Errorf("%s server: %d entries, void %v", name, state.Index.Size(), void)
		}
	}
}

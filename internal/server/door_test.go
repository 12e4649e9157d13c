package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// door is a server as strangers reach it: over HTTP, on a store in a folder. Its
// feed holds file/a@1 and file/a@2 by alice, whom identity version 3 dropped;
// carol holds the pen now.
type door struct {
	*world
	pen     *feedtest.Pen
	alice   *signing.Signer
	first   feedtest.Signed // file/a@1
	entries int64           // that the feed had when it was looked at last
	dir     string
	server  *httptest.Server
}

const entriesPath = "/v1/feeds/acme/dev-qa/shared/entries"

func newDoor(t *testing.T, limits feedhttp.Limits) *door {
	t.Helper()
	d := &door{dir: t.TempDir()}
	store, err := storage.OpenDir(context.Background(), d.dir)
	if err != nil {
		t.Fatal(err)
	}
	d.world = newWorld(t, store)
	d.pen, d.alice = feedtest.NewPen(t, d.Space, "carol"), d.Space.Publisher
	d.first = d.Publish("file/a@1")
	d.mustSend(append(d.Opening(), d.first, d.Publish("file/a@2"))...)
	d.Space.Next(func(id *trust.Identity) { d.Space.Drop(id, d.alice) })
	d.mustSend(d.Identity(3)...)
	d.entries = d.size()
	h, err := feedhttp.New(feedhttp.Config{Reader: d.srv, Writer: d.srv, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	d.server = &httptest.Server{Listener: newListener(t), Config: feedhttp.Server(h)}
	d.server.Start()
	t.Cleanup(func() { d.server.Close(); _ = h.Close() })
	return d
}

// answered is a server's answer.
type answered struct {
	status  int
	problem string // the name, "" where it is no refusal
	detail  string
	body    string
}

// post sends a body as a batch to a path, which is not cleaned.
func (d *door) post(path string, body io.Reader) answered {
	d.t.Helper()
	r, err := http.NewRequest("POST", d.server.URL, body)
	if err != nil {
		d.t.Fatal(err)
	}
	r.URL = &url.URL{Scheme: "http", Host: d.server.Listener.Addr().String(), Opaque: path}
	r.Header.Set("Content-Type", feedhttp.BatchMediaType)
	got, err := d.server.Client().Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	return read(d.t, got)
}

func read(t *testing.T, r *http.Response) answered {
	t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{status: r.StatusCode, body: string(body)}
	var doc struct{ Type, Title, Detail string }
	if r.Header.Get("Content-Type") == "application/problem+json" && json.Unmarshal(body, &doc) == nil && doc.Title != "" {
		a.problem, a.detail = strings.TrimPrefix(doc.Type, "https://airlock.example/problems/"), doc.Detail
	}
	return a
}

// raw writes bytes to a connection of its own and reads what is answered while
// it does.
func (d *door) raw(write func(io.Writer)) answered {
	d.t.Helper()
	conn := dial(d.t, d.server.Listener.Addr())
	defer conn.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		write(conn)
	}()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	got, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	a := read(d.t, got)
	conn.Close()
	<-done
	return a
}

// batchOf writes a batch as docs/formats.md has it.
func batchOf(epoch uint64, statements [][]byte, objects ...[]byte) []byte {
	out := binary.BigEndian.AppendUint64([]byte("airlock-batch 1\n"), epoch)
	out = binary.BigEndian.AppendUint32(out, uint32(len(statements)))
	for _, s := range statements {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
	}
	for _, o := range objects {
		digest := sha256.Sum256(o)
		out = append(binary.BigEndian.AppendUint64(append(out, digest[:]...), uint64(len(o))), o...)
	}
	return out
}

func bodyOf(s feedtest.Signed) []byte { return batchOf(1, [][]byte{s.Bytes()}, s.Objects...) }

// draft is the publication of file/x@1, changed by change, by carol.
func (d *door) draft(change func(*feed.Publication)) feedtest.Signed {
	return d.Draft(d.pen.Signer, "file/x@1", []feedtest.File{feedtest.Text("content", "the payload of a refused batch")}, change)
}

// resigned is the publication of file/x@1 with one text in the statement
// replaced, signed by carol as it then is.
func (d *door) resigned(old, new string) []byte {
	s := d.draft(nil)
	return bodyOf(d.pen.SignBytes(d.t, d.replaced(s.Payload(), old, new), s.Objects...))
}

// remade is the publication of file/x@1 with one text in the manifest replaced.
func (d *door) remade(old, new string) []byte {
	s := d.draft(nil)
	manifest := d.replaced(s.Objects[0], old, new)
	p := feed.Publication{Epoch: 1, Feed: d.ID, Kind: "file", Lineage: d.Space.Lineage(), ManifestSize: int64(len(manifest)),
		Name: "x", Time: "2026-02-03T04:05:06Z", Title: "x", Version: "1"}
	st, err := p.Statement(storage.DigestOf(manifest))
	signed := d.Sign(d.pen.Signer, st, err)
	signed.Objects = [][]byte{manifest, s.Objects[1]}
	return bodyOf(signed)
}

func (d *door) replaced(in []byte, old, new string) []byte {
	d.t.Helper()
	if !bytes.Contains(in, []byte(old)) {
		d.t.Fatalf("%q is not in %s", old, in)
	}
	return bytes.Replace(in, []byte(old), []byte(new), 1)
}

// kept is what the store holds for good: every object, file and log, by name.
// The checkpoint left for readers follows the log by itself.
func (d *door) kept() map[string]string {
	d.t.Helper()
	out := map[string]string{}
	for _, part := range []string{"objects", "files", "cells/log"} {
		err := filepath.WalkDir(filepath.Join(d.dir, part), func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(name)
			out[strings.TrimPrefix(name, d.dir)] = fmt.Sprintf("%x", sha256.Sum256(b))
			return err
		})
		if err != nil {
			d.t.Fatal(err)
		}
	}
	return out
}

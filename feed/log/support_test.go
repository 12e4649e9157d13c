package log_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// fault decides about one operation of a store: an error before it is done, or
// after, when the caller cannot know whether it was.
type fault func(ctx context.Context, op, key string) (before, after error)

// broken returns a store that fails as f says. Operations are "get", "put" and
// "stat" of objects, "read", "create" and "list" of files, "load" and "swap" of
// cells.
func broken(s *storage.Store, f fault) *storage.Store {
	out := *s
	out.Objects = func(space string) storage.Objects { return &brokenObjects{s.Objects(space), f} }
	out.Files = &brokenFiles{s.Files, f}
	out.Cells = &brokenCells{s.Cells, f}
	return &out
}

// around runs do between the two errors of a fault.
func around[T any](ctx context.Context, f fault, op, key string, do func() (T, error)) (T, error) {
	before, after := f(ctx, op, key)
	if before != nil {
		var zero T
		return zero, before
	}
	out, err := do()
	if err == nil {
		err = after
	}
	return out, err
}

type brokenObjects struct {
	storage.Objects
	f fault
}

func (b *brokenObjects) Get(ctx context.Context, d storage.Digest, off int64) (io.ReadCloser, error) {
	return around(ctx, b.f, "get", d.Hex(), func() (io.ReadCloser, error) { return b.Objects.Get(ctx, d, off) })
}

func (b *brokenObjects) Put(ctx context.Context, ref storage.Ref, r io.Reader) error {
	_, err := around(ctx, b.f, "put", ref.Digest.Hex(), func() (int, error) { return 0, b.Objects.Put(ctx, ref, r) })
	return err
}

type brokenFiles struct {
	storage.Files
	f fault
}

func (b *brokenFiles) Get(ctx context.Context, key string) ([]byte, error) {
	return around(ctx, b.f, "read", key, func() ([]byte, error) { return b.Files.Get(ctx, key) })
}

func (b *brokenFiles) Create(ctx context.Context, key string, value []byte) error {
	_, err := around(ctx, b.f, "create", key, func() (int, error) { return 0, b.Files.Create(ctx, key, value) })
	return err
}

type brokenCells struct {
	storage.Cells
	f fault
}

func (b *brokenCells) Load(ctx context.Context, key string) (value []byte, tag string, err error) {
	value, err = around(ctx, b.f, "load", key, func() (v []byte, err error) {
		v, tag, err = b.Cells.Load(ctx, key)
		return v, err
	})
	return value, tag, err
}

func (b *brokenCells) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	return around(ctx, b.f, "swap", key, func() (string, error) { return b.Cells.Swap(ctx, key, tag, value) })
}

// process is one more process on a store: logs of its own.
func process(t testing.TB, c log.Config) *log.Logs {
	l := log.New(c)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return l
}

// cheap makes statements that are as good as signed for a log, which does not
// look at signatures: it puts other payloads into a signed one.
type cheap struct {
	before, after []byte
	lineage       trust.Lineage
	id            feed.ID
	heads         map[string]signing.ID
}

func newCheap(a *feedtest.Author) *cheap { return newCheapBy(a, a.Space.Publisher) }

// newCheapBy makes statements as if by a leaf.
func newCheapBy(a *feedtest.Author, leaf *signing.Signer) *cheap {
	model := a.Draft(leaf, "file/model@1", nil, nil)
	b64 := base64.StdEncoding.EncodeToString(model.Payload())
	before, after, _ := bytes.Cut(model.Bytes(), []byte(b64))
	return &cheap{before, after, a.Space.Lineage(), a.ID, map[string]signing.ID{}}
}

// notes returns n submissions of an unknown kind, numbered from first on.
func (c *cheap) notes(t testing.TB, store *storage.Store, first, n int) []log.Submission {
	t.Helper()
	subs := make([]log.Submission, n)
	for i := range subs {
		predicate := fmt.Appendf(nil, `{"epoch":1,"feed":%q,"lineage":%q,"number":%d}`, c.id, c.lineage, first+i)
		subs[i] = c.submission(t, signing.Statement{Kind: "note", Subject: storage.DigestOf(predicate), SubjectName: "note", Predicate: predicate})
	}
	c.store(t, store, subs)
	return subs
}

// versions returns n publications, numbered from first on, of 100 names in turn.
func (c *cheap) versions(t testing.TB, store *storage.Store, first, n int) []log.Submission {
	t.Helper()
	subs := make([]log.Submission, n)
	for i := range subs {
		name := fmt.Sprintf("p%d", (first+i)%100)
		p := feed.Publication{Epoch: 1, Feed: c.id, Kind: "file", Lineage: c.lineage, ManifestSize: 9, Name: name,
			Time: "2026-02-03T04:05:06Z", Title: name, Version: fmt.Sprint(first + i)}
		if head, ok := c.heads[name]; ok {
			p.Previous = &head
		}
		st, err := p.Statement(storage.DigestOf([]byte(p.Version)))
		must(t, err)
		subs[i] = c.submission(t, st)
		c.heads[name] = subs[i].Entry.ID
	}
	c.store(t, store, subs)
	return subs
}

func (c *cheap) submission(t testing.TB, st signing.Statement) log.Submission {
	payload, err := st.Format()
	must(t, err)
	a, err := signing.ParseAttestation(append(base64.StdEncoding.AppendEncode(bytes.Clone(c.before), payload), c.after...))
	must(t, err)
	e, err := feed.ParseEntry(a.ID(), st)
	must(t, err)
	return log.Submission{Attestation: a, Entry: e}
}

func (c *cheap) store(t testing.TB, store *storage.Store, subs []log.Submission) {
	items := make([]storage.Item, len(subs))
	for i, s := range subs {
		items[i] = storage.Item{Ref: storage.RefOf(s.Attestation.Bytes()), Data: s.Attestation.Bytes()}
	}
	must(t, storage.PutAll(t.Context(), store.Objects(c.id.Space.String()), items))
}

// opened returns a log with its opening alone, and its author.
func opened(t testing.TB, store *storage.Store, logs *log.Logs) (*log.Log, *feedtest.Author) {
	t.Helper()
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	l := logs.Feed(a.ID)
	_, err := feedtest.Append(t.Context(), store, l, a.ID, a.Opening()...)
	must(t, err)
	return l, a
}

// entries reads a log back and checks that what it holds gives its checkpoint.
func entries(t testing.TB, l *log.Log) []signing.Attestation {
	t.Helper()
	h, err := l.Head(t.Context(), 0)
	must(t, err)
	var out []signing.Attestation
	var edge feed.Edge
	for n := int64(0); n*feed.SegmentSize < h.Checkpoint.Size; n++ {
		width := int(min(h.Checkpoint.Size-n*feed.SegmentSize, feed.SegmentSize))
		b, err := l.Segment(t.Context(), n, 0, width)
		must(t, err)
		s, err := feed.ParseSegment(b, n*feed.SegmentSize, width)
		must(t, err)
		for _, raw := range s.Statements {
			a, err := signing.ParseAttestation(raw)
			must(t, err)
			edge.Append(feed.LeafHash(a))
			out = append(out, a)
		}
	}
	if edge.Size() != h.Checkpoint.Size || edge.Root() != h.Checkpoint.Root {
		t.Fatalf("%d entries give root %s, the checkpoint says %d and %s", edge.Size(), edge.Root(), h.Checkpoint.Size, h.Checkpoint.Root)
	}
	return out
}

// reference is a tree as x/mod's tlog keeps one.
type reference struct {
	size   int64
	hashes []tlog.Hash
}

func (r *reference) add(t testing.TB, leaf tlog.Hash) {
	more, err := tlog.StoredHashesForRecordHash(r.size, leaf, r)
	must(t, err)
	r.hashes = append(r.hashes, more...)
	r.size++
}

func (r *reference) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = r.hashes[x]
	}
	return out, nil
}

// counter counts what happened, by name.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) add(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
	return c.n[what]
}

// of returns how often something happened.
func (c *counter) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

func must(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

// missing returns a store without the files that begin with prefix; the empty
// prefix takes away the objects instead.
func missing(s *storage.Store, prefix string) *storage.Store {
	return broken(s, func(_ context.Context, op, key string) (error, error) {
		file := op == "read" && prefix != "" && strings.HasPrefix(key, prefix)
		if file || op == "get" && prefix == "" {
			return fs.ErrNotExist, nil
		}
		return nil, nil
	})
}

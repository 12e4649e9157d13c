package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
)

// track is a feed that is worked on, and what its clients saw since the last window.
type track struct {
	s      *soak
	id     feed.ID
	author *feedtest.Author
	audit  *server.Server // reads the store without faults, each time

	// quiet is held for reading while something is asked, and for writing at the
	// end of a window.
	quiet sync.RWMutex

	mu      sync.Mutex
	ops     []*op
	content map[signing.ID]string // of what was drafted

	// Of the next window.
	from  time.Duration
	heads map[string]signing.ID
	loose map[signing.ID]*op
	edge  feed.Edge // of the log so far
	// indices are those of all entries so far.
	indices map[signing.ID]int64
	before  map[int64]tlog.Hash
}

func (s *soak) newTrack(n int) *track {
	t := &track{s: s, heads: map[string]signing.ID{}, loose: map[signing.ID]*op{}, content: map[signing.ID]string{}, indices: map[signing.ID]int64{}}
	t.author = feedtest.AuthorOf(s.t, s.space, fmt.Sprintf("feed-%d", n))
	t.author.Key = s.key
	t.id = t.author.ID
	cfg := s.direct
	cfg.Prefix = "soak"
	store, err := storage.OpenS3(s.t.Context(), cfg)
	must(s.t, err)
	t.audit = server.New(server.Config{Store: store, LogKey: s.key})
	s.t.Cleanup(func() { _ = t.audit.Close(); _ = store.Close() })
	_, err = t.audit.Publish(s.t.Context(), server.Operator, batchOf(t.id, t.author.Opening()))
	must(s.t, err)
	_, t.before, err = t.read(s.t.Context())
	must(s.t, err)
	t.from = s.now()
	return t
}

func batchOf(id feed.ID, statements []feedtest.Signed) feed.Batch {
	b := feed.Batch{Feed: id, Epoch: 1}
	for _, st := range statements {
		b.Statements = append(b.Statements, st.Attestation)
		for _, o := range st.Objects {
			b.Objects = append(b.Objects, feed.ContentOf(o))
		}
	}
	return b
}

// note keeps what a client saw.
func (t *track) note(o *op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ops = append(t.ops, o)
}

// wrote keeps what a statement's file holds.
func (t *track) wrote(id signing.ID, content string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.content[id] = content
}

// run ends window after window. The tracks do so one after the other, so that there
// is always something going on.
func (t *track) run(ctx context.Context) {
	random := t.s.random("windows of " + t.id.String())
	pause := time.Duration(random.Int64N(int64(t.s.window)))
	for sleep(ctx, pause) {
		t.s.broken(t.end())
		pause = t.s.window
	}
}

// end ends a window and checks it.
func (t *track) end() error {
	w, err := t.take()
	if err != nil {
		return fmt.Errorf("feed %s: %w", t.id, err)
	}
	t.s.tally.add("windows")
	t.s.tally.addN("operations", len(w.Ops))
	t.s.tally.max("operations of a window, at most", len(w.Ops))
	t.s.tally.addN("entries", len(w.Log))
	began := time.Now()
	if err := w.check(); err != nil {
		return fmt.Errorf("feed %s, %s to %s: %w", t.id, w.From.Round(time.Millisecond), w.To.Round(time.Millisecond), err)
	}
	t.s.tally.max("longest check in ms", int(time.Since(began).Milliseconds()))
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	t.s.tally.max("memory of the run in MiB, at most", int(memory.HeapInuse>>20))
	return nil
}

// take waits until nobody asks anything, and takes what was seen so far with the
// log as it lies in the store.
func (t *track) take() (*window, error) {
	t.quiet.Lock()
	defer t.quiet.Unlock()
	w := &window{From: t.from, Base: t.edge.Size(), Heads: t.heads, Loose: t.loose, Ops: t.ops}
	var err error
	var roots map[int64]tlog.Hash
	if w.Log, roots, err = t.read(context.Background()); err != nil {
		return nil, err
	}
	w.To = t.s.now()
	w.Roots = maps.Clone(t.before)
	maps.Copy(w.Roots, roots)
	t.from, t.ops, t.heads, t.loose, t.before = w.To, nil, w.heads(), w.loose(), roots
	return w, nil
}

// read reads the entries that are new in the store, and the roots with each of them.
func (t *track) read(ctx context.Context) ([]signing.ID, map[int64]tlog.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	source := t.audit.Local()
	head, err := source.Checkpoint(ctx, t.id)
	if err != nil {
		return nil, nil, err
	}
	if head, err = feed.OpenCheckpoint(head.Note, t.id.Origin(1), t.s.key.Public()); err != nil {
		return nil, nil, err
	}
	var ids []signing.ID
	edge := t.edge.Clone()
	roots := map[int64]tlog.Hash{edge.Size(): edge.Root()}
	for segment, err := range source.Segments(ctx, t.id, edge.Size(), head.Size) {
		if err != nil {
			return nil, nil, err
		}
		for i, stored := range segment.Statements {
			if segment.Start+int64(i) != edge.Size() {
				continue // known
			}
			a, err := signing.ParseAttestation(stored)
			if err != nil {
				return nil, nil, err
			}
			ids = append(ids, a.ID())
			t.indices[a.ID()] = edge.Size()
			edge.Append(feed.LeafHash(a))
			roots[edge.Size()] = edge.Root()
		}
	}
	if edge.Size() != head.Size || edge.Root() != head.Root {
		return nil, nil, errors.New("the entries in the store do not give the root that is signed")
	}
	t.edge = edge
	return ids, roots, nil
}

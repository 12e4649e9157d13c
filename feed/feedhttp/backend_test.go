package feedhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// backend is a small server without trust: it keeps what it is given in a
// store in memory and lets feed/log commit.
type backend struct {
	store *storage.Store
	logs  *log.Logs
	key   feed.LogKey

	// refuse makes every method fail, where it returns an error.
	refuse func(method string) error
	calls  atomic.Int64
	// inMemory makes Object answer with bytes, not with a stream.
	inMemory bool
	// closed keeps out who shows no credential.
	closed bool

	mu       sync.Mutex
	expected map[storage.Digest]int64
	spool    map[storage.Digest][]byte
}

var (
	_ feedhttp.Reader = (*backend)(nil)
	_ feedhttp.Writer = (*backend)(nil)
)

func newBackend(tb testing.TB) *backend {
	b := &backend{store: storage.Chunked(storage.NewMem()), key: feedtest.Key(1), inMemory: true,
		expected: map[storage.Digest]int64{}, spool: map[storage.Digest][]byte{}}
	b.logs = log.New(log.Config{Store: b.store, Key: b.key})
	tb.Cleanup(func() { b.logs.Close() })
	return b
}

func (b *backend) called(method string) error {
	b.calls.Add(1)
	if b.refuse == nil {
		return nil
	}
	return b.refuse(method)
}

// reads is the access rule of the backend.
func (b *backend) reads(c feedhttp.Caller) error {
	if b.closed && c.Role == feedhttp.Nobody {
		return feedhttp.ErrUnauthorized
	}
	return nil
}

func (b *backend) MayAppend(_ context.Context, c feedhttp.Caller, _ feed.ID) error {
	if b.closed && c.Role == feedhttp.Nobody {
		return feedhttp.ErrUnauthorized
	}
	return nil
}

// tokens is a feedhttp.Callers of whoever holds one of them.
type tokens map[string]feedhttp.Caller

func (t tokens) Identify(_ context.Context, shown feedhttp.Credentials) (feedhttp.Caller, error) {
	if shown.Token == "" {
		return feedhttp.Caller{}, nil
	}
	if c, ok := t[shown.Token]; ok {
		return c, nil
	}
	return feedhttp.Caller{}, feedhttp.ErrUnauthorized
}

func (t tokens) Enter(context.Context, feedhttp.Caller) error { return nil }

func (b *backend) LogKey(context.Context) ([]byte, error) {
	return b.key.Public(), b.called("LogKey")
}

func (b *backend) Feeds(ctx context.Context, c feedhttp.Caller, of []trust.Space) ([]feed.ID, error) {
	if err := b.called("Feeds"); err != nil {
		return nil, err
	}
	if err := b.reads(c); err != nil {
		return nil, err
	}
	return b.logs.List(ctx, of...)
}

func (b *backend) Head(ctx context.Context, c feedhttp.Caller, id feed.ID, least int64) (feed.Checkpoint, error) {
	if err := b.called("Head"); err != nil {
		return feed.Checkpoint{}, err
	}
	if err := b.reads(c); err != nil {
		return feed.Checkpoint{}, err
	}
	h, err := b.logs.Feed(id).Head(ctx, least)
	if err != nil {
		return feed.Checkpoint{}, err
	}
	return h.Checkpoint, nil
}

func (b *backend) Heads(ctx context.Context, c feedhttp.Caller, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	if err := b.called("Heads"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	wake := make(chan struct{}, 1)
	for first := true; ; first = false {
		out := map[feed.ID]feed.Checkpoint{}
		for id, size := range known {
			if head, err := b.Head(context.WithoutCancel(ctx), c, id, size); err == nil && head.Size != size {
				out[id] = head
			}
		}
		if len(out) > 0 || wait == 0 {
			return out, nil
		}
		if first {
			defer b.logs.Watch(slices.Collect(maps.Keys(known)), wake)()
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (b *backend) Part(ctx context.Context, c feedhttp.Caller, id feed.ID, p feedhttp.Part) (out []byte, err error) {
	if err := b.called("Part"); err != nil {
		return nil, err
	}
	if err := b.reads(c); err != nil {
		return nil, err
	}
	l := b.logs.Feed(id)
	switch p.Kind {
	case feedhttp.Segment:
		out, err = l.Segment(ctx, p.N, p.From, p.Width)
	case feedhttp.Pack:
		out, err = l.Pack(ctx, p.N, p.From, p.Width)
	case feedhttp.Entries:
		out, err = l.Entries(ctx, p.N, p.Width)
	default:
		out, err = l.Tile(ctx, p.Level, p.N, p.Width)
	}
	if errors.Is(err, log.ErrNotYet) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return out, err
}

func (b *backend) Chunks(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest) ([]byte, error) {
	if err := b.called("Chunks"); err != nil {
		return nil, err
	}
	chunker, ok := b.store.Objects(id.Space.String()).(storage.Chunker)
	if err := b.reads(c); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	x, err := chunker.Chunks(ctx, d)
	if err != nil {
		return nil, err
	}
	return x.Format()
}

func (b *backend) Delta(ctx context.Context, c feedhttp.Caller, id feed.ID, base, target storage.Digest) ([]byte, error) {
	if err := b.called("Delta"); err != nil {
		return nil, err
	}
	differ, ok := b.store.Objects(id.Space.String()).(storage.Differ)
	if err := b.reads(c); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	p, err := differ.Delta(ctx, base, target)
	return p.Format(), err
}

func (b *backend) Object(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest, _ feedhttp.Of, off int64) (feedhttp.Object, error) {
	if err := b.called("Object"); err != nil {
		return feedhttp.Object{}, err
	}
	if err := b.reads(c); err != nil {
		return feedhttp.Object{}, err
	}
	objects := b.store.Objects(id.Space.String())
	info, err := objects.Stat(ctx, d)
	if err != nil {
		return feedhttp.Object{}, err
	}
	r, err := objects.Get(ctx, d, off)
	if err != nil || !b.inMemory {
		return feedhttp.Object{ReadCloser: r, Size: info.Size}, err
	}
	r.Close()
	if r, err = objects.Get(ctx, d, 0); err != nil {
		return feedhttp.Object{}, err
	}
	all, err := io.ReadAll(r)
	return feedhttp.Object{Bytes: all, Size: info.Size}, err
}

func (b *backend) Expect(ctx context.Context, _ feedhttp.Caller, id feed.ID, statements []signing.Attestation, manifests [][]byte) ([]storage.Ref, error) {
	if err := b.called("Expect"); err != nil {
		return nil, err
	}
	batch := feed.Batch{Feed: id, Statements: statements}
	for _, m := range manifests {
		batch.Objects = append(batch.Objects, feed.ContentOf(m))
	}
	_, missing, err := b.examine(ctx, batch)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ref := range missing {
		b.expected[ref.Digest] = ref.Size
	}
	return missing, err
}

func (b *backend) Offset(_ context.Context, _ feedhttp.Caller, _ feed.ID, d storage.Digest) (int64, error) {
	if err := b.called("Offset"); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.expected[d]; !ok {
		return 0, fmt.Errorf("upload of %s is not expected: %w", d, fs.ErrNotExist)
	}
	return int64(len(b.spool[d])), nil
}

func (b *backend) Upload(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest, off int64, r io.Reader) (int64, error) {
	have, err := b.Offset(ctx, c, id, d)
	if err != nil {
		return 0, err
	}
	if off != have {
		return have, &feedhttp.OffsetError{Want: have}
	}
	got, readErr := io.ReadAll(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := int64(len(b.spool[d])); now != off {
		return now, &feedhttp.OffsetError{Want: now} // another request was faster
	}
	b.spool[d] = append(b.spool[d], got...)
	now := int64(len(b.spool[d]))
	if readErr != nil || now < b.expected[d] {
		return now, readErr
	}
	ref := storage.Ref{Digest: d, Size: b.expected[d]}
	return now, b.store.Objects(id.Space.String()).Put(ctx, ref, bytes.NewReader(b.spool[d]))
}

func (b *backend) Publish(ctx context.Context, _ feedhttp.Caller, batch feed.Batch) (feed.Accepted, error) {
	if err := b.called("Publish"); err != nil {
		return feed.Accepted{}, err
	}
	subs, missing, err := b.examine(ctx, batch)
	if err != nil {
		return feed.Accepted{}, err
	}
	if len(missing) > 0 {
		return feed.Accepted{}, &feed.MissingError{Objects: missing}
	}
	objects := b.store.Objects(batch.Feed.Space.String())
	for _, o := range batch.Objects {
		r, err := o.Open(0)
		if err != nil {
			return feed.Accepted{}, err
		}
		if err := objects.Put(ctx, o.Ref, r); err != nil {
			return feed.Accepted{}, err
		}
	}
	for _, st := range batch.Statements {
		if err := objects.Put(ctx, storage.RefOf(st.Bytes()), bytes.NewReader(st.Bytes())); err != nil {
			return feed.Accepted{}, err
		}
	}
	return b.logs.Feed(batch.Feed).Append(ctx, batch.Epoch, subs)
}

// examine reads a batch and finds what it names that is nowhere.
func (b *backend) examine(ctx context.Context, batch feed.Batch) (subs []log.Submission, missing []storage.Ref, err error) {
	given := map[storage.Digest]feed.Content{}
	for _, o := range batch.Objects {
		given[o.Digest] = o
	}
	objects := b.store.Objects(batch.Feed.Space.String())
	need := func(ref storage.Ref) bool {
		_, ok := given[ref.Digest]
		if _, err := objects.Stat(ctx, ref.Digest); err == nil || ok {
			return false
		}
		missing = append(missing, ref)
		return true
	}
	for _, a := range batch.Statements {
		st, err := signing.ParseStatement(a.Payload())
		if err != nil {
			return nil, nil, err
		}
		entry, err := feed.ParseEntry(a.ID(), st)
		if err != nil {
			return nil, nil, err
		}
		subs = append(subs, log.Submission{Attestation: a, Entry: entry})
		if entry.What != feed.IsPublication || need(storage.Ref{Digest: entry.Manifest, Size: entry.ManifestSize}) {
			continue
		}
		raw, err := b.read(ctx, objects, given, entry.Manifest)
		if err != nil {
			return nil, nil, err
		}
		m, err := feed.ParseManifest(raw)
		if err != nil {
			return nil, nil, err
		}
		for _, layer := range m.Layers {
			need(layer.Ref)
		}
	}
	return subs, missing, nil
}

func (b *backend) read(ctx context.Context, objects storage.Objects, given map[storage.Digest]feed.Content, d storage.Digest) ([]byte, error) {
	var r io.ReadCloser
	var err error
	if o, ok := given[d]; ok {
		r, err = o.Open(0)
	} else {
		r, err = objects.Get(ctx, d, 0)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// put stores an object directly.
func (b *backend) put(tb testing.TB, id feed.ID, data []byte) storage.Digest {
	tb.Helper()
	ref := storage.RefOf(data)
	if err := b.store.Objects(id.Space.String()).Put(tb.Context(), ref, bytes.NewReader(data)); err != nil {
		tb.Fatal(err)
	}
	return ref.Digest
}

// putLarge keeps a payload that is cut, and the delta to it from another; it
// returns the payload, and the delta's two ends as they stand in a path.
func (b *backend) putLarge(tb testing.TB, id feed.ID) (payload, delta string) {
	tb.Helper()
	data := storetest.Text(1, 2<<20)
	base, target := b.put(tb, id, data), b.put(tb, id, append(data[:1<<20:1<<20], append([]byte("an edit"), data[1<<20:]...)...))
	if _, err := b.store.Objects(id.Space.String()).(storage.Differ).KeepDelta(tb.Context(), base, target); err != nil {
		tb.Fatal(err)
	}
	return target.Hex(), base.Hex() + "/" + target.Hex()
}

// batchOf makes a batch of what an author signed.
func batchOf(a *feedtest.Author, signed ...feedtest.Signed) feed.Batch {
	b := feed.Batch{Feed: a.ID, Epoch: a.Epoch}
	seen := map[storage.Digest]bool{}
	for _, s := range signed {
		b.Statements = append(b.Statements, s.Attestation)
		for _, o := range s.Objects {
			if d := storage.DigestOf(o); !seen[d] {
				seen[d] = true
				b.Objects = append(b.Objects, feed.ContentOf(o))
			}
		}
	}
	return b
}

// fill opens the author's feed in the backend and publishes n packages.
func (b *backend) fill(tb testing.TB, a *feedtest.Author, n int) {
	tb.Helper()
	signed := a.Opening()
	for i := range n {
		signed = append(signed, a.Publish(fmt.Sprintf("file/item-%d@1", i)))
	}
	if _, err := b.Publish(tb.Context(), feedhttp.Caller{}, batchOf(a, signed...)); err != nil {
		tb.Fatal(err)
	}
}

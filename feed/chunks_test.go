package feed_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/storage/storetest"
)

// chunkTape is a tape with large payloads in chunks. It counts what is read of
// them.
type chunkTape struct {
	*feedtest.Tape
	store  *storage.Store
	chunks func(*storage.ChunkIndex) (*storage.ChunkIndex, error) // nil tells the truth
	delta  func(storage.Ref, error) (storage.Ref, error)          // likewise
	read   int64                                                  // bytes of frames and deltas
	whole  int                                                    // payloads asked for whole
}

const chunkSpace = "acme/dev-qa"

func (c *chunkTape) Chunks(ctx context.Context, _ feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	x, err := c.store.Objects(chunkSpace).(storage.Chunker).Chunks(ctx, d)
	if err == nil && c.chunks != nil {
		return c.chunks(x)
	}
	return x, err
}

func (c *chunkTape) Delta(ctx context.Context, _ feed.ID, base, target storage.Digest) (storage.Ref, error) {
	p, err := c.store.Objects(chunkSpace).(storage.Differ).Delta(ctx, base, target)
	if c.delta != nil {
		return c.delta(p.To, err)
	}
	return p.To, err
}

// keepDelta makes the source keep a delta.
func (c *chunkTape) keepDelta(t *testing.T, base, target []byte) storage.Pointer {
	t.Helper()
	p, err := c.store.Objects(chunkSpace).(storage.Differ).KeepDelta(t.Context(), storage.DigestOf(base), storage.DigestOf(target))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (c *chunkTape) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, err := c.Tape.Object(ctx, id, d, off)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if _, err := c.store.Objects(chunkSpace).(storage.Chunker).Chunks(ctx, d); err == nil {
		c.whole++
	}
	r, err = c.store.Objects(chunkSpace).Get(ctx, d, off)
	if err != nil {
		return nil, err
	}
	return &counting{r, &c.read}, nil
}

type counting struct {
	io.ReadCloser
	n *int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	*c.n += int64(n)
	return n, err
}

// large publishes payloads as versions of one package, and returns the tape and
// the follower's state.
func large(t *testing.T, payloads ...[]byte) (*feedtest.Author, *chunkTape, *feed.State) {
	t.Helper()
	a, tape := example(t)
	c := &chunkTape{Tape: tape, store: storage.Chunked(storage.NewMem())}
	for i, data := range payloads {
		name := string(rune('1' + i))
		tape.Add(a.Publish("file/big@"+name, feedtest.File{Path: "big", Data: data}))
		tape.Forget(storage.DigestOf(data))
		if err := c.store.Objects(chunkSpace).Put(t.Context(), storage.RefOf(data), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := sync(t, a.Follower(c), a.ID)
	return a, c, s
}

// take fetches the last package of the tape with what is here already.
func take(t *testing.T, a *feedtest.Author, c *chunkTape, s *feed.State, base *feed.Base) ([]byte, error) {
	t.Helper()
	return takeBy(t, a, c, s, base, func(p *feed.Package) (io.ReadCloser, error) { return p.Open(t.Context(), 0) })
}

func takeBy(t *testing.T, a *feedtest.Author, c *chunkTape, s *feed.State, base *feed.Base, open func(*feed.Package) (io.ReadCloser, error)) ([]byte, error) {
	t.Helper()
	f := a.Follower(c)
	f.Bases = func(feed.Ref, string) (feed.Base, bool) {
		if base == nil {
			return feed.Base{}, false
		}
		return *base, true
	}
	var got []byte
	err := f.Fetch(t.Context(), s, []feed.Row{s.Index.Row(s.Index.Size() - 1)}, func(p *feed.Package) error {
		r, err := open(p)
		if err != nil {
			return err
		}
		defer r.Close()
		got, err = io.ReadAll(r)
		return err
	})
	return got, err
}

func baseOf(data []byte) *feed.Base {
	return &feed.Base{Ref: storage.RefOf(data), ReaderAt: bytes.NewReader(data), Closer: io.NopCloser(nil)}
}

// A payload comes as its frames; with an earlier one at hand, as those that it
// does not have.
func TestLargePayloads(t *testing.T) {
	old := storetest.Text(1, 4<<20)
	next := bytes.Join([][]byte{old[:1<<20], old[1<<20:]}, []byte("an edit"))
	a, c, s := large(t, old, next)
	if got, err := take(t, a, c, s, nil); err != nil || !bytes.Equal(got, next) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	all := c.read
	if c.whole > 0 || all > int64(len(next))/2 {
		t.Errorf("%d bytes were read, %d payloads whole", all, c.whole)
	}
	c.read = 0
	if got, err := take(t, a, c, s, baseOf(old)); err != nil || !bytes.Equal(got, next) {
		t.Fatalf("with a base: %d bytes, %v", len(got), err)
	}
	if c.read > all/5 {
		t.Errorf("with a base %d of %d bytes were read", c.read, all)
	}

	// A base that was changed, or is another file, does no harm.
	changed := bytes.Clone(old)
	for i := range changed {
		changed[i] ^= 1
	}
	for name, base := range map[string]*feed.Base{
		"changed": {Ref: storage.RefOf(old), ReaderAt: bytes.NewReader(changed), Closer: io.NopCloser(nil)},
		"cut off": {Ref: storage.RefOf(old), ReaderAt: bytes.NewReader(old[:2<<20]), Closer: io.NopCloser(nil)},
		"unknown": baseOf(storetest.Text(9, 2<<20)),
	} {
		if got, err := take(t, a, c, s, base); err != nil || !bytes.Equal(got, next) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// What a source says of chunks decides nothing: the payload comes, or an error.
func TestLargePayloadsLies(t *testing.T) {
	old := storetest.Text(1, 2<<20)
	next := bytes.Join([][]byte{old[:1<<20], old[1<<20:]}, []byte("an edit"))
	a, c, s := large(t, old, next)
	of := storage.DigestOf(next)
	for name, lie := range map[string]func(x *storage.ChunkIndex) error{
		"another payload": func(x *storage.ChunkIndex) error { x.Payload.Digest = storage.Digest{1}; return nil },
		"another size":    func(x *storage.ChunkIndex) error { x.Payload.Size--; return nil },
		"other frames":    func(x *storage.ChunkIndex) error { x.Frames.Digest = storage.Digest{1}; return nil },
		"chunks moved": func(x *storage.ChunkIndex) error {
			x.Chunks[0], x.Chunks[1] = x.Chunks[1], x.Chunks[0]
			return nil
		},
		"chunks of the base": func(x *storage.ChunkIndex) error {
			base, err := c.store.Objects(chunkSpace).(storage.Chunker).Chunks(t.Context(), storage.DigestOf(old))
			x.Chunks, x.Frames = base.Chunks, base.Frames
			return err
		},
		"nothing": func(*storage.ChunkIndex) error { return errors.New("no answer") },
	} {
		c.chunks = func(x *storage.ChunkIndex) (*storage.ChunkIndex, error) {
			if x.Payload.Digest != of {
				return x, nil
			}
			return x, lie(x)
		}
		for _, base := range []*feed.Base{nil, baseOf(old)} {
			got, err := take(t, a, c, s, base)
			if err == nil || strings.HasPrefix(name, "another ") && !errors.Is(err, feed.ErrMalformed) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	}
	c.chunks = func(*storage.ChunkIndex) (*storage.ChunkIndex, error) { return nil, fs.ErrNotExist }
	if got, err := take(t, a, c, s, nil); err != nil || !bytes.Equal(got, next) || c.whole == 0 {
		t.Errorf("without an index: %d bytes, %v", len(got), err)
	}
}

package feed_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/storage/storetest"
)

var errNoDelta = errors.New("no delta")

// takeDelta fetches the last package of the tape by a delta.
func takeDelta(t *testing.T, a *feedtest.Author, c *chunkTape, s *feed.State, base *feed.Base) ([]byte, error) {
	t.Helper()
	return takeBy(t, a, c, s, base, func(p *feed.Package) (io.ReadCloser, error) {
		if r := p.OpenDelta(t.Context(), 0); r != nil {
			return r, nil
		}
		return nil, errNoDelta
	})
}

// A payload comes as a delta, of which much less is read than of frames.
func TestOpenDelta(t *testing.T) {
	old := storetest.Text(1, 4<<20)
	next := bytes.Join([][]byte{old[:1<<20], old[1<<20:]}, []byte("an edit"))
	a, c, s := large(t, old, next)
	if _, err := takeDelta(t, a, c, s, baseOf(old)); !errors.Is(err, errNoDelta) {
		t.Errorf("where the source has none: %v", err)
	}
	p := c.keepDelta(t, old, next)
	if got, err := takeDelta(t, a, c, s, baseOf(old)); err != nil || !bytes.Equal(got, next) || c.read != p.To.Size {
		t.Errorf("%d bytes, %v; %d were read of a delta of %d", len(got), err, c.read, p.To.Size)
	}
	if _, err := takeDelta(t, a, c, s, nil); !errors.Is(err, errNoDelta) {
		t.Errorf("without a base: %v", err)
	}
	if _, err := takeDelta(t, a, c, s, baseOf(storetest.Text(9, 2<<20))); !errors.Is(err, errNoDelta) {
		t.Errorf("with another base: %v", err)
	}
	small := baseOf([]byte("small"))
	if _, err := takeDelta(t, a, c, s, small); !errors.Is(err, errNoDelta) {
		t.Errorf("with a small base: %v", err)
	}
}

// Whatever is wrong with a delta or its base: the payload comes out of it or an
// error, nothing is held on to, and Open has the payload.
func TestOpenDeltaLies(t *testing.T) {
	old := storetest.Text(1, 3<<20)
	next := bytes.Join([][]byte{old[:1<<20], old[1<<20:]}, []byte("an edit"))
	third := bytes.Join([][]byte{old[:2<<20], old[2<<20:]}, []byte("another"))
	a, c, s := large(t, old, third, next)
	good := c.keepDelta(t, old, next).To
	toOther := c.keepDelta(t, old, third).To
	fromOther := c.keepDelta(t, third, next).To
	raw, err := storage.Read(t.Context(), c.store.Objects(chunkSpace), good)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(b []byte) storage.Ref {
		ref := storage.RefOf(b)
		if err := c.store.Objects(chunkSpace).Put(t.Context(), ref, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		return ref
	}
	damaged := bytes.Clone(raw)
	damaged[len(damaged)-1] ^= 1
	for name, tell := range map[string]storage.Ref{
		"to another payload":    toOther,
		"from another base":     fromOther,
		"damaged":               keep(damaged),
		"cut off":               keep(raw[:len(raw)-1]),
		"cut off in its head":   keep(raw[:100]),
		"none":                  keep([]byte("no delta")),
		"another size":          {Digest: good.Digest, Size: good.Size - 1},
		"larger than it may be": {Digest: good.Digest, Size: int64(len(next)) + 1}, // not even asked for
		"not there":             {Digest: storage.Digest{1}, Size: good.Size},
	} {
		c.delta = func(storage.Ref, error) (storage.Ref, error) { return tell, nil }
		got, err := takeDelta(t, a, c, s, baseOf(old))
		if err == nil || name == "larger than it may be" && !errors.Is(err, errNoDelta) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	c.delta = func(storage.Ref, error) (storage.Ref, error) { return storage.Ref{}, errors.New("no answer") }
	if _, err := takeDelta(t, a, c, s, baseOf(old)); !errors.Is(err, errNoDelta) {
		t.Errorf("no answer: %v", err)
	}
	c.delta = nil

	changed := bytes.Clone(old)
	changed[len(changed)/2] ^= 1
	for name, base := range map[string]*feed.Base{
		"changed": {Ref: storage.RefOf(old), ReaderAt: bytes.NewReader(changed), Closer: io.NopCloser(nil)},
		"cut off": {Ref: storage.RefOf(old), ReaderAt: bytes.NewReader(old[:2<<20]), Closer: io.NopCloser(nil)},
	} {
		if got, err := takeDelta(t, a, c, s, base); !errors.Is(err, storage.ErrBase) {
			t.Errorf("%s base: %d bytes, %v", name, len(got), err)
		}
	}
	if got, err := take(t, a, c, s, baseOf(old)); err != nil || !bytes.Equal(got, next) {
		t.Errorf("Open: %d bytes, %v", len(got), err)
	}
	if got, err := takeDelta(t, a, c, s, baseOf(old)); err != nil || !bytes.Equal(got, next) {
		t.Errorf("the delta as it is: %d bytes, %v", len(got), err)
	}
}

// Of several files the one at the same path is the base, else the largest.
func TestBaseFor(t *testing.T) {
	const large = storage.ChunkAbove + 1
	type file struct {
		path string
		size int64
	}
	for _, c := range []struct {
		files []file
		want  string
	}{
		{nil, ""},
		{[]file{{"a", 1}}, ""},
		{[]file{{"a", large}}, "a"},
		{[]file{{"a", large}, {"b", large + 1}, {"c", large}}, "b"},
		{[]file{{"b", large + 1}, {"x", large}}, "x"},
		{[]file{{"b", large}, {"x", 1}}, ""}, // x was small, and is another file than b
	} {
		got := ""
		if f := feed.BaseFor("x", c.files, func(f *file) (string, storage.Ref) { return f.path, storage.Ref{Size: f.size} }); f != nil {
			got = f.path
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.files, got, c.want)
		}
	}
}

package apply

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"airlock/feed"
	"airlock/storage"
	"airlock/storage/storetest"
)

// largeShelf is a shelf with its large payloads in chunks, and with deltas. It
// counts what is read of whole payloads, frames and deltas.
type largeShelf struct {
	*shelf
	store storage.Objects
	delta func(base, target storage.Digest) (storage.Ref, error)
	read  map[storage.Digest]int64
}

func (l *largeShelf) Chunks(ctx context.Context, _ feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	return l.store.(storage.Chunker).Chunks(ctx, d)
}

func (l *largeShelf) Delta(_ context.Context, _ feed.ID, base, target storage.Digest) (storage.Ref, error) {
	return l.delta(base, target)
}

func (l *largeShelf) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, err := l.shelf.Object(ctx, id, d, off)
	if err != nil {
		r, err = l.store.Get(ctx, d, off)
	}
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r, writes(func(p []byte) { l.read[d] += int64(len(p)) })), r}, nil
}

type writes func(p []byte)

func (w writes) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// publishLarge adds a package of one file whose bytes only the chunks have.
func (l *largeShelf) publishLarge(ref string, data []byte) {
	l.tb.Helper()
	l.publish(ref, files{"big": string(data)})
	delete(l.objects, storage.DigestOf(data))
	ok(l.tb, l.store.Put(l.tb.Context(), storage.RefOf(data), bytes.NewReader(data)))
}

// pullLarge pulls everything into d.
func (l *largeShelf) pullLarge(d *Dir) error {
	l.tb.Helper()
	ctx := l.tb.Context()
	clear(l.read)
	installed, err := d.Installed(ctx, l.id)
	ok(l.tb, err)
	plan := Plan(l.id, Choose(l.state(), anyone(), Selection{}, testNow), installed, Consent{Force: d.Force})
	return d.Apply(ctx, Sync{l.id, l.head(), plan, func(ctx context.Context, rows []feed.Row, each func(*feed.Package) error) error {
		f := &feed.Follower{Source: l, Bases: d.Bases(installed)}
		return f.Fetch(ctx, &feed.State{ID: l.id}, rows, each)
	}})[0].Err
}

// A new version comes as a delta to the file that is there. Where the delta or
// that file is not what it should be, the frames bring the same bytes.
func TestLargeFiles(t *testing.T) {
	old := storetest.Text(1, 3<<20)
	next := bytes.Join([][]byte{old[:1<<20], old[1<<20:]}, []byte("an edit"))
	for name, c := range map[string]struct {
		spoil    func(l *largeShelf, d *Dir, good storage.Ref) storage.Ref // nil spoils nothing
		byFrames bool
	}{
		"delta": {},
		"delta to another payload": {func(l *largeShelf, _ *Dir, _ storage.Ref) storage.Ref {
			third := append([]byte("another"), old...)
			ok(t, l.store.Put(t.Context(), storage.RefOf(third), bytes.NewReader(third)))
			p, err := l.store.(storage.Differ).KeepDelta(t.Context(), storage.DigestOf(old), storage.DigestOf(third))
			ok(t, err)
			return p.To
		}, true},
		"delta that ends too early": {func(l *largeShelf, _ *Dir, good storage.Ref) storage.Ref {
			raw, err := storage.Read(t.Context(), l.store, good)
			ok(t, err)
			cut := raw[:len(raw)-1]
			ok(t, l.store.Put(t.Context(), storage.RefOf(cut), bytes.NewReader(cut)))
			return storage.RefOf(cut)
		}, true},
		"no delta": {func(*largeShelf, *Dir, storage.Ref) storage.Ref { return storage.Ref{Digest: storage.Digest{1}} }, true},
		"base changed": {func(_ *largeShelf, d *Dir, good storage.Ref) storage.Ref {
			changed := bytes.Clone(old)
			changed[2<<20] ^= 1
			write(t, filepath.Join(d.path, "file", "a", "big"), string(changed))
			return good
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := &largeShelf{shelf: newShelf(t, "acme/dev-qa/shared"), read: map[storage.Digest]int64{},
				store: storage.Chunked(storage.NewMem()).Objects("acme/dev-qa")}
			l.delta = func(base, target storage.Digest) (storage.Ref, error) {
				p, err := l.store.(storage.Differ).Delta(t.Context(), base, target)
				return p.To, err
			}
			d := openDir(t, t.TempDir())
			d.Force = true
			l.publishLarge("file/a@1", old)
			ok(t, l.pullLarge(d))
			l.publishLarge("file/a@2", next)
			p, err := l.store.(storage.Differ).KeepDelta(t.Context(), storage.DigestOf(old), storage.DigestOf(next))
			ok(t, err)
			if c.spoil != nil {
				tell := c.spoil(l, d, p.To)
				l.delta = func(storage.Digest, storage.Digest) (storage.Ref, error) { return tell, nil }
			}
			ok(t, l.pullLarge(d))
			if got := plainTree(t, d.path)["file/a/big"]; got != string(next) {
				t.Errorf("%d bytes lie there, want %d others", len(got), len(next))
			}
			x, err := l.Chunks(t.Context(), l.id, storage.DigestOf(next))
			ok(t, err)
			if frames := l.read[x.Frames.Digest]; frames > 0 != c.byFrames {
				t.Errorf("%d bytes of frames were read", frames)
			}
		})
	}
}

// TestHolding opens what a folder has of feeds by digest, and nothing else.
func TestHolding(t *testing.T) {
	s := newShelf(t, "acme/dev-qa/shared")
	s.publish("file/a@1", files{"a.txt": "alpha", "sub/b.txt": "beta"})
	d := openDir(t, filepath.Join(t.TempDir(), "conf"))
	s.mustPull(d, false)
	other := s.id
	other.Name = "tools"
	for _, c := range []struct {
		ids  []feed.ID
		text string
		want bool
	}{{[]feed.ID{s.id}, "alpha", true}, {[]feed.ID{other, s.id}, "beta", true}, {[]feed.ID{other}, "alpha", false}, {[]feed.ID{s.id}, "gamma", false}} {
		open, err := d.Holding(t.Context(), c.ids)
		ok(t, err)
		r, size, closer, err := open(storage.DigestOf([]byte(c.text)))
		if !c.want {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of %v: %v", c.text, c.ids, err)
			}
			continue
		}
		ok(t, err)
		got, err := io.ReadAll(io.NewSectionReader(r, 0, size))
		if string(got) != c.text || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, c.text)
		}
		ok(t, closer.Close())
	}
}

package storetest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"sync"
	"testing"
	"testing/iotest"

	"airlock/storage"
)

// sizes reach over every border inside a store: nothing, one piece, several,
// and more than what is held in memory.
var sizes = []int{0, 1, 4093, 256 << 10, 256<<10 + 1, 1<<20 + 1, 3<<20 + 7}

func objectsGet(t *testing.T, s *storage.Store) {
	o := s.Objects(space)
	for _, size := range sizes {
		data := Random(uint64(size), size)
		ref := put(t, o, data)
		wantObject(t, o, data)
		info, err := o.Stat(t.Context(), ref.Digest)
		if err != nil || info.Size != ref.Size || info.Modified.IsZero() {
			t.Errorf("stat of %d bytes: %+v, %v", size, info, err)
		}
		for _, off := range []int{1, size / 2, size - 1, size} {
			if off >= 0 && off <= size {
				wantFrom(t, o, ref.Digest, data, off)
			}
		}
		for _, off := range []int64{-1, ref.Size + 1} {
			_, err := o.Get(t.Context(), ref.Digest, off)
			wantErr(t, "offset outside", err, storage.ErrRange)
		}
	}
}

// objectsText has payloads that may be kept compressed.
func objectsText(t *testing.T, s *storage.Store) {
	o := s.Objects(space)
	for _, size := range []int{100 << 10, 1<<20 + 1, 3<<20 + 7} {
		data := Text(uint64(size), size)
		ref := put(t, o, data)
		put(t, o, data)
		wantObject(t, o, data)
		info, err := o.Stat(t.Context(), ref.Digest)
		if err != nil || info.Size != ref.Size || info.Modified.IsZero() {
			t.Errorf("stat of %d bytes: %+v, %v", size, info, err)
		}
		for off := 1; off <= size; off += size/7 + 1 {
			wantFrom(t, o, ref.Digest, data, off)
		}
		wantFrom(t, o, ref.Digest, data, size)
		_, err = o.Get(t.Context(), ref.Digest, ref.Size+1)
		wantErr(t, "offset outside", err, storage.ErrRange)
		other := bytes.Clone(data)
		other[0] ^= 1
		wantErrAs[*storage.DigestError](t, "other bytes", o.Put(t.Context(), storage.Ref{Digest: storage.Digest{1}, Size: ref.Size}, bytes.NewReader(other)))
		_, err = o.Get(t.Context(), storage.Digest{1}, 0)
		wantErr(t, "get what was refused", err, fs.ErrNotExist)
	}
}

func wantFrom(t *testing.T, o storage.Objects, d storage.Digest, data []byte, off int) {
	t.Helper()
	body, err := o.Get(t.Context(), d, int64(off))
	if err != nil {
		t.Fatalf("get %d bytes from %d: %v", len(data), off, err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data[off:]) {
		t.Errorf("from %d: got %d bytes, %v, want %d", off, len(got), err, len(data)-off)
	}
}

func objectsWrong(t *testing.T, s *storage.Store) {
	o := s.Objects(space)
	broken := errors.New("line dropped")
	for _, size := range []int{10, 300 << 10, 2 << 20} {
		data := Random(uint64(size), size)
		ref := storage.RefOf(data)
		other := bytes.Clone(data)
		other[size-1] ^= 1
		wantErrAs[*storage.DigestError](t, "other bytes", o.Put(t.Context(), ref, bytes.NewReader(other)))
		wantErrAs[*storage.SizeError](t, "too few", o.Put(t.Context(), ref, bytes.NewReader(data[:size-1])))
		wantErrAs[*storage.SizeError](t, "too many", o.Put(t.Context(), ref, bytes.NewReader(append(other, 0))))
		short := storage.Ref{Digest: ref.Digest, Size: -1}
		wantErrAs[*storage.SizeError](t, "negative size", o.Put(t.Context(), short, bytes.NewReader(nil)))
		cut := io.MultiReader(bytes.NewReader(data[:size/2]), iotest.ErrReader(broken))
		wantErr(t, "broken reader", o.Put(t.Context(), ref, cut), broken)

		_, err := o.Get(t.Context(), ref.Digest, 0)
		wantErr(t, "get after all that", err, fs.ErrNotExist)
		_, err = o.Stat(t.Context(), ref.Digest)
		wantErr(t, "stat after all that", err, fs.ErrNotExist)
		put(t, o, data)
		wantObject(t, o, data)
	}
}

func objectsAgain(t *testing.T, s *storage.Store) {
	o := s.Objects(space)
	for _, size := range []int{0, 100, 300 << 10} {
		data := Random(7, size)
		ref := put(t, o, data)
		first, err := o.Stat(t.Context(), ref.Digest)
		if err != nil {
			t.Fatal(err)
		}
		put(t, o, data)
		second, err := o.Stat(t.Context(), ref.Digest)
		if err != nil || second.Modified.Before(first.Modified) {
			t.Errorf("dated %v, put again %v, %v", first.Modified, second.Modified, err)
		}
		if size > 0 {
			err := o.Put(t.Context(), ref, bytes.NewReader(Random(8, size)))
			wantErrAs[*storage.DigestError](t, "other bytes for an object that is there", err)
		}
		wantObject(t, o, data)
	}
}

func objectsSpaces(t *testing.T, s *storage.Store) {
	data := []byte("of one Space only")
	ref := put(t, s.Objects(space), data)
	_, err := s.Objects("acme/production").Get(t.Context(), ref.Digest, 0)
	wantErr(t, "another Space", err, fs.ErrNotExist)
	for _, bad := range []string{"", "acme", "acme/", "/dev", "acme/../dev", "../dev", "a/b/c", "Acme/dev"} {
		o := s.Objects(bad)
		wantErrAs[*storage.KeyError](t, "put in "+bad, o.Put(t.Context(), ref, bytes.NewReader(data)))
		_, err := o.Get(t.Context(), ref.Digest, 0)
		wantErrAs[*storage.KeyError](t, "get from "+bad, err)
	}
}

func objectsBatch(t *testing.T, s *storage.Store) {
	o := s.Objects(space)
	var items []storage.Item
	for i := range 60 {
		data := Random(uint64(i%50), 10*i%50) // some twice
		items = append(items, storage.Item{Ref: storage.RefOf(data), Data: data})
	}
	for range 2 {
		if err := storage.PutAll(t.Context(), o, items); err != nil {
			t.Fatal(err)
		}
	}
	for _, it := range items {
		wantObject(t, o, it.Data)
	}
	if err := storage.PutAll(t.Context(), o, nil); err != nil {
		t.Errorf("empty batch: %v", err)
	}
	bad := []byte("not what it says")
	err := storage.PutAll(t.Context(), o, []storage.Item{{Ref: storage.Ref{Size: int64(len(bad))}, Data: bad}})
	wantErrAs[*storage.DigestError](t, "wrong item", err)
	err = storage.PutAll(t.Context(), o, []storage.Item{{Ref: storage.RefOf(bad), Data: bad[1:]}})
	wantErrAs[*storage.SizeError](t, "short item", err)
	_, err = o.Stat(t.Context(), storage.DigestOf(bad))
	wantErr(t, "stat of a refused item", err, fs.ErrNotExist)
}

func objectsAtOnce(t *testing.T, s *storage.Store) {
	o := s.Objects(space)
	data := Random(1, 400<<10)
	ref := storage.RefOf(data)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := o.Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
				t.Errorf("put: %v", err)
			}
			if _, err := o.Stat(t.Context(), ref.Digest); err != nil {
				t.Errorf("stat: %v", err)
			}
		})
	}
	wg.Wait()
	wantObject(t, o, data)
	_, err := o.Get(t.Context(), storage.Digest{}, 0)
	wantErr(t, "zero digest", err, fs.ErrNotExist)
}

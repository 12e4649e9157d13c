package storage_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"airlock/storage"
	"airlock/storage/storetest"
)

// applyKept applies the delta that a store keeps between two payloads.
func applyKept(t *testing.T, o storage.Objects, p storage.Pointer, base []byte) ([]byte, error) {
	t.Helper()
	raw, err := storage.Read(t.Context(), o, p.To)
	if err != nil {
		t.Fatal(err)
	}
	return applyDelta(t, raw, base)
}

// A delta is kept where it saves something, once, and found again.
func TestKeepDelta(t *testing.T) {
	old := storetest.Text(1, 4<<20)
	next := bytes.Join([][]byte{old[:1<<20], old[1<<20 : 3<<20], old[3<<20+100:]}, []byte("an edit"))
	base, target := storage.DigestOf(old), storage.DigestOf(next)
	for name, plain := range map[string]*storage.Store{"mem": storage.NewMem(), "dir": openDir(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			o := storage.Chunked(plain).Objects(chunkSpace)
			differ := o.(storage.Differ)
			for _, data := range [][]byte{old, next} {
				if err := o.Put(t.Context(), storage.RefOf(data), bytes.NewReader(data)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := differ.Delta(t.Context(), base, target); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("before there is one: %v", err)
			}
			p, err := differ.KeepDelta(t.Context(), base, target)
			if err != nil {
				t.Fatal(err)
			}
			if p.Payload != int64(len(next)) || p.To.Size > 20_000 {
				t.Errorf("kept %+v", p)
			}
			if got, err := applyKept(t, o, p, old); err != nil || !bytes.Equal(got, next) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if found, err := differ.Delta(t.Context(), base, target); err != nil || found != p {
				t.Errorf("found %+v, %v", found, err)
			}
			if again, err := differ.KeepDelta(t.Context(), base, target); err != nil || again != p {
				t.Errorf("again %+v, %v", again, err)
			}
		})
	}
}

// What saves too little, or cannot be made, is not kept.
func TestKeepDeltaNot(t *testing.T) {
	plain := storage.NewMem()
	o := storage.Chunked(plain).Objects(chunkSpace)
	old, noise, small := storetest.Text(1, 2<<20), storetest.Random(3, 2<<20), []byte("small")
	for _, data := range [][]byte{old, noise, small} {
		if err := o.Put(t.Context(), storage.RefOf(data), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		base, target []byte
		want         error
	}{
		"nothing alike":   {old, noise, storage.ErrNoGain},
		"nothing changed": {old, old, storage.ErrNoGain},
		"a small base":    {small, old, fs.ErrNotExist},
		"a small payload": {old, small, fs.ErrNotExist},
		"no such payload": {old, []byte("none"), fs.ErrNotExist},
		"an unknown base": {[]byte("none"), old, fs.ErrNotExist},
	} {
		base, target := storage.DigestOf(c.base), storage.DigestOf(c.target)
		if p, err := o.(storage.Differ).KeepDelta(t.Context(), base, target); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", name, p, err, c.want)
		}
		if p, err := o.(storage.Differ).Delta(t.Context(), base, target); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: kept all the same: %+v, %v", name, p, err)
		}
	}
}

// A pointer that says anything else is refused, not followed.
func TestDeltaPointerLies(t *testing.T) {
	plain := storage.NewMem()
	differ := storage.Chunked(plain).Objects(chunkSpace).(storage.Differ)
	base, target := storage.Digest{1}, storage.Digest{2}
	key, tag := "deltas/"+chunkSpace+"/"+base.Hex()+"/"+target.Hex(), ""
	for _, value := range []string{"elsewhere\n", "airlock-chunks 1 " + base.String() + " 5 5\n", "airlock-delta 2 " + base.String() + " 5 5\n",
		"airlock-delta 1 " + base.String() + " 268435457 5\n", "airlock-delta 1 " + base.String() + " -1 5\n"} {
		var err error
		if tag, err = plain.Cells.Swap(t.Context(), key, tag, []byte(value)); err != nil {
			t.Fatal(err)
		}
		p, err := differ.Delta(t.Context(), base, target)
		if _, ok := errors.AsType[*storage.FormatError](err); !ok {
			t.Errorf("%q leads to %+v, %v", value, p, err)
		}
	}
}

// A reader of a delta that leaves takes its goroutine with it.
func TestDeltaClosedEarly(t *testing.T) {
	old := storetest.Text(1, 3<<20)
	delta := deltaOf(t, append([]byte("an edit"), old...), old)
	for range 20 {
		r := bytes.NewReader(delta)
		h, err := storage.ReadDeltaHead(r)
		if err != nil {
			t.Fatal(err)
		}
		body := h.Open(t.Context(), io.NopCloser(r), func(int) (io.ReaderAt, error) { return bytes.NewReader(old), nil })
		if _, err := io.ReadFull(body, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

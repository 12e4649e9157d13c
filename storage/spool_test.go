package storage_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"airlock/storage"
	"airlock/storage/storetest"
)

const spoolSpace = "acme/dev"

func openSpool(t *testing.T, dir string, limit int64) *storage.Spool {
	t.Helper()
	s, err := storage.OpenSpool(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// An upload goes on after a broken line and after a restart.
func TestSpoolResumes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	objects := storage.NewMem().Objects(spoolSpace)
	for _, size := range []int{0, 1, 256 << 10, 700_001} {
		data := storetest.Random(uint64(size), size)
		ref := storage.RefOf(data)
		s := openSpool(t, dir, 10<<20)
		broken := errors.New("line dropped")
		end, err := s.Append(t.Context(), spoolSpace, ref, 0, io.MultiReader(bytes.NewReader(data[:size/3]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || end != int64(size/3) {
			t.Errorf("broken line: at %d of %d, %v", end, size, err)
		}
		if size > 0 {
			var sizeErr *storage.SizeError
			if err := s.Commit(t.Context(), spoolSpace, ref, objects); !errors.As(err, &sizeErr) {
				t.Errorf("commit of a part: %v", err)
			}
		}
		if _, err := storage.OpenSpool(dir, 1); err == nil {
			t.Error("a second process opened the spool")
		}
		_ = s.Close()

		s = openSpool(t, dir, 10<<20)
		off, err := s.Offset(spoolSpace, ref)
		if err != nil || off != end {
			t.Fatalf("after a restart at %d, %v, want %d", off, err, end)
		}
		var offErr *storage.OffsetError
		if _, err := s.Append(t.Context(), spoolSpace, ref, off+1, nil); !errors.As(err, &offErr) || offErr.Want != off {
			t.Errorf("append past the end: %v", err)
		}
		if _, err := s.Append(t.Context(), spoolSpace, ref, off, bytes.NewReader(data[off:])); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), spoolSpace, ref, objects); err != nil {
			t.Fatal(err)
		}
		if got, err := storage.Read(t.Context(), objects, ref); err != nil || !bytes.Equal(got, data) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if off, err := s.Offset(spoolSpace, ref); off != 0 || err != nil {
			t.Errorf("after the commit at %d, %v", off, err)
		}
		_ = s.Close()
	}
}

func TestSpoolRefuses(t *testing.T) {
	s := openSpool(t, t.TempDir(), 100_000)
	objects := storage.NewMem().Objects(spoolSpace)
	data := storetest.Random(1, 60_000)
	ref := storage.RefOf(data)

	var sizeErr *storage.SizeError
	if end, err := s.Append(t.Context(), spoolSpace, ref, 0, bytes.NewReader(append(data, 0))); !errors.As(err, &sizeErr) || end != 0 {
		t.Errorf("too many bytes: at %d, %v", end, err)
	}
	if _, err := s.Append(t.Context(), spoolSpace, storage.Ref{Size: -1}, 0, nil); !errors.As(err, &sizeErr) {
		t.Errorf("negative size: %v", err)
	}
	var keyErr *storage.KeyError
	if _, err := s.Append(t.Context(), "../x", ref, 0, nil); !errors.As(err, &keyErr) {
		t.Errorf("bad Space: %v", err)
	}
	wrong := bytes.Clone(data)
	wrong[9] ^= 1
	if _, err := s.Append(t.Context(), spoolSpace, ref, 0, bytes.NewReader(wrong)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "acme/other", ref, 0, bytes.NewReader(data)); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("past the bound: %v", err)
	}
	var digestErr *storage.DigestError
	if err := s.Commit(t.Context(), spoolSpace, ref, objects); !errors.As(err, &digestErr) {
		t.Errorf("wrong bytes: %v", err)
	}
	if _, err := objects.Stat(t.Context(), ref.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after that: %v", err)
	}
	// The wrong bytes are gone, and so there is room again.
	if off, err := s.Append(t.Context(), "acme/other", ref, 0, bytes.NewReader(data)); err != nil || off != ref.Size {
		t.Errorf("at %d, %v", off, err)
	}
	if n, err := s.Sweep(time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Errorf("swept %d new ones, %v", n, err)
	}
	if n, err := s.Sweep(time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	for i := range 100 { // tiny uploads are bounded too
		tiny := storage.RefOf([]byte{byte(i)})
		if _, err := s.Append(t.Context(), spoolSpace, tiny, 0, bytes.NewReader([]byte{byte(i)})); err != nil {
			if !errors.Is(err, storage.ErrNoSpace) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("100 uploads fit into room for 24")
}

// Two requests on one upload: the second is told so, and harms nothing.
func TestSpoolBusy(t *testing.T) {
	s := openSpool(t, t.TempDir(), 1<<20)
	data := []byte("some bytes")
	ref := storage.RefOf(data)
	body, line := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := s.Append(t.Context(), spoolSpace, ref, 0, body)
		done <- err
	}()
	_, _ = line.Write(data[:4]) // the first request is under way once this is read
	var busy *storage.BusyError
	if _, err := s.Append(t.Context(), spoolSpace, ref, 0, bytes.NewReader(data)); !errors.As(err, &busy) {
		t.Errorf("second append: %v", err)
	}
	if err := s.Discard(spoolSpace, ref); !errors.As(err, &busy) {
		t.Errorf("discard: %v", err)
	}
	if _, err := s.Append(t.Context(), "acme/other", ref, 0, bytes.NewReader(data)); err != nil {
		t.Errorf("the same object of another Space: %v", err)
	}
	_, _ = line.Write(data[4:])
	_ = line.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Discard(spoolSpace, ref); err != nil {
		t.Error(err)
	}
	if off, err := s.Offset(spoolSpace, ref); off != 0 || err != nil {
		t.Errorf("after Discard at %d, %v", off, err)
	}
}

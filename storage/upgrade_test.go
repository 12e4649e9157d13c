package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestRaise cuts the power after every step of raising a marker: it is the one
// or the other, and once that was acknowledged the other.
func TestRaise(t *testing.T) {
	for limit := 1; ; limit++ {
		d := newCrashDisk()
		if err := errors.Join(restore(d, crashRoot+"/format", Earlier), d.SyncFile(crashRoot+"/format", syncSame)); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{crashRoot, "/srv/feeds", "/srv", "/"} {
			if err := d.SyncDir(dir, syncRootPath); err != nil {
				t.Fatal(err)
			}
		}
		s := newDirStore(crashRoot, d, &testLocks{})
		s.format = Earlier
		d.limit = d.ops + limit
		err := s.open(t.Context())
		if err == nil {
			err = s.raise(t.Context())
		}
		for seed := range uint64(4) {
			after := newDirStore(crashRoot, d.restart(luck(seed)), &testLocks{})
			marker, readErr := after.readMarker()
			if readErr != nil || marker != Format && (err == nil || marker != Earlier) {
				t.Errorf("cut after %d steps, %v: then %q, %v", limit, err, marker, readErr)
			}
		}
		if d.ops <= d.limit {
			break
		}
	}
}

// TestOpenEarlier opens what has the format before and nothing else, and nothing
// opens it but that.
func TestOpenEarlier(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	mustWrite(t, filepath.Join(dir, "format"), Earlier)
	var formatErr *FormatError
	if _, err := OpenDir(t.Context(), dir); !errors.As(err, &formatErr) || formatErr.Got != Earlier {
		t.Errorf("opened as %q: %v", Format, err)
	}
	s, raise, err := OpenEarlier(t.Context(), dir, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s.Objects("acme/dev"), []byte("kept"))
	if err := errors.Join(s.Close(), raise(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenEarlier(t.Context(), dir, os.Getenv); !errors.As(err, &formatErr) || formatErr.Got != Format {
		t.Errorf("raised, and opened as %q: %v", Earlier, err)
	}
	s, err = OpenDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Objects("acme/dev").Stat(t.Context(), DigestOf([]byte("kept"))); err != nil {
		t.Error(err)
	}
	empty := filepath.Join(t.TempDir(), "none")
	if _, _, err := OpenEarlier(t.Context(), empty, os.Getenv); !errors.Is(err, ErrNoStore) {
		t.Errorf("nothing there: %v", err)
	}
}

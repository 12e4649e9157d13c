package bundle

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
)

var every = flag.Bool("every", false, "take in a bundle and a stream with each of their bytes changed in turn, which takes minutes")

// Any byte of a small bundle that is changed is seen by Verify, and what a receiver
// takes from it is refused or the same: one byte in seven and one in a hundred, or
// with -every each. Of padding fewer bytes are tried.
func TestEveryByte(t *testing.T) {
	s := newSite(t)
	s.World = feedtest.New(t, storage.NewMem())
	s.Publish("file/motd@1", feedtest.Text("motd.txt", "hello"))
	want, err := s.take(s.source())
	check(t, err)
	o := s.options()
	o.MaxVolume = 34 << 10
	dir, w := s.write(o)
	if len(w.Files) != 2 {
		t.Fatalf("%d volumes", len(w.Files))
	}
	opened := open(t, OpenOptions{}, dir)
	for _, name := range volumes(t, dir) {
		original := readAll(t, name)
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		check(t, err)
		for i := range original {
			if !*every && i%7 != 0 && i%101 != 0 {
				continue
			}
			around := original[max(0, i-600):min(len(original), i+600)]
			if bytes.Count(around, []byte{0}) == len(around) && i%97 != 0 {
				continue // not each zero of the padding
			}
			_, err := f.WriteAt([]byte{original[i] ^ 1<<(i%8)}, int64(i))
			check(t, err)
			if h, err := opened.Verify(t.Context(), nil); err != nil || h.Whole() {
				t.Errorf("%s byte %d: verify saw nothing: %v", filepath.Base(name), i, err)
			}
			if *every || i%101 == 0 {
				s.wantRefusedOrSame(dir, i, want)
			}
			_, err = f.WriteAt(original[i:i+1], int64(i))
			check(t, err)
		}
		check(t, f.Close())
	}
}

// wantRefusedOrSame takes in a bundle with one wrong byte.
func (s *site) wantRefusedOrSame(dir string, at int, want string) {
	s.t.Helper()
	b, err := Open(s.t.Context(), []string{dir}, OpenOptions{})
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !as[*SeveralError](err) {
			s.t.Errorf("byte %d: opening: %v", at, err)
		}
		return
	}
	defer b.Close()
	if got, err := s.take(b); err == nil && got != want {
		s.t.Errorf("byte %d: the receiver took something else", at)
	}
}

// A volume that is not there is named, whichever it is.
func TestMissingVolume(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.MaxVolume = 80 << 10
	dir, w := s.write(o)
	for v, name := range volumes(t, dir) {
		away := filepath.Join(t.TempDir(), "away")
		check(t, os.Rename(name, away))
		b := open(t, OpenOptions{}, dir)
		h, err := b.Verify(t.Context(), nil)
		check(t, err)
		missing, ok := errors.AsType[*MissingVolumeError](h.Err())
		if !ok || len(missing.Volumes) != 1 || missing.Volumes[0] != v+1 || missing.Count != len(w.Files) {
			t.Errorf("without volume %d: %v", v+1, h.Err())
		}
		if _, err := s.take(b); !as[*MissingVolumeError](err) {
			t.Errorf("taking without volume %d: %v", v+1, err)
		}
		check(t, os.Rename(away, name))
	}
}

// Volumes may lie in several folders, in any order, under any name, beside
// those of another bundle.
func TestVolumesAnywhere(t *testing.T) {
	s := newSite(t)
	want, err := s.take(s.source())
	check(t, err)
	o := s.options()
	o.MaxVolume = 80 << 10
	dir, w := s.write(o)
	o.Label = "another"
	other, second := s.write(o)
	var paths []string
	for i, name := range volumes(t, dir) {
		to := filepath.Join(t.TempDir(), string(rune('z'-i))+Extension)
		check(t, os.Rename(name, to))
		paths = append([]string{filepath.Dir(to)}, paths...)
	}
	got, err := s.take(open(t, OpenOptions{}, paths...))
	if err != nil || got != want {
		t.Errorf("from several folders: %v", err)
	}
	paths = append(paths, other)
	_, err = Open(t.Context(), paths, OpenOptions{})
	if several, ok := errors.AsType[*SeveralError](err); !ok || len(several.Sets) != 2 {
		t.Errorf("of two bundles: %v", err)
	}
	for _, id := range []ID{w.ID, second.ID} {
		if got, err := s.take(open(t, OpenOptions{ID: id}, paths...)); err != nil || got != want {
			t.Errorf("one of two bundles: %v", err)
		}
	}
}

// Files cut short, exchanged, or put together from two bundles are not whole.
func TestChangedVolumes(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.MaxVolume = 80 << 10
	dir, w := s.write(o)
	o.Label = "another"
	other, _ := s.write(o)
	names := volumes(t, dir)
	whole := make([][]byte, len(names))
	for i, name := range names {
		whole[i] = readAll(t, name)
	}
	frame := int(frameSize(int64(len(mustFormat(t, w.Document))), w.Document.Tables.Size))
	foreign := readAll(t, volumes(t, other)[0])
	for name, change := range map[string]func() []byte{
		"cut at the end":    func() []byte { return whole[0][:len(whole[0])-1] },
		"cut in the area":   func() []byte { return whole[0][:frame+1000] },
		"cut in the frame":  func() []byte { return whole[0][:1000] },
		"empty":             func() []byte { return nil },
		"longer":            func() []byte { return append(bytes.Clone(whole[0]), 0) },
		"area of another":   func() []byte { return append(bytes.Clone(whole[0][:frame]), whole[1][frame:]...) },
		"frames of another": func() []byte { return append(bytes.Clone(foreign[:frame]), whole[0][frame:]...) },
		"twice the second":  func() []byte { return whole[1] },
	} {
		t.Run(name, func(t *testing.T) {
			to := copyDir(t, dir)
			check(t, os.WriteFile(filepath.Join(to, filepath.Base(names[0])), change(), 0o600))
			b, err := Open(t.Context(), []string{to}, OpenOptions{ID: w.ID})
			check(t, err)
			defer b.Close()
			h, err := b.Verify(t.Context(), nil)
			check(t, err)
			if h.Whole() {
				t.Error("is taken for whole")
			}
		})
	}
	t.Run("names exchanged", func(t *testing.T) {
		to := t.TempDir()
		for i, name := range names {
			check(t, os.WriteFile(filepath.Join(to, filepath.Base(names[len(names)-1-i])), readAll(t, name), 0o600))
		}
		h, err := open(t, OpenOptions{}, to).Verify(t.Context(), nil)
		if err != nil || !h.Whole() {
			t.Errorf("names decide: %v", err)
		}
	})
}

// A medium that is pulled out ends the sync, and nothing is kept.
func TestMediumVanishes(t *testing.T) {
	s := newSite(t)
	dir, _ := s.write(s.options())
	b := open(t, OpenOptions{}, dir)
	check(t, os.Truncate(volumes(t, dir)[0], 100))
	f := s.Follower(b)
	if _, _, err := f.Sync(t.Context(), s.ID); !as[*DamagedError](err) {
		t.Errorf("sync: %v", err)
	}
	if _, err := feed.LoadState(t.Context(), f.State, s.Space.Lineage(), s.ID); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a state was kept: %v", err)
	}
}

// Nor is one that cannot be read any more called damaged, or no bundle: unless
// parity makes good what cannot be read.
func TestMediumGone(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.MaxVolume = 64 << 10
	plain, _ := s.write(o)
	o.Parity = 50
	safe, _ := s.write(o)
	for dir, want := range map[string]func(*Health, error) bool{
		plain: func(_ *Health, err error) bool {
			return as[*fs.PathError](err) && !as[*DamagedError](err) && !errors.Is(err, ErrMalformed)
		},
		safe: func(h *Health, err error) bool { return err == nil && h.Repairable && len(h.Damaged) == 1 },
	} {
		b := open(t, OpenOptions{}, dir)
		check(t, b.files[1].Close())
		name := volumes(t, dir)[1]
		check(t, os.Chmod(name, 0o600))
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		check(t, err)
		b.files[1] = f // no byte of it can be read
		if _, err := readHead(f, b.layout.size(1)); err == nil || errors.Is(err, ErrMalformed) {
			t.Errorf("%s: head: %v", dir, err)
		}
		if h, err := b.Verify(t.Context(), nil); !want(h, err) {
			t.Errorf("%s: got %+v, %v", dir, h, err)
		}
		from, _ := b.layout.blocksOf(1)
		if _, err := b.readBlock(from, nil); !as[*fs.PathError](err) {
			t.Errorf("%s: read: %v", dir, err)
		}
	}
}

package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/feed/feedtest"
	"airlock/storage"
)

var errStep = errors.New("the machine stops here")

// failing is a folder that ends a run at a step, as a power cut would: nothing
// works from then on.
type failing struct {
	Folder
	left int // steps until the end; below 0 for none
}

func (f *failing) step() error {
	if f.left == 0 {
		return errStep
	}
	f.left--
	return nil
}

func (f *failing) Create(name string) (File, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	file, err := f.Folder.Create(name)
	return &failingFile{file, f}, err
}

func (f *failing) Open(name string) (File, error) {
	if f.left == 0 {
		return nil, errStep
	}
	file, err := f.Folder.Open(name)
	if err != nil {
		return nil, err
	}
	return &failingFile{file, f}, nil
}

func (f *failing) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.Folder.Rename(from, to)
}

func (f *failing) Remove(name string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.Folder.Remove(name)
}

func (f *failing) Sync() error {
	return f.step()
}

type failingFile struct {
	File
	f *failing
}

// Nothing is synced: here a run ends, and not the machine.

// Write writes half of what ends the run.
func (f *failingFile) Write(p []byte) (int, error) {
	if err := f.f.step(); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *failingFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.f.step(); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *failingFile) Sync() error {
	return f.f.step()
}

// A run that is ended at any step leaves no volume that is not whole, and the
// next run goes on from there: the same bundle, as if nothing had happened.
func TestGoOn(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"plain":     func(*Options) {},
		"parity":    func(o *Options) { o.Parity = 30 },
		"encrypted": func(o *Options) { o.EncryptTo = testRecipient },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.World = feedtest.New(t, storage.NewMem())
			s.Publish("file/motd@1", feedtest.Text("motd.txt", strings.Repeat("hello", 9000)))
			o := s.options()
			o.MaxVolume = 64 << 10
			change(&o)
			_, want := s.write(o)
			folder, err := NewFolder(t.TempDir())
			check(t, err)
			counted := &failing{folder, 1 << 30}
			_, err = Write(t.Context(), s.plan(o), counted, s.sign, nil)
			check(t, err)
			steps := 1<<30 - counted.left
			if steps < 20 {
				t.Fatalf("%d steps", steps)
			}
			for n := range steps {
				s.goOn(o, n, want)
			}
		})
	}
}

// goOn ends a run at step n and goes on.
func (s *site) goOn(o Options, n int, want *Written) {
	s.t.Helper()
	dir := s.t.TempDir()
	folder, err := NewFolder(dir)
	check(s.t, err)
	if _, err := Write(s.t.Context(), s.plan(o), &failing{folder, n}, s.sign, nil); !errors.Is(err, errStep) {
		s.t.Fatalf("step %d: %v", n, err)
	}
	for _, name := range volumes(s.t, dir) {
		b := open(s.t, OpenOptions{}, name)
		if h, err := b.Verify(s.t.Context(), nil); err != nil || len(h.Damaged) > 0 {
			s.t.Errorf("step %d: %s is not whole: %v", n, filepath.Base(name), err)
		}
	}
	o.Created = o.Created.Add(time.Hour) // the clock went on
	got, err := Write(s.t.Context(), s.plan(o), &failing{folder, -1}, s.sign, nil)
	if err != nil {
		s.t.Fatalf("going on after step %d: %v", n, err)
	}
	if o.EncryptTo == "" && got.ID != want.ID && n > 3 { // the first steps note the time
		s.t.Errorf("step %d: another bundle came out", n)
	}
	b := open(s.t, OpenOptions{Key: give(testKey)}, dir)
	if h, err := b.Verify(s.t.Context(), nil); err != nil || !h.Whole() {
		s.t.Errorf("step %d: what came out is not whole: %v", n, err)
	}
	if _, err := s.take(b); err != nil {
		s.t.Errorf("step %d: taking what came out: %v", n, err)
	}
	entries, err := os.ReadDir(dir)
	check(s.t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "airlock-") {
			s.t.Errorf("step %d: %s was left", n, e.Name())
		}
	}
}

// A medium without room is refused before anything is written.
type full struct{ Folder }

func (full) Free() (int64, bool) { return 1000, true }

func TestNoRoom(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	folder, err := NewFolder(dir)
	check(t, err)
	_, err = Write(t.Context(), s.plan(s.options()), full{folder}, s.sign, nil)
	if !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("%v were written", entries)
	}
}

// A run goes on from the volumes that are there, and says so; a volume that was
// cut meanwhile is written again.
func TestResumed(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.MaxVolume = 64 << 10
	dir := t.TempDir()
	folder, err := NewFolder(dir)
	check(t, err)
	f := &failing{folder, 60}
	p := s.plan(o)
	_, err = Write(t.Context(), p, f, s.sign, nil)
	if !errors.Is(err, errStep) {
		t.Fatal(err)
	}
	key := p.key().Hex()[:16]
	first := filepath.Join(dir, fmt.Sprintf("airlock-%s.001.part", key))
	if _, err := os.Stat(first + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := os.Stat(first); err != nil {
		t.Fatal(err)
	}
	w, err := Write(t.Context(), s.plan(o), folder, s.sign, nil)
	check(t, err)
	if w.Resumed == 0 {
		t.Error("it began again")
	}
	if h, err := open(t, OpenOptions{}, dir).Verify(t.Context(), nil); err != nil || !h.Whole() {
		t.Errorf("not whole: %v", err)
	}
	again, err := Write(t.Context(), s.plan(o), folder, s.sign, nil)
	check(t, err)
	if again.ID != w.ID {
		t.Errorf("%s and %s", again.ID, w.ID)
	}
}

package apply

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

func TestDirStory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "conf")
	d := openDir(t, dir)
	s := newShelf(t, "acme/dev/shared")
	s.publish("step-template/slack@1", files{"t.json": "one", "lib/x.ps1": "x"})
	s.publish("variable-set/db@1.3", files{"v.json": "db 1.3"})

	expect := func(got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("plan (-want +got):\n%s", diff)
		}
	}
	holds := func(want files) {
		t.Helper()
		if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
			t.Errorf("folder (-want +got):\n%s", diff)
		}
	}
	expect(s.mustPull(d, false), "+ step-template/slack 1", "+ variable-set/db 1.3")
	first := files{
		"step-template/": "", "step-template/slack/": "", "step-template/slack/t.json": "one",
		"step-template/slack/lib/": "", "step-template/slack/lib/x.ps1": "x",
		"variable-set/": "", "variable-set/db/": "", "variable-set/db/v.json": "db 1.3",
	}
	holds(first)

	s.publish("step-template/slack@2", files{"t.json": "two", "lib": "a file now"})
	expect(s.mustPull(openDir(t, dir), false), "= variable-set/db 1.3", "~ step-template/slack 1 → 2")
	holds(files{
		"step-template/": "", "step-template/slack/": "", "step-template/slack/t.json": "two", "step-template/slack/lib": "a file now",
		"variable-set/": "", "variable-set/db/": "", "variable-set/db/v.json": "db 1.3",
	})
	s.publish("step-template/slack@3", files{"lib/y.ps1": "a folder again"})
	expect(s.mustPull(d, false), "= variable-set/db 1.3", "~ step-template/slack 2 → 3")

	s.withdraw("variable-set/db@1.3")
	s.withdraw("step-template/slack@3")
	expect(s.mustPull(d, false),
		"! variable-set/db 1.3 (1.3 was withdrawn by acme/dev/shared entry 5)",
		"! step-template/slack 3 (3 was withdrawn by acme/dev/shared entry 6)")
	expect(s.mustPull(d, true),
		"~ step-template/slack 3 → 2 (3 was withdrawn by acme/dev/shared entry 6)",
		"- variable-set/db 1.3 (1.3 was withdrawn by acme/dev/shared entry 5)")
	holds(files{"step-template/": "", "step-template/slack/": "", "step-template/slack/t.json": "two", "step-template/slack/lib": "a file now"})

	s.withdraw("step-template/slack@2")
	s.withdraw("step-template/slack@1")
	s.mustPull(d, true)
	holds(files{})
}

// TestDirAgain: a second run of the same changes nothing, not even a date.
func TestDirAgain(t *testing.T) {
	dir := t.TempDir()
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1"})
	s.mustPull(openDir(t, dir), false)
	old := testNow.Add(-time.Hour)
	watched := []string{"file/a/x", "file/a", "file", ".airlock/index.json", ".airlock", ".airlock/stage", "."}
	for _, name := range watched {
		ok(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	if plan := s.mustPull(openDir(t, dir), true); plan[0] != "= file/a 1" {
		t.Errorf("plan %v", plan)
	}
	for _, name := range watched {
		info, err := os.Stat(filepath.Join(dir, name))
		ok(t, err)
		if !info.ModTime().Equal(old) {
			t.Errorf("%s was touched", name)
		}
	}
}

// TestDirKeepsEqualFiles: a file that is the same in the next version is
// neither fetched nor written.
func TestDirKeepsEqualFiles(t *testing.T) {
	dir := t.TempDir()
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"big": "the same", "x": "1"})
	d := openDir(t, dir)
	s.mustPull(d, false)
	s.publish("file/a@2", files{"big": "the same", "x": "2"})
	delete(s.objects, storage.DigestOf([]byte("the same")))
	s.mustPull(d, false)
	if diff := cmp.Diff(files{"file/a/big": "the same", "file/a/x": "2"}, plainTree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestDirRestoresMissing(t *testing.T) {
	dir := t.TempDir()
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1", "y": "2"})
	d := openDir(t, dir)
	s.mustPull(d, false)
	ok(t, os.Remove(filepath.Join(dir, "file/a/x")))
	if plan := s.mustPull(d, false); plan[0] != "~ file/a 1 (1 of its files are gone)" {
		t.Errorf("plan %v", plan)
	}
	ok(t, os.RemoveAll(filepath.Join(dir, "file")))
	s.mustPull(d, false)
	if diff := cmp.Diff(files{"file/a/x": "1", "file/a/y": "2"}, plainTree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestDirChanged: a change by hand is seen whatever its size and date, stays,
// is named until it is undone, and keeps no other file back.
func TestDirChanged(t *testing.T) {
	const why = " (x was changed here, which only --force undoes)"
	for name, change := range map[string]func(t *testing.T, file string){
		"other size": func(t *testing.T, file string) { write(t, file, "longer") },
		"other size, old date": func(t *testing.T, file string) {
			info, err := os.Stat(file)
			ok(t, err)
			write(t, file, "longer")
			ok(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
		},
		"same size, newer": func(t *testing.T, file string) {
			write(t, file, "9")
			ok(t, os.Chtimes(file, testNow, testNow.AddDate(50, 0, 0)))
		},
		"same size, older": func(t *testing.T, file string) {
			write(t, file, "9")
			ok(t, os.Chtimes(file, testNow, testNow.AddDate(-5, 0, 0)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newShelf(t, "acme/dev/shared")
			s.publish("file/a@1", files{"x": "1", "y": "1"})
			s.mustPull(openDir(t, dir), false)
			file := dir + "/file/a/x"
			change(t, file)
			changed := plainTree(t, dir)
			for range 2 {
				if plan := s.mustPull(openDir(t, dir), false); plan[0] != "! file/a 1"+why {
					t.Errorf("plan %v", plan)
				}
			}
			// A version that has nothing new for the file leaves it too.
			s.publish("file/a@2", files{"x": "1", "y": "2"})
			if plan := s.mustPull(openDir(t, dir), false); plan[0] != "~ file/a 1 → 2"+why {
				t.Errorf("plan %v", plan)
			}
			changed["file/a/y"] = "2"
			if diff := cmp.Diff(changed, plainTree(t, dir)); diff != "" {
				t.Errorf("the change did not stay (-want +got):\n%s", diff)
			}
			if plan := s.mustPull(openDir(t, dir), false); plan[0] != "! file/a 2"+why {
				t.Errorf("plan %v", plan)
			}
			d := openDir(t, dir)
			d.Force = true
			if plan := s.mustPull(d, false); plan[0] != "~ file/a 2 (x was changed here)" {
				t.Errorf("plan with force %v", plan)
			}
			if got := plainTree(t, dir)["file/a/x"]; got != "1" {
				t.Errorf("force left %q", got)
			}
		})
	}
}

// TestDirChangedToLink: what is no file any more is a change too.
func TestDirChangedToLink(t *testing.T) {
	dir := t.TempDir()
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1"})
	s.mustPull(openDir(t, dir), false)
	ok(t, os.Rename(dir+"/file/a/x", dir+"/moved"))
	ok(t, os.Symlink("../../moved", dir+"/file/a/x"))
	if plan := s.mustPull(openDir(t, dir), false); plan[0] != "! file/a 1 (x was changed here, which only --force undoes)" {
		t.Errorf("plan %v", plan)
	}
}

// TestDirDates: where no date was changed, no byte is read.
func TestDirDates(t *testing.T) {
	dir := t.TempDir()
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"same": "s", "x": "1"})
	s.mustPull(openDir(t, dir), false)
	s.publish("file/a@2", files{"same": "s", "x": "2"})
	s.mustPull(openDir(t, dir), false)
	items, err := openDir(t, dir).Installed(t.Context(), s.id)
	ok(t, err)
	for _, f := range items[0].Files {
		info, err := os.Stat(dir + "/file/a/" + f.Path)
		ok(t, err)
		if f.Modified == 0 || f.Modified != dateOf(info) {
			t.Errorf("%s: date %d in the index, %d on the disk", f.Path, f.Modified, dateOf(info))
		}
	}
}

// Files that have other dates, as in a copy, are read once: then it is known
// from which date on they were not changed, and the next sync records it.
func TestDirOtherDates(t *testing.T) {
	dir := t.TempDir()
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1"})
	s.mustPull(openDir(t, dir), false)
	name, date := dir+"/file/a/x", time.UnixMicro(1e15)
	ok(t, os.Chtimes(name, date, date))
	changed := func(d *Dir) int {
		t.Helper()
		items, err := d.Installed(t.Context(), s.id)
		ok(t, err)
		return len(items[0].Changed)
	}
	d := openDir(t, dir)
	if n := changed(d); n != 0 {
		t.Fatalf("%d files count as changed", n)
	}
	s.publish("file/b@1", files{"x": "1"})
	s.mustPull(d, false)
	// Only who reads the file can see this.
	ok(t, errors.Join(os.WriteFile(name, []byte("2"), 0o600), os.Chtimes(name, date, date)))
	if n := changed(d) + changed(openDir(t, dir)); n != 0 {
		t.Error("the file was read again")
	}
	ok(t, os.Chtimes(name, date.Add(1), date.Add(time.Second)))
	if n := changed(d); n != 1 {
		t.Error("a changed file with another date was not read")
	}
}

func TestDirOccupied(t *testing.T) {
	for name, c := range map[string]struct {
		prepare  func(t *testing.T, dir string) // after version 1 is there
		next     files
		withdraw bool
		path     string // in the way; empty for none
		forcible bool
	}{
		"own file at a new name":    {func(t *testing.T, dir string) { write(t, dir+"/file/a/new", "mine") }, files{"x": "2", "new": "n"}, false, "file/a/new", false},
		"own file, the same bytes":  {func(t *testing.T, dir string) { write(t, dir+"/file/a/new", "n") }, files{"x": "2", "new": "n"}, false, "file/a/new", false},
		"changed, to be replaced":   {func(t *testing.T, dir string) { write(t, dir+"/file/a/x", "mine") }, files{"x": "2"}, false, "file/a/x", true},
		"changed, same length":      {func(t *testing.T, dir string) { write(t, dir+"/file/a/x", "9") }, files{"x": "2"}, false, "file/a/x", true},
		"changed, to be removed":    {func(t *testing.T, dir string) { write(t, dir+"/file/a/x", "mine") }, files{"y": "2"}, false, "file/a/x", true},
		"changed, withdrawn":        {func(t *testing.T, dir string) { write(t, dir+"/file/a/x", "mine") }, nil, true, "file/a/x", true},
		"changed as the next is":    {func(t *testing.T, dir string) { write(t, dir+"/file/a/x", "2") }, files{"x": "2"}, false, "", false},
		"folder where a file comes": {func(t *testing.T, dir string) { write(t, dir+"/file/a/new/mine", "m") }, files{"x": "2", "new": "n"}, false, "file/a/new", false},
		"own file in our folder": {func(t *testing.T, dir string) { write(t, dir+"/file/a/sub/mine", "m") },
			files{"x": "2", "sub": "n"}, false, "file/a/sub/mine", false},
		"file where a folder comes": {func(t *testing.T, dir string) { write(t, dir+"/file/a/new", "mine") }, files{"x": "2", "new/n": "n"}, false, "file/a/new", false},
		"link at our file": {func(t *testing.T, dir string) {
			ok(t, os.Remove(dir+"/file/a/x"))
			ok(t, os.Symlink(dir+"/elsewhere", dir+"/file/a/x"))
		}, files{"x": "2"}, false, "file/a/x", false},
		"link at a new name": {func(t *testing.T, dir string) { ok(t, os.Symlink("../../elsewhere", dir+"/file/a/new")) }, files{"x": "2", "new": "n"}, false, "file/a/new", false},
		"link above": {func(t *testing.T, dir string) {
			ok(t, os.Rename(dir+"/file/a", dir+"/moved"))
			ok(t, os.Symlink("../moved", dir+"/file/a"))
		}, files{"x": "2", "new": "n"}, false, "file/a", false},
		"link out of the folder": {func(t *testing.T, dir string) {
			out := t.TempDir()
			ok(t, os.RemoveAll(dir+"/file"))
			ok(t, os.Symlink(out, dir+"/file"))
		}, files{"x": "2"}, false, "file", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openDir(t, dir)
			s := newShelf(t, "acme/dev/shared")
			s.publish("file/a@1", files{"x": "1", "sub/z": "z"})
			s.mustPull(d, false)
			write(t, dir+"/elsewhere", "of the user")
			c.prepare(t, dir)
			if c.withdraw {
				s.withdraw("file/a@1")
			} else {
				s.publish("file/a@2", c.next)
			}
			before := tree(t, dir)
			_, _, err := s.pull(t.Context(), d, true)
			if c.path == "" {
				ok(t, err)
				return
			}
			in := occupied(t, err)
			if in.Path != c.path || in.Forcible != c.forcible || !strings.Contains(err.Error(), c.path) {
				t.Errorf("got %+v", in)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("something was changed (-before +after):\n%s", diff)
			}
			if left, _ := os.ReadDir(filepath.Join(dir, stageFolder)); len(left) > 0 {
				t.Errorf("the stage holds %v", left)
			}
			d.Force = true
			if _, _, err := s.pull(t.Context(), d, true); (err == nil) != c.forcible {
				t.Errorf("with Force: %v", err)
			}
			if tree(t, dir)["elsewhere"] != "of the user" {
				t.Error("a file of the user was changed")
			}
		})
	}
}

func occupied(t *testing.T, err error) *OccupiedError {
	t.Helper()
	var in *OccupiedError
	if !errors.As(err, &in) {
		t.Fatalf("got %v, want an *OccupiedError", err)
	}
	return in
}

// TestDirLeavesOthersAlone: files of the user stay, and keep our folders.
func TestDirLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file/README", "mine")
	d := openDir(t, dir)
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1", "sub/y": "1"})
	s.publish("file/b@1", files{"x": "1"})
	s.publish("other/c@1", files{"x": "1"})
	s.mustPull(d, false)
	write(t, dir+"/file/a/sub/mine", "mine")
	for _, ref := range []string{"file/a@1", "file/b@1", "other/c@1"} {
		s.withdraw(ref)
	}
	s.mustPull(d, true)
	want := files{"file/": "", "file/README": "mine", "file/a/": "", "file/a/sub/": "", "file/a/sub/mine": "mine"}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestDirOwnFolderIsLink(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	ok(t, os.Symlink(out, filepath.Join(dir, ownFolder)))
	_, err := OpenDir(dir, testClock)
	if in := occupied(t, err); in.Path != ownFolder {
		t.Errorf("got %+v", in)
	}
}

func TestDirTwoFeeds(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	one, two := newShelf(t, "acme/dev/shared"), newShelf(t, "acme/qa/shared")
	one.publish("file/a@1", files{"x": "1"})
	two.publish("file/b@1", files{"x": "2"})
	one.mustPull(d, false)
	two.mustPull(d, false)
	two.publish("file/a@9", files{"y": "3"})
	before := tree(t, dir)
	_, _, err := two.pull(t.Context(), d, false)
	var owned *OwnedError
	if !errors.As(err, &owned) || owned.Feed != two.id || owned.Other != one.id {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	// Also where neither has it yet: nothing of both comes.
	three, four := newShelf(t, "acme/dev/three"), newShelf(t, "acme/dev/four")
	three.publish("file/c@1", files{"x": "1"})
	four.publish("file/c@1", files{"x": "2"})
	err = shelves{three, four}.pull(t.Context(), d, false)
	if !errors.As(err, &owned) || owned.Feed != four.id || owned.Other != three.id {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	one.withdraw("file/a@1")
	ok(t, shelves{two, one}.pull(t.Context(), d, true))
	if diff := cmp.Diff(files{"file/a/y": "3", "file/b/x": "2"}, plainTree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestDirHead: what a folder has seen, it is not taken back behind, whichever
// home comes with it.
func TestDirHead(t *testing.T) {
	for name, c := range map[string]struct {
		to Head
		is error
	}{
		"older":           {Head{Epoch: 1, Size: 1}, nil},
		"older epoch":     {Head{Epoch: 0, Size: 9}, nil},
		"fork":            {Head{Epoch: 1, Size: 2}, feed.ErrForked},
		"another lineage": {Head{Epoch: 1, Size: 3, Lineage: trust.Lineage{1}}, trust.ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDir(t, t.TempDir())
			s := newShelf(t, "acme/dev/shared")
			s.publish("file/a@1", files{"x": "1"})
			s.mustPull(d, false)
			if c.to.Lineage == (trust.Lineage{}) {
				c.to.Lineage = s.lineage
			}
			err := d.Apply(t.Context(), Sync{ID: s.id, To: c.to})[0].Err
			var head *HeadError
			if !errors.As(err, &head) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestDirPlanOfBefore: a plan is not carried out if another pull was faster.
func TestDirPlanOfBefore(t *testing.T) {
	d := openDir(t, t.TempDir())
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1"})
	late := Plan(s.id, Choose(s.state(), anyone(), Selection{}, testNow), nil, Consent{})
	s.mustPull(d, false)
	err := d.Apply(t.Context(), s.sync(late))[0].Err
	var changed *ChangedError
	if !errors.As(err, &changed) {
		t.Errorf("got %v, want a *ChangedError", err)
	}
}

func TestDirLock(t *testing.T) {
	d := openDir(t, t.TempDir())
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1"})
	s.mustPull(d, false)
	k, err := d.open()
	ok(t, err)
	defer k.root.Close()
	release, err := d.tryLock(k)
	ok(t, err)

	s.publish("file/a@2", files{"x": "2"})
	d.Wait = time.Millisecond
	_, _, err = s.pull(t.Context(), d, false)
	var busy *BusyError
	if !errors.As(err, &busy) {
		t.Fatalf("got %v, want a *BusyError", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err = s.pull(ended, d, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	d.Wait = time.Minute
	done := make(chan error)
	go func() {
		_, _, err := s.pull(context.Background(), d, false)
		done <- err
	}()
	release()
	ok(t, <-done)
}

// TestDirBadPackages: whatever a package holds, nothing is changed.
func TestDirBadPackages(t *testing.T) {
	ref := feed.Ref{Kind: "file", Name: "bad", Version: "1"}
	layer := func(name, content string) feed.Layer {
		return feed.Layer{Ref: storage.RefOf([]byte(content)), Path: name, MediaType: "text/plain"}
	}
	for name, c := range map[string]struct {
		layers []feed.Layer
		want   string
	}{
		"content missing":  {[]feed.Layer{layer("a", "good"), layer("b", "missing")}, "bad@1"},
		"content too long": {[]feed.Layer{{Ref: storage.Ref{Digest: storage.DigestOf([]byte("good")), Size: 3}, Path: "a", MediaType: "x"}}, "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newShelf(t, "acme/dev/shared")
			s.publish("file/good@1", files{"x": "good"})
			s.publishManifest(ref, feed.Manifest{Kind: ref.Kind, Title: "bad", Version: "1", Layers: c.layers})
			_, _, err := s.pull(t.Context(), openDir(t, dir), false)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			if got := tree(t, dir); len(got) > 0 {
				t.Errorf("the folder holds %v", got)
			}
		})
	}
}

// TestCheckPackage: names are looked at again where they become names of files.
func TestCheckPackage(t *testing.T) {
	good := feed.Package{Row: feed.Row{Ref: parseRef("k/n@1")}, Manifest: feed.Manifest{Layers: []feed.Layer{{Path: "a/b"}}}}
	ok(t, checkPackage(&good))
	for _, path := range []string{"", "/etc/x", "../x", "a/../../x", "con.txt", "a\\b", ".airlock/index.json"} {
		bad := good
		bad.Manifest.Layers = []feed.Layer{{Path: path}}
		if checkPackage(&bad) == nil {
			t.Errorf("path %q is let in", path)
		}
	}
	bad := good
	bad.Row.Ref.Name = ".."
	if checkPackage(&bad) == nil {
		t.Error("the name .. is let in")
	}
}

// TestDirStreams: memory does not grow with the payload.
func TestDirStreams(t *testing.T) {
	const size = 128 << 20
	ref := patternRef(size)
	s := newShelf(t, "acme/dev/shared")
	peak := uint64(0)
	s.open = func(storage.Digest) (io.ReadCloser, error) {
		return &watched{pattern{n: size}, &peak}, nil
	}
	r := feed.Ref{Kind: "file", Name: "large", Version: "1"}
	s.publishManifest(r, feed.Manifest{Kind: r.Kind, Title: r.Name, Version: "1", Layers: []feed.Layer{{Ref: ref, Path: "large.bin", MediaType: "x"}}})
	dir := t.TempDir()
	runtime.GC()
	s.mustPull(openDir(t, dir), false)
	if peak > 64<<20 {
		t.Errorf("the heap grew to %d MiB", peak>>20)
	}
	info, err := os.Stat(filepath.Join(dir, "file/large/large.bin"))
	ok(t, err)
	if info.Size() != size {
		t.Errorf("%d bytes", info.Size())
	}
}

// watched looks at the heap while it is read, every 16 MiB.
type watched struct {
	pattern
	peak *uint64
}

func (w *watched) Read(b []byte) (int, error) {
	if before := w.at; before>>24 != (before+int64(len(b)))>>24 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		*w.peak = max(*w.peak, m.HeapAlloc)
	}
	return w.pattern.Read(b)
}

func (w *watched) Close() error { return nil }

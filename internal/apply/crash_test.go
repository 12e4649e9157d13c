package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"airlock/storage"
)

var errKilled = errors.New("killed")

// killer ends a process at a step: that one and all that follow fail.
type killer struct {
	mu      sync.Mutex
	at      int // the step that is not done any more; 0 for none
	n       int
	applies func(op string) bool // which steps count; nil for all
	err     error
	trace   []string
}

func (k *killer) step(op, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.applies != nil && !k.applies(op) {
		return nil
	}
	k.n++
	k.trace = append(k.trace, op+" "+name)
	if k.at > 0 && k.n >= k.at {
		return k.err
	}
	return nil
}

// before and after are the states on both sides of the sync of two feeds that
// is killed: it adds, replaces and removes files and packages, swaps files with
// folders, gives packages of the one feed to the other and leaves some as they
// are.
var (
	before = files{
		"file/a/x": "1", "file/a/same": "same", "file/a/gone": "g", "file/a/sub/z": "z", "file/a/flat": "f",
		"file/b/x": "b", "kept/k/x": "k", "old/c/deep/er/x": "c", "file/README": "of the user",
		"file/two/x": "1", "file/given/x": "1", "file/given/same": "same", "file/taken/x": "1",
	}
	after = files{
		"file/a/x": "2", "file/a/same": "same", "file/a/sub": "a file now", "file/a/flat/y": "a folder now", "file/a/new": "n",
		"file/d/x": "d", "kept/k/x": "k", "new/e/deep/er/x": "e", "file/README": "of the user",
		"file/two/x": "2", "file/given/x": "2", "file/given/same": "same", "file/taken/x": "1", "file/taken/more": "2",
	}
)

// halfway returns a folder in the state before, and the feeds with all that
// leads to the state after.
func halfway(t *testing.T) (string, shelves) {
	dir := filepath.Join(t.TempDir(), "conf")
	write(t, dir+"/file/README", "of the user")
	s := newShelf(t, "acme/dev/shared")
	s.publish("file/a@1", files{"x": "1", "same": "same", "gone": "g", "sub/z": "z", "flat": "f"})
	s.publish("file/b@1", files{"x": "b"})
	s.publish("kept/k@1", files{"x": "k"})
	s.publish("old/c@1", files{"deep/er/x": "c"})
	s.publish("file/given@1", files{"x": "1", "same": "same"})
	two := newShelf(t, "acme/dev/two")
	two.publish("file/two@1", files{"x": "1"})
	two.publish("file/taken@1", files{"x": "1"})
	all := shelves{s, two}
	ok(t, all.pull(t.Context(), openDir(t, dir), false))
	s.publish("file/a@2", files{"x": "2", "same": "same", "sub": "a file now", "flat/y": "a folder now", "new": "n"})
	s.withdraw("file/b@1")
	s.withdraw("old/c@1")
	s.publish("file/d@1", files{"x": "d"})
	s.publish("new/e@1", files{"deep/er/x": "e"})
	s.withdraw("file/given@1")
	s.publish("file/taken@1", files{"x": "1", "more": "2"})
	two.publish("file/two@2", files{"x": "2"})
	two.publish("file/given@1", files{"x": "2", "same": "same"})
	two.withdraw("file/taken@1")
	return dir, all
}

// killAt applies with a process that dies at a step, and reports whether it
// got that far.
func killAt(t *testing.T, dir string, s shelves, k *killer) error {
	t.Helper()
	d := &Dir{path: dir, now: testClock, step: k.step}
	return s.pull(t.Context(), d, true)
}

// sides returns on which side of the sync the folder has each feed.
func sides(t *testing.T, dir string, all shelves) (out []string) {
	d := openDir(t, dir)
	k, err := d.open()
	ok(t, err)
	defer k.root.Close()
	x, err := d.readIndex(k)
	ok(t, err)
	for _, s := range all {
		side := "before"
		if x.of(s.id).head() == s.head() {
			side = "after"
		}
		out = append(out, side)
	}
	return out
}

func TestDirKilledAtEachStep(t *testing.T) {
	whole := &killer{}
	dir, s := halfway(t)
	ok(t, killAt(t, dir, s, whole))
	if diff := cmp.Diff(after, plainTree(t, dir)); diff != "" {
		t.Fatalf("not killed (-want +got):\n%s", diff)
	}
	seen := map[string]int{}
	for at := 1; at <= whole.n; at++ {
		t.Run(fmt.Sprintf("%d %s", at, filepath.Base(whole.trace[at-1])), func(t *testing.T) {
			dir, s := halfway(t)
			if err := killAt(t, dir, s, &killer{at: at, err: errKilled}); !errors.Is(err, errKilled) {
				t.Fatalf("got %v", err)
			}
			journal := exists(dir, journalName)
			// The next process may die too, a little further on.
			again := &killer{at: 1 + at%7, err: errKilled}
			_ = (&Dir{path: dir, now: testClock, step: again.step}).resume()

			openDir(t, dir)
			got, side := plainTree(t, dir), sides(t, dir, s)
			switch {
			case cmp.Equal(got, after) && cmp.Equal(side, []string{"after", "after"}):
				seen["after"]++
			case cmp.Equal(got, before) && cmp.Equal(side, []string{"before", "before"}) && !journal:
				seen["before"]++
			default:
				t.Errorf("neither before nor after: the feeds are %v (-after +got):\n%s", side, cmp.Diff(after, got))
			}
			if exists(dir, journalName) {
				t.Error("the journal is there still")
			}
			if left, _ := os.ReadDir(filepath.Join(dir, stageFolder)); len(left) > 0 {
				t.Errorf("the stage holds %v", left)
			}
			ok(t, s.pull(t.Context(), openDir(t, dir), true))
			if diff := cmp.Diff(after, plainTree(t, dir)); diff != "" {
				t.Errorf("pulled again (-want +got):\n%s", diff)
			}
			if exists(dir, "old") || exists(dir, "file/b") {
				t.Error("folders stay behind")
			}
		})
	}
	if seen["before"] < 10 || seen["after"] < 10 {
		t.Errorf("seen %v: the test does not cover both sides", seen)
	}
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

// TestDirFull: a full disk changes nothing, at whichever step it shows.
func TestDirFull(t *testing.T) {
	writes := func(op string) bool { return op == "mkdir" || op == "create" || op == "write" || op == "syncfs" }
	for at := 1; ; at++ {
		dir, s := halfway(t)
		k := &killer{at: at, err: syscall.ENOSPC, applies: writes}
		err := killAt(t, dir, s, k)
		if err == nil {
			if at < 10 {
				t.Errorf("only %d steps", at)
			}
			return
		}
		if !errors.Is(err, storage.ErrNoSpace) {
			t.Fatalf("step %d: got %v", at, err)
		}
		if diff := cmp.Diff(before, plainTree(t, dir)); diff != "" {
			t.Fatalf("step %d, %s: something was changed (-want +got):\n%s", at, k.trace[at-1], diff)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, stageFolder)); len(left) > 0 {
			t.Fatalf("step %d: the stage holds %v", at, left)
		}
	}
}

// TestDirUnfinished: what people put in the way of a sync that was interrupted
// is not overwritten; once it is out of the way, the sync is completed.
func TestDirUnfinished(t *testing.T) {
	dir, s := halfway(t)
	moving := &killer{err: errKilled, applies: func(op string) bool { return op == "rename" }, at: 2}
	if err := killAt(t, dir, s, moving); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	write(t, dir+"/file/a/new", "mine")
	_, err := OpenDir(dir, testClock)
	in := occupied(t, err)
	var unfinished *UnfinishedError
	if !errors.As(err, &unfinished) || in.Path != "file/a/new" {
		t.Errorf("got %v", err)
	}
	ok(t, os.Remove(dir+"/file/a/new"))
	openDir(t, dir)
	if diff := cmp.Diff(after, plainTree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

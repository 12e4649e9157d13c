package killtest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/storage/storetest"
)

// site is a Space that receives, with a medium for it that carries two feeds.
type site struct {
	*world
	stick string
	inner string // the receiver's own store; a new one in each round
	round int
	s3    string // what the rounds' stores begin with, where they are in S3
}

// newSite makes a site that took in one medium and has the next at hand.
func newSite(t *testing.T, s3 string, env []string) *site {
	w := newWorld(t, "", nil)
	s := &site{world: w, stick: w.file("stick"), s3: s3}
	must(t, os.Mkdir(w.file("site"), 0o700))
	trusted := []string{"trust", "add", w.file("space.id"), "--feed", "shared", "--feed", "tools", "--thumbprint", w.own.Lineage().String()}
	s.do("init", "acme/production", "--plain-keys", "--person", "Bob")
	s.do("identity", "export", "-o", w.file("production.id"))
	h, err := home.Open(s.receiver())
	must(t, err)
	own, err := h.Identity()
	must(t, err)
	s.do(trusted...)
	w.must("trust", "add", w.file("production.id"), "--feed", "receipts", "--thumbprint", own.Lineage().String())
	if out, err := s.command(t.Context(), w.file("reader"), trusted...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.release("shared", "a", "1", "one")
	s.release("shared", "b", "1", "one")
	s.release("tools", "c", "1", "one")
	w.must("bundle", "create", "shared", "tools", "--to", "acme/production", "-o", w.file("first"), "--store", w.store)
	s.release("shared", "a", "2", "two")
	s.release("tools", "d", "1", string(storetest.Text(1, 1<<20+1))) // which is chunked
	w.must("withdraw", "shared", "file/b@1", "--store", w.store)
	w.must("bundle", "create", "shared", "tools", "--to", "acme/production", "-o", s.stick, "--store", w.store)
	w.env = env
	return s
}

func (s *site) receiver() string { return filepath.Join(s.file("site"), "home") }
func (s *site) conf() string     { return filepath.Join(s.file("site"), "conf") }

func (s *site) release(feed, name, version, content string) {
	file := s.file("payload")
	must(s.t, os.WriteFile(file, []byte(content), 0o600))
	s.must("publish", feed, file, "--kind", "file", "--name", name, "--version", version, "--store", s.store)
}

// do runs a command of the receiver to its end and returns what it says.
func (s *site) do(args ...string) string {
	s.t.Helper()
	cmd := s.command(s.t.Context(), s.receiver(), args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("airlock %v: %v\n%s", args, err, &stderr)
	}
	return string(out)
}

// keep makes what is there now the beginning of each round.
func (s *site) keep() {
	must(s.t, os.Rename(s.file("site"), s.file("kept")))
	s.again()
}

// again begins a round.
func (s *site) again() {
	must(s.t, os.RemoveAll(s.file("site")))
	if out, err := exec.Command("cp", "-a", s.file("kept"), s.file("site")).CombinedOutput(); err != nil {
		s.t.Fatalf("cp: %v\n%s", err, out)
	}
	s.round++
	s.inner = filepath.Join(s.file("site"), "store")
	if s.s3 != "" {
		s.inner = s.s3 + strconv.Itoa(s.round)
	}
}

// folder returns what the folder has, once whoever comes next has opened it: the
// files, and how far it has each feed.
func (s *site) folder() string {
	_, err := apply.OpenDir(s.conf(), time.Now)
	must(s.t, err)
	var out strings.Builder
	err = filepath.WalkDir(s.conf(), func(name string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.conf(), name)
		if err != nil || e.IsDir() || filepath.Dir(rel) == ".airlock" && rel != ".airlock/index.json" {
			return err
		}
		b, err := os.ReadFile(name)
		if rel == ".airlock/index.json" {
			fmt.Fprintf(&out, "%s\n", undated(s.t, b))
			return err
		}
		fmt.Fprintln(&out, rel, storage.DigestOf(b))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	return out.String()
}

// receipts returns what the receiver's receipts say: each thing once, for one may
// repeat, and without what was done to what was found in place.
func (s *site) receipts() string {
	var docs []struct{ Package, Outcome, Operation string }
	must(s.t, json.Unmarshal([]byte(s.do("receipt", "list", "acme/production", "--store", s.inner, "-f", "json")), &docs))
	var said []string
	for _, d := range docs {
		if d.Operation != "remove" {
			d.Operation = ""
		}
		said = append(said, fmt.Sprintln(d.Package, d.Outcome, d.Operation))
	}
	slices.Sort(said)
	return strings.Join(slices.Compact(said), "")
}

// undated takes all out of a document that each run makes anew.
func undated(t *testing.T, b []byte) []byte {
	var doc any
	must(t, json.Unmarshal(b, &doc))
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				strip(e)
			}
		case map[string]any:
			for _, name := range []string{"modified", "when"} {
				delete(v, name)
			}
			for _, e := range v {
				strip(e)
			}
		}
	}
	strip(doc)
	b, err := json.MarshalIndent(doc, "", " ")
	must(t, err)
	return b
}

// taking is a command that takes in a medium.
type taking struct {
	command func(s *site) []string
	// begin prepares what is there before.
	begin func(s *site)
	// halfway returns what others see after a run that had a fault: each as before
	// it, or as after it.
	halfway func(s *site) []string
	// end returns what there is once the command was done.
	end func(s *site) string
}

var pulling = taking{
	command: func(s *site) []string {
		return []string{"pull", "--from", s.stick, "--into", s.conf(), "--prune", "--store", s.inner}
	},
	begin: func(s *site) {
		s.do("pull", "--from", s.file("first"), "--into", s.conf()) // its receipts wait
	},
	halfway: func(s *site) []string { return []string{s.folder()} },
	end: func(s *site) string {
		s.do("receipt", "send", "--store", s.inner)
		again := s.do("pull", "--from", s.stick, "--into", s.conf(), "--prune", "--receipts", "off")
		return fmt.Sprintln(s.folder(), s.receipts(), "already taken in:", strings.Count(again, "already taken in"))
	},
}

var importing = taking{
	command: func(s *site) []string { return []string{"bundle", "import", s.stick, "--store", s.inner} },
	begin:   func(*site) {},
	halfway: func(s *site) (out []string) { // in a store each feed is for itself
		for _, feed := range []string{"shared", "tools"} {
			got, err := s.command(s.t.Context(), s.file("reader"), "verify", "acme/dev-qa/"+feed, "--from", s.inner).CombinedOutput()
			seen := "is there"
			switch {
			case err == nil:
			case strings.Contains(string(got), "there is no feed"), strings.Contains(string(got), "there is neither a bundle nor a store"):
				seen = "is not there"
			default:
				s.t.Errorf("verify %s: %v\n%s", feed, err, got)
			}
			out = append(out, feed+" "+seen)
		}
		return out
	},
	end: func(s *site) string {
		s.do("pull", "--from", s.inner, "--into", s.conf(), "--receipts", "off")
		return s.folder()
	},
}

// scanning is an agent that makes one scan of the receiver's own store, which lies
// where a backup of it is put back from with all the rest: the board of the agents too.
var scanning = taking{
	command: func(s *site) []string {
		return []string{"agent", "--once", "--store", s.inner, "--receipts", "off", "--takeover", "1s"}
	},
	begin: func(s *site) {
		s.must("server", "admit", s.file("production.id"), "--store", s.store)
		if out, err := exec.Command("cp", "-a", s.store, filepath.Join(s.file("site"), "store")).CombinedOutput(); err != nil {
			s.t.Fatalf("cp: %v\n%s", err, out)
		}
		s.do("subscription", "add", "conf", "--feed", "acme/dev-qa/*", "--into", s.conf(), "--prune")
		s.do("pull", "--from", s.file("first"), "--into", s.conf(), "--receipts", "off")
	},
	halfway: func(*site) []string { return nil }, // of several feeds each is for itself
	end: func(s *site) string {
		got := s.folder()
		if !strings.Contains(got, "file/d/") || strings.Contains(got, "file/b/") {
			s.t.Errorf("it was not brought up to date:\n%s", got)
		}
		return got
	},
}

// survives lets a command meet a fault at some of the calls that matter, another
// choice each time the test runs, and then do its work. expected reports whether
// a run that failed said what it should.
func (w taking) survives(t *testing.T, s *site, f fault, expected func(ran) bool) {
	w.begin(s)
	s.keep()
	before := w.halfway(s)
	whole := f.run(t, s.run(w))
	if whole.code != 0 {
		t.Fatalf("exit code %d\n%s", whole.code, whole.output)
	}
	after := w.halfway(s)
	end := w.end(s)
	if before != nil && slices.Equal(before, after) {
		t.Fatal("nothing was taken in")
	}
	step := share(whole.calls)
	for f.at = 1 + rand.IntN(step); f.at <= whole.calls; f.at += step {
		s.again()
		got := f.run(t, s.run(w))
		about := fmt.Sprintf("at %d of %d calls, %s, exit code %d:\n%s", f.at, whole.calls, got.at, got.code, got.output)
		seen := w.halfway(s)
		for i, seen := range seen {
			if seen != before[i] && seen != after[i] {
				t.Errorf("%shalf of it: %s", about, cmp.Diff(after[i], seen))
			}
		}
		if strings.Contains(got.output, "nothing was applied") && !slices.Equal(seen, before) || got.code == 0 && !slices.Equal(seen, after) {
			t.Errorf("%sthis is not so", about)
		}
		if got.code > 0 && !expected(got) {
			t.Errorf("%sthis is not what is to be said", about)
		}
		if out, err := s.run(w).CombinedOutput(); err != nil {
			t.Errorf("%sgoing on: %v\n%s", about, err, out)
		} else if got := w.end(s); got != end {
			t.Errorf("%sgoing on gave another end:\n%s", about, cmp.Diff(end, got))
		}
	}
}

func (s *site) run(w taking) *exec.Cmd {
	return s.command(s.t.Context(), s.receiver(), w.command(s)...)
}

var every = flag.Bool("every", false, "take in a medium with a fault at every call in turn, which takes half an hour")

// share returns of how many calls one has a fault.
func share(calls int) int {
	switch {
	case *every:
		return 1
	case testing.Short():
		return calls / 2
	}
	return calls / 4
}

// each runs a test for each way of taking in. What the rounds' stores begin with
// is said where they are in S3.
func each(t *testing.T, s3 string, env []string, f fault, expected func(ran) bool) {
	for name, way := range map[string]taking{"pull": pulling, "import": importing} {
		t.Run(name, func(t *testing.T) {
			prefix := s3
			if s3 != "" {
				prefix += "/" + name + "-"
			}
			way.survives(t, newSite(t, prefix, env), f, expected)
		})
	}
}

// never is for runs that are killed: they say nothing.
func never(ran) bool { return false }

// Whatever kills the program while it takes in a medium: its folder has all
// feeds as before or all as after, and the next run ends as if nothing had been.
func TestTakeInKilled(t *testing.T) {
	each(t, "", nil, fault{matters: writes}, never)
	t.Run("S3", func(t *testing.T) {
		cfg := storetest.VersityGW(t)
		each(t, "s3://"+cfg.Bucket, s3Env(cfg), fault{matters: asks}, never)
	})
}

// Whatever kills an agent in the middle of its work: the next scan ends as if nothing
// had been.
func TestAgentKilled(t *testing.T) {
	scanning.survives(t, newSite(t, "", nil), fault{matters: writes}, never)
}

// The same with a disk that is full from some moment on. What comes after the
// commit may fail without harm.
func TestTakeInFull(t *testing.T) {
	each(t, "", nil, fault{matters: needsRoom, errno: syscall.ENOSPC}, func(r ran) bool {
		return r.code == 16 && strings.Contains(r.output, "airlock: hint: ")
	})
}

// The same with a medium that is pulled out while it is read.
func TestTakeInUnplugged(t *testing.T) {
	ofMedium := func(c call) bool {
		name := c.file()
		if c.regs.Orig_rax == unix.SYS_OPENAT || c.regs.Orig_rax == unix.SYS_NEWFSTATAT {
			name = c.path(c.regs.Rsi)
		}
		return strings.Contains(name, "/stick/")
	}
	each(t, "", nil, fault{matters: ofMedium, errno: syscall.EIO}, func(r ran) bool {
		return r.code == 1 && strings.Contains(r.output, "airlock: hint: is the disk or medium still there?")
	})
}

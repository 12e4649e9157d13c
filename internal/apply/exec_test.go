//go:build unix

package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"airlock/feed"
	"airlock/storage"
)

func program(t *testing.T, script string) *Exec {
	t.Helper()
	return &Exec{
		Program: Program{Command: Shell(script), Env: append(os.Environ(), "AIRLOCK_PASSPHRASE=secret", "AIRLOCK_HOME=/home/x", "OUT="+filepath.Join(t.TempDir(), "out")),
			Temp: t.TempDir()},
		State: storage.NewMem(), Key: "test", Now: testClock,
	}
}

// out returns what the program wrote to $OUT since the last call.
func (e *Exec) out(t *testing.T) string {
	t.Helper()
	name := strings.TrimPrefix(e.Env[len(e.Env)-1], "OUT=")
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	_ = os.Remove(name)
	return string(b)
}

func expectOut(t *testing.T, e *Exec, want string) {
	t.Helper()
	if diff := cmp.Diff(want, e.out(t)); diff != "" {
		t.Errorf("the program saw (-want +got):\n%s", diff)
	}
}

func TestExecStory(t *testing.T) {
	e := program(t, `echo "$AIRLOCK_UPDATE_OP $AIRLOCK_UPDATE_KIND/$AIRLOCK_UPDATE_NAME $AIRLOCK_UPDATE_FROM>$AIRLOCK_UPDATE_VERSION #$AIRLOCK_UPDATE_INDEX [$(cd ${AIRLOCK_UPDATE_DIR:-/nowhere} 2>&- && cat $(find . -type f | sort) | tr '\n' ' ')]" >>$OUT`)
	s := newShelf(t, "acme/dev/shared")
	s.publish("set/db@1", files{"v.json": "one"})
	s.publish("tpl/slack@1", files{"a": "A", "b/c": "C"})
	s.mustPull(e, false)
	expectOut(t, e, "add set/db >1 #1 [one]\nadd tpl/slack >1 #2 [AC]\n")
	s.mustPull(e, false)
	expectOut(t, e, "")

	s.withdraw("tpl/slack@1")
	s.publish("set/db@2", files{"v.json": "two"})
	s.publish("set/new@1", files{"v.json": "new"})
	s.mustPull(e, false)
	expectOut(t, e, "change set/db 1>2 #4 [two]\nadd set/new >1 #5 [new]\n")
	s.mustPull(e, true)
	expectOut(t, e, "remove tpl/slack 1>1 #3 []\n")
	s.mustPull(e, true)
	expectOut(t, e, "")
	if left, _ := os.ReadDir(e.Temp); len(left) > 0 {
		t.Errorf("folders stay behind: %v", left)
	}
	other := *e
	other.Key = "another program"
	s.mustPull(&other, false)
	expectOut(t, e, "add set/db >2 #4 [two]\nadd set/new >1 #5 [new]\n")
}

// TestExecTells: environment and standard input say the same, and hold nothing
// of our own.
func TestExecTells(t *testing.T) {
	e := program(t, `env | grep ^AIRLOCK_ | sort >$OUT; cat >>$OUT; test -f "$AIRLOCK_UPDATE_FILE"`)
	s := newShelf(t, "acme/dev/shared")
	row := s.publish("set/db@1_b", files{"a/v.json": "one"})
	s.mustPull(e, false)
	lines := strings.Split(strings.TrimSpace(e.out(t)), "\n")
	env := map[string]string{}
	for _, l := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(l, "AIRLOCK_UPDATE_"), "AIRLOCK_"), "=")
		env[strings.ToLower(name)] = value
	}
	var told struct {
		Dir, Feed, File, Kind, Name, Op, Version, Manifest, Statement string
		ID                                                            string
		Index, Fence                                                  int64
		Files                                                         []struct{ Path, Digest string }
	}
	ok(t, json.Unmarshal([]byte(lines[len(lines)-1]), &told))
	want := map[string]string{
		"op": "add", "feed": "acme/dev/shared", "kind": "set", "name": "db", "version": "1_b", "from": "", "index": "1",
		"statement": row.ID.String(), "manifest": row.Manifest.String(), "dir": told.Dir, "file": told.File, "home": "/home/x",
		"id": told.ID, "fence": "",
	}
	if diff := cmp.Diff(want, env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if told.Op != "add" || told.Version != "1_b" || told.Index != 1 || told.Fence != 0 || len(told.ID) != 32 || told.Statement != row.ID.String() ||
		filepath.Join(told.Dir, "a", "v.json") != told.File || told.Files[0].Digest != storage.DigestOf([]byte("one")).String() {
		t.Errorf("standard input: %+v", told)
	}
}

// TestExecFails: what the program does not take is kept, the others go on, and
// the next sync tries again.
func TestExecFails(t *testing.T) {
	e := program(t, `echo $AIRLOCK_UPDATE_NAME >>$OUT; echo about $AIRLOCK_UPDATE_NAME; case $AIRLOCK_UPDATE_NAME in b) echo no room for b >&2; exit 3;; esac`)
	var stdout, stderr bytes.Buffer
	e.Stdout, e.Stderr = &stdout, &stderr
	s := newShelf(t, "acme/dev/shared")
	for _, ref := range []string{"k/a@1", "k/b@1", "k/c@1"} {
		s.publish(ref, files{"x": ref})
	}
	_, outcomes, err := s.pull(t.Context(), e, false)
	var incomplete *IncompleteError
	var refused *ProgramError
	if !errors.As(err, &incomplete) || incomplete.Failed != 1 || incomplete.Total != 3 || !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	if want := "add k/b@1: the program's exit status 3: no room for b"; refused.Error() != want {
		t.Errorf("got %q, want %q", refused, want)
	}
	if outcomes[0].Err != nil || outcomes[1].Err == nil || outcomes[2].Err != nil || len(outcomes[1].Output) != len("about b\nno room for b\n") {
		t.Errorf("outcomes %+v", outcomes)
	}
	if stdout.String() != "about a\nabout b\nabout c\n" || stderr.String() != "no room for b\n" {
		t.Errorf("passed through %q and %q", stdout.String(), stderr.String())
	}
	expectOut(t, e, "a\nb\nc\n")
	failures, err := e.Failures(t.Context(), s.id)
	ok(t, err)
	if len(failures) != 1 || failures[0].Ref != parseRef("k/b@1") || !failures[0].When.Equal(testNow) {
		t.Errorf("failures %+v", failures)
	}
	kept, err := e.load(t.Context(), s.id)
	ok(t, err)
	if kept.doc.Size != 0 {
		t.Errorf("applied up to %d, and not all was", kept.doc.Size)
	}
	e.Command = Shell(`echo $AIRLOCK_UPDATE_NAME >>$OUT`)
	s.mustPull(e, false)
	expectOut(t, e, "b\n")
	if failures, _ := e.Failures(t.Context(), s.id); len(failures) > 0 {
		t.Errorf("failures %+v", failures)
	}
}

// losing is a store whose cells lose what is written.
type losing struct{ storage.Cells }

var errLost = errors.New("lost")

func (losing) Swap(context.Context, string, string, []byte) (string, error) { return "", errLost }

// TestExecAtLeastOnce: what was not kept is handed over again.
func TestExecAtLeastOnce(t *testing.T) {
	e := program(t, `echo $AIRLOCK_UPDATE_NAME >>$OUT`)
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	good := *e.State
	e.State = &storage.Store{Cells: losing{good.Cells}}
	if _, _, err := s.pull(t.Context(), e, false); !errors.Is(err, errLost) {
		t.Fatalf("got %v", err)
	}
	e.State = &good
	s.mustPull(e, false)
	s.mustPull(e, false)
	expectOut(t, e, "a\na\n")
}

// TestExecShares: others are told before an update is handed out and after it, and
// where that fails nothing is handed out. An update that comes again is the same.
func TestExecShares(t *testing.T) {
	e := program(t, `echo "$AIRLOCK_UPDATE_NAME $AIRLOCK_UPDATE_VERSION $AIRLOCK_UPDATE_ID $AIRLOCK_UPDATE_FENCE" >>$OUT`)
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	s.publish("k/b@1", files{"x": "2"})
	var said []string
	lost := ""
	e.Sharing = func(_ context.Context, id feed.ID, took []Item, next *Action) (int64, error) {
		text := ""
		for _, it := range took {
			text += it.Ref.String() + " "
		}
		if next != nil {
			text += "+" + next.Ref.String()
		}
		if said = append(said, text); next != nil && next.Ref.Name == lost {
			return 0, errLost
		}
		return 7, nil
	}
	lost = "b"
	if _, outcomes, err := s.pull(t.Context(), e, false); !errors.Is(err, errLost) || len(outcomes) != 1 {
		t.Errorf("%v, outcomes %+v", err, outcomes)
	}
	if diff := cmp.Diff([]string{"+k/a@1", "k/a@1 +k/b@1", "k/a@1 "}, said); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	first := e.out(t)
	if !strings.HasPrefix(first, "a 1 ") || !strings.HasSuffix(first, " 7\n") || strings.Count(first, "\n") != 1 {
		t.Errorf("the program saw %q", first)
	}
	said, lost = nil, ""
	s.mustPull(e, false)
	second := e.out(t)
	s.mustPull(e, false)
	if len(said) != 2 || !strings.HasPrefix(second, "b 1 ") {
		t.Errorf("told %q, the program saw %q; and where nothing is to do nothing is said", said, second)
	}
	again := *e
	again.State, again.Sharing = storage.NewMem(), nil
	s.mustPull(&again, false)
	if got := e.out(t); strings.ReplaceAll(got, " \n", " 7\n") != first+second {
		t.Errorf("the same updates: %q, want %q", got, first+second)
	}
}

// TestExecAdopts: what others say that the program took is what it took.
func TestExecAdopts(t *testing.T) {
	e := program(t, `echo "$AIRLOCK_UPDATE_OP $AIRLOCK_UPDATE_NAME $AIRLOCK_UPDATE_FROM" >>$OUT`)
	s := newShelf(t, "acme/dev/shared")
	a, b := s.publish("k/a@1", files{"x": "1"}), s.publish("k/b@1", files{"x": "2"})
	item := func(row feed.Row) Item {
		return Item{Ref: row.Ref, Index: row.Index, Statement: row.ID, Manifest: row.Manifest}
	}
	ok(t, e.Adopt(t.Context(), s.id, []Item{item(a)}))
	s.mustPull(e, false)
	expectOut(t, e, "add b \n")
	s.publish("k/a@2", files{"x": "3"})
	s.mustPull(e, false)
	expectOut(t, e, "change a 1\n")
	ok(t, e.Adopt(t.Context(), s.id, []Item{item(a), item(b)})) // somebody took it back
	s.mustPull(e, false)
	expectOut(t, e, "change a 1\n")
	ok(t, e.Adopt(t.Context(), s.id, nil))
	s.mustPull(e, false)
	expectOut(t, e, "add b \nadd a \n")
}

// TestExecTogether: two syncs for one program lose nothing of each other.
func TestExecTogether(t *testing.T) {
	e := program(t, `echo $AIRLOCK_UPDATE_NAME >>$OUT`)
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	s.publish("k/b@1", files{"x": "2"})
	slow, err := e.load(t.Context(), s.id)
	ok(t, err)
	_, _, err = s.pullSelected(t.Context(), e, Selection{Names: []string{"a"}}, false)
	ok(t, err)
	slow.set("k/b", &Item{Ref: parseRef("k/b@1"), Index: 2})
	ok(t, slow.keep(t.Context(), testNow))
	items, err := e.Installed(t.Context(), s.id)
	ok(t, err)
	if len(items) != 2 {
		t.Errorf("installed %+v", items)
	}
}

// TestExecDamaged: the program is not started for a package of which not all
// is good.
func TestExecDamaged(t *testing.T) {
	e := program(t, `echo $AIRLOCK_UPDATE_NAME >>$OUT`)
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	s.publish("k/b@1", files{"x": "good", "y": "bad"})
	s.objects[storage.DigestOf([]byte("bad"))] = []byte("BAD")
	_, _, err := s.pull(t.Context(), e, false)
	var digest *storage.DigestError
	if !errors.As(err, &digest) {
		t.Errorf("got %v, want a *storage.DigestError", err)
	}
	expectOut(t, e, "a\n")
}

func TestExecNoProgram(t *testing.T) {
	e := program(t, "")
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	for _, command := range [][]string{nil, {"no-such-program-anywhere"}} {
		e.Command = command
		_, outcomes, err := s.pull(t.Context(), e, false)
		var incomplete *IncompleteError
		if err == nil || errors.As(err, &incomplete) || len(outcomes) > 0 {
			t.Errorf("%v: got %v", command, err)
		}
	}
}

// atLine calls then once a line was written.
type atLine struct{ then func() }

func (a atLine) Write(p []byte) (int, error) {
	if bytes.ContainsRune(p, '\n') {
		a.then()
	}
	return len(p), nil
}

// TestExecStops: an interrupted sync ends the program with all that it
// started, keeps what was done, and does not call the rest failed. If what it
// started lived on, it would hold the output and the test the grace time.
func TestExecStops(t *testing.T) {
	e := program(t, `echo $AIRLOCK_UPDATE_NAME >>$OUT; case $AIRLOCK_UPDATE_NAME in b) sleep 600 & echo up; wait;; esac`)
	s := newShelf(t, "acme/dev/shared")
	for _, ref := range []string{"k/a@1", "k/b@1", "k/c@1"} {
		s.publish(ref, files{"x": ref})
	}
	ctx, cancel := context.WithCancel(t.Context())
	e.Stdout = atLine{cancel}
	began := time.Now()
	_, outcomes, err := s.pull(ctx, e, false)
	if !errors.Is(err, context.Canceled) || len(outcomes) != 1 {
		t.Errorf("got %v, outcomes %+v", err, outcomes)
	}
	if took := time.Since(began); took >= stopGrace {
		t.Errorf("it took %s to stop", took)
	}
	expectOut(t, e, "a\nb\n")
	if failures, _ := e.Failures(t.Context(), s.id); len(failures) > 0 {
		t.Errorf("failures %+v", failures)
	}
	e.Command = Shell(`echo $AIRLOCK_UPDATE_NAME >>$OUT`)
	s.mustPull(e, false)
	expectOut(t, e, "b\nc\n")
}

func TestExecTimeout(t *testing.T) {
	e := program(t, `case $AIRLOCK_UPDATE_NAME in a) sleep 600;; esac; echo $AIRLOCK_UPDATE_NAME >>$OUT`)
	e.Timeout = 300 * time.Millisecond
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	s.publish("k/b@1", files{"x": "2"})
	_, _, err := s.pull(t.Context(), e, false)
	var refused *ProgramError
	if !errors.As(err, &refused) || refused.Ref.Name != "a" || !strings.Contains(refused.Why, "longer than 300ms") {
		t.Errorf("got %v", err)
	}
	expectOut(t, e, "b\n")
}

// TestExecHead: the record of a program is not taken back, and not to another
// Space, even after a sync that was not complete.
func TestExecHead(t *testing.T) {
	e := program(t, `exit 1`)
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	if _, _, err := s.pull(t.Context(), e, false); err == nil {
		t.Fatal("no error")
	}
	s.lineage[0]++
	var head *HeadError
	if _, _, err := s.pull(t.Context(), e, false); !errors.As(err, &head) {
		t.Errorf("another lineage: got %v", err)
	}
	s.lineage[0]--
	e.Command = Shell("exit 0")
	s.mustPull(e, false)
	older := s.head()
	older.Size--
	if err := e.Apply(t.Context(), Sync{ID: s.id, To: older})[0].Err; !errors.As(err, &head) {
		t.Errorf("older: got %v", err)
	}
}

func TestTail(t *testing.T) {
	var w tail
	for range 3 * MaxOutput / 1000 {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 999))
		_, _ = w.Write([]byte("\n"))
	}
	_, _ = w.Write([]byte("\x1b[31mthe end\n\n"))
	if got := w.String(); len(got) != MaxOutput+len("…") || !strings.HasPrefix(got, "…") {
		t.Errorf("%d bytes are kept", len(got))
	}
	if got := lastLine(w.String()); got != "?[31mthe end" {
		t.Errorf("last line %q", got)
	}
	_, _ = w.Write(bytes.Repeat([]byte("y"), 2*MaxOutput))
	if got := w.String(); len(got) != MaxOutput+len("…") || strings.Contains(got, "x") {
		t.Errorf("%d bytes are kept", len(got))
	}
}

//go:build unix

package apply

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

// scan asks a shell script about the last package of a shelf.
func scan(ctx context.Context, t *testing.T, s *shelf, script string, change func(*Scanner)) (clean bool, said string, err error) {
	t.Helper()
	scanner := &Scanner{Program{Command: Shell(script), Env: append(os.Environ(), "AIRLOCK_PASSPHRASE=secret"), Temp: t.TempDir()}}
	if change != nil {
		change(scanner)
	}
	row := s.index.Row(s.index.Size() - 1)
	fetching := s.fetch(ctx, []feed.Row{row}, func(p *feed.Package) error {
		clean, said, err = scanner.Scan(ctx, s.id, p)
		return nil
	})
	if left, _ := os.ReadDir(scanner.Temp); len(left) > 0 {
		t.Errorf("folders stay behind: %v", left)
	}
	return clean, said, errors.Join(fetching, err)
}

func TestScanner(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	s.publish("set/db@1", files{"v.json": "one", "z/w.txt": "two"})
	for name, test := range map[string]struct {
		script string
		change func(*Scanner)
		clean  bool
		said   string
		err    string
	}{
		"clean":             {script: "echo first; echo fine", clean: true, said: "fine"},
		"clean in silence":  {script: "exit 0", clean: true},
		"refused":           {script: "echo found it; exit 1", said: "found it"},
		"refused with 2":    {script: "echo broken >&2; exit 2", said: "broken"},
		"refused with 125":  {script: "exit 125"},
		"not found":         {script: "no-such-scanner", err: "scanner: cannot be started: exit status 127"},
		"not executable":    {script: "/", err: "scanner: cannot be started: exit status 126"},
		"no shell":          {change: func(s *Scanner) { s.Command = []string{"/nowhere/scanner"} }, err: "scanner: program"},
		"no command":        {change: func(s *Scanner) { s.Command = nil }, err: "none was named"},
		"killed":            {script: "echo so far; kill -9 $$", err: "set/db@1 was not scanned: the scanner's signal: killed: so far"},
		"too long":          {script: "sleep 30", change: func(s *Scanner) { s.Timeout = 50 * time.Millisecond }, err: "set/db@1 was not scanned: the scanner's run took longer than 50ms"},
		"too long, then no": {script: "trap 'exit 1' TERM; sleep 30 & wait", change: func(s *Scanner) { s.Timeout = 300 * time.Millisecond }, err: "was not scanned"},
		"too long, then ok": {script: "trap 'exit 0' TERM; sleep 30 & wait", change: func(s *Scanner) { s.Timeout = 300 * time.Millisecond }, err: "was not scanned"},
		"all files are":     {script: `test "$(cat "$AIRLOCK_SCAN_DIR/v.json" "$AIRLOCK_SCAN_DIR/z/w.txt")" = onetwo`, clean: true},
		"the first is told": {script: `test "$(cat "$AIRLOCK_SCAN_FILE")" = one`, clean: true},
		"changes them":      {script: `rm -r "$AIRLOCK_SCAN_DIR"`, clean: true},
		"nobody else sees":  {script: `test "$(ls -ld "$AIRLOCK_SCAN_DIR" | cut -c1-10)" = drwx------`, clean: true},
		"no input":          {script: "test -z \"$(cat)\"", clean: true},
	} {
		t.Run(name, func(t *testing.T) {
			clean, said, err := scan(t.Context(), t, s, test.script, test.change)
			if clean != test.clean || said != test.said || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("clean %v, said %q, %v", clean, said, err)
			}
			var none *NoVerdictError
			if stopped := strings.Contains(test.err, "was not scanned"); errors.As(err, &none) != stopped {
				t.Errorf("%v: no verdict %v, want %v", err, !stopped, stopped)
			}
		})
	}
}

func TestScannerTells(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	row := s.publish("set/db@1_b", files{"a/v.json": "one"})
	out := filepath.Join(t.TempDir(), "out")
	if _, _, err := scan(t.Context(), t, s, "env | grep ^AIRLOCK_ | sort | grep -v -e DIR= -e FILE= >"+out, nil); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	ok(t, err)
	want := "AIRLOCK_SCAN_FEED=acme/dev/shared\nAIRLOCK_SCAN_KIND=set\nAIRLOCK_SCAN_MANIFEST=" + row.Manifest.String() + "\nAIRLOCK_SCAN_NAME=db\nAIRLOCK_SCAN_VERSION=1_b\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// A package of which not all is good is not shown to the scanner, and one that
// people interrupted says nothing.
func TestScannerStops(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	s.publish("set/db@1", files{"x": "1"})
	out := filepath.Join(t.TempDir(), "out")
	s.objects[storage.DigestOf([]byte("1"))] = []byte("2")
	if clean, _, err := scan(t.Context(), t, s, "echo >"+out, nil); err == nil || clean {
		t.Errorf("clean %v, %v", clean, err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the scanner ran: %v", err)
	}
	s.objects[storage.DigestOf([]byte("1"))] = []byte("1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clean, _, err := scan(ctx, t, s, "sleep 30", func(s *Scanner) { s.Stdout = nil; time.AfterFunc(50*time.Millisecond, cancel) })
	var none *NoVerdictError
	if clean || !errors.Is(err, context.Canceled) || errors.As(err, &none) {
		t.Errorf("interrupted: clean %v, %v", clean, err)
	}
}

// TestChooseUnscanned: of each name the newest version that only a scan keeps out
// is to be scanned, until one is clean.
func TestChooseUnscanned(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	rows := map[string]feed.Row{}
	for _, ref := range []string{"set/db@1", "set/db@2", "set/db@3", "tpl/x@1"} {
		rows[ref] = s.publish(ref, files{"x": ref})
	}
	publish := trust.Allow{Feeds: []string{"shared"}, Kinds: []string{"set"}, Rights: []trust.Right{trust.MayPublish}}
	v := policy(t, func(p *trust.Policy) { p.Scan = trust.ScanRequired }, publish)
	said := map[storage.Digest]bool{}
	v.Judge(trust.Evidence{Scans: func(m storage.Digest) ([]trust.Scan, error) {
		clean, found := said[m]
		if !found {
			return nil, nil
		}
		return []trust.Scan{{Command: "x", Clean: clean}}, nil
	}})
	expect := func(unscanned, wanted, pending string, installed ...Item) {
		t.Helper()
		c := Choose(s.state(), v, Selection{}, testNow)
		got := ""
		if r := c.Pending(installed); r != nil {
			got = r.Row.Ref.String()
		}
		if diff := cmp.Diff([]string{unscanned, wanted, pending},
			[]string{strings.Join(refs(c.Unscanned), " "), strings.Join(refs(c.Wanted), " "), got}); diff != "" {
			t.Errorf("unscanned, wanted, pending (-want +got):\n%s", diff)
		}
	}
	expect("set/db@3", "", "set/db@3")
	said[rows["set/db@3"].Manifest] = false
	expect("set/db@2", "", "set/db@3")
	said[rows["set/db@1"].Manifest] = true
	expect("set/db@2", "set/db@1", "set/db@3")
	said[rows["set/db@2"].Manifest] = true
	expect("", "set/db@2", "set/db@3")
	expect("", "set/db@2", "set/db@3", Item{Ref: rows["set/db@3"].Ref, Statement: rows["set/db@3"].ID})
	said[rows["set/db@3"].Manifest] = true
	expect("", "set/db@3", "")

	// What was installed and is not scanned by now stays; what was refused gives way.
	installed := []Item{{Ref: rows["set/db@3"].Ref, Index: rows["set/db@3"].Index, Statement: rows["set/db@3"].ID, Manifest: rows["set/db@3"].Manifest}}
	delete(said, rows["set/db@3"].Manifest)
	plan := Plan(s.id, Choose(s.state(), v, Selection{}, testNow), installed, Consent{})
	if diff := cmp.Diff([]string{"! set/db 3 (lacks approvals or a scan by now; what is installed stays)"}, texts(plan)); diff != "" {
		t.Error(diff)
	}
	said[rows["set/db@3"].Manifest] = false
	plan = Plan(s.id, Choose(s.state(), v, Selection{}, testNow), installed, Consent{})
	if len(plan) != 1 || plan[0].Op != Change || plan[0].Ref != rows["set/db@2"].Ref {
		t.Errorf("refused, an older one is clean: %v", texts(plan))
	}
}

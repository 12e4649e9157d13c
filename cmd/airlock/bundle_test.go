package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"airlock/bundle"
	"airlock/storage/storetest"
	"airlock/trust"
)

// randomFile runs "random FILE SIZE": bytes that nothing makes smaller.
func randomFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: random FILE SIZE")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), storetest.Random(1, size), 0o600))
}

// volumeOf runs "volume VAR DIR N": $VAR is the Nth volume in a folder.
func volumeOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: volume VAR DIR N")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	names, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*"+bundle.Extension))
	ts.Check(err)
	if n < 1 || n > len(names) {
		ts.Fatalf("%s has %d volumes", args[1], len(names))
	}
	ts.Setenv(args[0], names[n-1])
}

// TestExpiredBundle takes a bundle in on its last day and after it: then it is
// refused, but for what was taken in before.
func TestExpiredBundle(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	var text bytes.Buffer
	program := func(want int, home string, args ...string) {
		t.Helper()
		text.Reset()
		args = append([]string{"--home", filepath.Join(dir, home), "--store", filepath.Join(dir, "store")}, args...)
		in := streams{strings.NewReader(""), &text, &text}
		if code := run(t.Context(), args, in, func(string) string { return "" }, func() time.Time { return now }); code != want {
			t.Fatalf("airlock %q: exit code %d, want %d\n%s", args, code, want, &text)
		}
	}
	trusts := func(home, file, feed string, more ...string) {
		t.Helper()
		history, err := trust.ParseFile([]byte(readText(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		program(exitDone, home, append([]string{"trust", "add", file, "--feed", feed, "--thumbprint", history.Lineage().String()}, more...)...)
	}
	devID, prodID := filepath.Join(dir, "dev.id"), filepath.Join(dir, "prod.id")
	program(exitDone, "dev", "init", "acme/dev-qa", "--plain-keys")
	program(exitDone, "dev", "identity", "export", "-o", devID)
	program(exitDone, "prod", "init", "acme/production", "--plain-keys")
	program(exitDone, "prod", "identity", "export", "-o", prodID)
	trusts("prod", devID, "shared")
	trusts("dev", prodID, "receipts")
	file := filepath.Join(dir, "motd.txt")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	program(exitDone, "dev", "publish", "shared", file, "--kind", "file", "--name", "motd", "--version", "1")
	stick, last := filepath.Join(dir, "stick"), now.AddDate(0, 0, 3)
	program(exitDone, "dev", "bundle", "create", "shared", "--to", "acme/production", "-o", stick, "--expires", last.UTC().Format(time.DateOnly))
	pull := []string{"pull", "--from", stick, "--into", filepath.Join(dir, "conf")}

	now = last.AddDate(0, 0, 1)
	program(exitStale, "prod", pull...)
	if !strings.Contains(text.String(), "expired on") {
		t.Errorf("got %s", &text)
	}
	if _, err := os.Stat(filepath.Join(dir, "conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was applied: %v", err)
	}
	// What lacks approvals besides is too late all the same.
	key := filepath.Join(dir, "carol")
	program(exitDone, "officer", "key", "new", key+".key", "--plain-keys")
	trusts("officer", devID, "shared", "--approvals", "1", "--approver", "carol="+key+".pub")
	program(exitStale, "officer", "inspect", stick)
	now = last
	program(exitUnapproved, "officer", "inspect", stick)
	program(exitDone, "prod", pull...)
	now = last.AddDate(0, 1, 0)
	program(exitDone, "prod", pull...)
	if !strings.Contains(text.String(), "already taken in on") {
		t.Errorf("got %s", &text)
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

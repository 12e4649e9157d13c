package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"airlock/feed/feedtest"
	"airlock/signing"
)

// wantRefused runs "refused airlock ARGS…": the program must fail, and say in two
// lines what happened and what to do next.
func wantRefused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[0] != "airlock" {
		ts.Fatalf("usage: refused airlock ARGS…")
	}
	code := runProgram(ts, args[1:])
	stderr := ts.ReadFile("stderr")
	if code == exitDone || strings.Count(stderr, "airlock: error: ") != 1 || strings.Count(stderr, "airlock: hint: ") != 1 {
		ts.Fatalf("airlock %s: exit code %d, want a refusal in two lines", strings.Join(args[1:], " "), code)
	}
}

type keptKey struct{}

// notKept are parts of a home or store that a refusal may change: what is kept
// as evidence of it, and what is for this machine only.
var notKept = []string{"evidence", "locks", "tmp"}

// keepDirs runs "keep DIR…": it remembers everything in the folders, for same.
func keepDirs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: keep DIR…")
	}
	kept := ts.Value(keptKey{}).(map[string]map[string]string)
	for _, dir := range args {
		kept[dir] = contentOf(ts, dir)
	}
}

// sameDirs runs "same": the folders hold what they held when keep was run.
func sameDirs(ts *testscript.TestScript, neg bool, args []string) {
	kept := ts.Value(keptKey{}).(map[string]map[string]string)
	if neg || len(args) > 0 || len(kept) == 0 {
		ts.Fatalf("usage: same, after keep")
	}
	for dir, before := range kept {
		after := contentOf(ts, dir)
		for name := range before {
			if after[name] != before[name] {
				ts.Fatalf("%s is not as it was", filepath.Join(dir, name))
			}
			delete(after, name)
		}
		if len(after) > 0 {
			ts.Fatalf("%s holds more than it did: %q", dir, slices.Sorted(maps.Keys(after)))
		}
	}
}

// contentOf maps the files below a folder to their digests; a folder that is not
// there has none.
func contentOf(ts *testscript.TestScript, dir string) map[string]string {
	out := map[string]string{}
	root := ts.MkAbs(dir)
	if _, err := os.Stat(root); err != nil {
		return out
	}
	ts.Check(filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || slices.ContainsFunc(notKept, func(part string) bool { return slices.Contains(strings.Split(filepath.ToSlash(rel), "/"), part) }) {
			return err
		}
		b, err := os.ReadFile(name)
		out[rel] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	}))
	return out
}

// bytesOf runs "bytes VAR TEXT": $VAR is what TEXT, with Go's escapes, stands
// for.
func bytesOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bytes VAR TEXT")
	}
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Setenv(args[0], text)
}

// growFile runs "grow FILE SIZE": spaces at the end make the file that long.
func growFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: grow FILE SIZE")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text+strings.Repeat(" ", size-len(text))), 0o600))
}

// cutFile runs "cut FROM TO SIZE": a copy of the first bytes.
func cutFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FROM TO SIZE")
	}
	size, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(ts.ReadFile(args[0])[:size]), 0o600))
}

// changeFile runs "change FROM TO OLD NEW": a copy in which what OLD, a regular
// expression, first matches is NEW.
func changeFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: change FROM TO OLD NEW")
	}
	text, old := ts.ReadFile(args[0]), regexp.MustCompile(args[2])
	at := old.FindStringIndex(text)
	if at == nil {
		ts.Fatalf("%s does not match %s", args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text[:at[0]]+args[3]+text[at[1]:]), 0o600))
}

// highS runs "high-s FROM TO": a copy of an attestation with the other signature
// that verifies.
func highS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: high-s FROM TO")
	}
	a, err := signing.ParseAttestation([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), feedtest.HighS(scriptTB{ts: ts}, a), 0o600))
}

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// tampering is where somebody who may write a store, and has no key, changes
// one character: in the first file that has the path and the text, so many
// characters behind the text. What is left is of the right form.
var tampering = map[string]struct {
	path, text string
	skip       int
}{
	"payload":     {"objects/", "name: Module 7\n", 0},
	"manifest":    {"objects/", `"artifactType":"application/vnd.airlock.script`, 0},
	"identity":    {"objects/", `{"apiVersion":"airlock.example/v1`, 0},
	"statement":   {"/segment/", `{"dsseEnvelope":{"payload":"`, 300},
	"signature":   {"/segment/", `"sig":"M`, 30},
	"certificate": {"/segment/", `"rawBytes":"`, 300},
	"segment":     {"/segment/", "", 0},
	"tile":        {"/tile/", "", 0},
	"root":        {"cells/checkpoint/", "airlock.example\n304\n", 5},
	"size":        {"cells/checkpoint/", "airlock.example\n", 2},
	"note":        {"cells/checkpoint/", "— e1.shared.dev-qa.acme.airlock.example ", 20},
	"log":         {"cells/log/", "\n", 500},
}

// tamper runs "tamper STORE COPY WHAT": it copies a directory store and changes
// the copy.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || tampering[args[2]].path == "" {
		ts.Fatalf("usage: tamper STORE COPY WHAT")
	}
	at := tampering[args[2]]
	to := ts.MkAbs(args[1])
	ts.Check(os.RemoveAll(to))
	ts.Check(os.CopyFS(to, os.DirFS(ts.MkAbs(args[0]))))
	done := false
	ts.Check(filepath.WalkDir(to, func(name string, d fs.DirEntry, err error) error {
		if err != nil || done || d.IsDir() || !strings.Contains(filepath.ToSlash(name), at.path) {
			return err
		}
		b, err := os.ReadFile(name)
		i := bytes.Index(b, []byte(at.text))
		if err != nil || i < 0 {
			return err
		}
		done = true
		return rewrite(name, b, i+len(at.text)+at.skip)
	}))
	if !done {
		ts.Fatalf("%s has nothing to tamper with for %s", args[0], args[2])
	}
}

// rewrite changes one character; a cell gets a new digest in its first line.
func rewrite(name string, b []byte, at int) error {
	b[at] = other(b[at])
	if head, value, ok := bytes.Cut(b, []byte("\n")); ok && bytes.HasPrefix(head, []byte("airlock-cell 1 ")) {
		nonce := bytes.Fields(head)[2]
		b = append(fmt.Appendf(nil, "airlock-cell 1 %s %x\n", nonce, sha256.Sum256(value)), value...)
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o600)
}

// other is another character of the same sort.
func other(c byte) byte {
	switch {
	case c >= '0' && c < '9', c >= 'a' && c < 'z', c >= 'A' && c < 'Z':
		return c + 1
	case c == '9', c == 'z', c == 'Z':
		return c - 1
	case c == '+', c == '/': // base64
		return 'A'
	}
	return c ^ 1
}

// modules runs "modules DIR N": N small script modules, as many as fill the
// segments and tiles of a log.
func modules(ts *testscript.TestScript, neg bool, args []string) {
	n := 0
	if neg || len(args) != 2 {
		ts.Fatalf("usage: modules DIR N")
	}
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	for i := range n {
		doc := fmt.Sprintf("apiVersion: airlock.example/v1\nkind: ScriptModule\nname: Module %d\nversion: \"1.0.0\"\nsyntax: Bash\nbody: |\n  echo %d\n", i, i)
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("m%d.yaml", i)), []byte(doc), 0o600))
	}
}

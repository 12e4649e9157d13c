package main

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"airlock/bundle"
	"airlock/storage/storetest"
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

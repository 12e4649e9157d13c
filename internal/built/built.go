// Package built builds the program, for tests that run it as users do, and runs
// its servers.
package built

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var (
	once    sync.Once
	program string // once it was built
)

// Main runs the tests of a package, for its TestMain, and removes what Airlock
// built for them. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if program != "" {
		os.RemoveAll(filepath.Dir(program))
	}
	return code
}

// Airlock returns the path of the program, built from the sources as they are:
// once in a process, from the build cache where that is warm. The test that calls
// it is in a package two folders below the module's, whose TestMain calls Main.
func Airlock(tb testing.TB) string {
	tb.Helper()
	noticeSources(tb)
	once.Do(func() {
		dir, err := os.MkdirTemp("", "airlock-built-")
		if err != nil {
			tb.Fatal(err)
		}
		program = filepath.Join(dir, "airlock")
		if out, err := exec.Command("go", "build", "-o", program, "airlock/cmd/airlock").CombinedOutput(); err != nil {
			tb.Fatalf("go build: %v\n%s", err, out)
		}
	})
	return program
}

// noticeSources looks at all folders with sources. The go command knows only by
// that when an earlier result of a test says nothing any more: the program is no
// import of it.
func noticeSources(tb testing.TB) {
	tb.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

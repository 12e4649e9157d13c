//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

// TestWriteOutput: what is named is a new file, a file, a link to one, a pipe, or
// where standard output goes. Nothing but files is ever replaced.
func TestWriteOutput(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := os.Create(file("out"))
	must(err)
	defer out.Close()
	must(os.WriteFile(file("secret"), []byte("a longer text than what replaces it"), 0o600))
	must(os.Symlink("secret", file("link")))
	must(syscall.Mkfifo(file("pipe"), 0o600))
	pipe, err := os.OpenFile(file("pipe"), os.O_RDWR, 0) // a reader for whoever writes
	must(err)
	defer pipe.Close()

	a := &app{streams: streams{out: out}}
	for _, name := range []string{"new", "secret", "link", "pipe", "out"} {
		must(a.writeOutput(file(name), strings.NewReader("for "+name)))
	}
	must(a.writeOutput(fmt.Sprintf("/dev/fd/%d", out.Fd()), strings.NewReader(", more")))
	must(a.writeOutput("-", strings.NewReader(", end")))

	for name, want := range map[string]fs.FileMode{"link": fs.ModeSymlink, "pipe": fs.ModeNamedPipe} {
		if info, err := os.Lstat(file(name)); err != nil || info.Mode().Type() != want {
			t.Fatalf("%s was replaced: %v, %v", name, info, err)
		}
	}
	for name, want := range map[string]struct {
		text string
		mode fs.FileMode
	}{"new": {"for new", 0o644}, "secret": {"for link", 0o600}, "out": {"for out, more, end", 0o644}} {
		info, err := os.Lstat(file(name))
		must(err)
		got, err := os.ReadFile(file(name))
		must(err)
		if string(got) != want.text || info.Mode()&^want.mode != 0 {
			t.Errorf("%s: %q, mode %s", name, got, info.Mode())
		}
	}
	got := make([]byte, 100)
	n, err := pipe.Read(got)
	if must(err); string(got[:n]) != "for pipe" {
		t.Errorf("the pipe got %q", got[:n])
	}
}

// TestWriteOutputFails: where no whole content came, the file stays what it was,
// and an error names it.
func TestWriteOutputFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := &app{streams: streams{out: &bytes.Buffer{}}}
	if err := a.writeOutput(path, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(fs.ErrInvalid))); err == nil {
		t.Error("a broken content was written")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "before" {
		t.Errorf("the file became %q, %v", got, err)
	}
	for _, bad := range []string{dir, filepath.Join(dir, "none", "file")} {
		if err := a.writeOutput(bad, strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), bad+":") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

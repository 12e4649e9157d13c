package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestTryLog tries logs: nothing is left behind, or written to one that is there.
func TestTryLog(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.log")
	if err := os.WriteFile(there, []byte("a line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "-", "none", there, filepath.Join(dir, "new.log"), os.DevNull} {
		if err := tryLog(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	missing := filepath.Join(dir, "log", "access.log")
	err := tryLog(missing)
	if failed, ok := errors.AsType[*fs.PathError](err); !ok || failed.Path != missing || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if tryLog(dir) == nil || tryLog(filepath.Join(there, "access.log")) == nil {
		t.Error("a folder for a log, or a file for its folder, is taken")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "a line\n" {
		t.Errorf("the log holds %q, %v", b, err)
	}
}

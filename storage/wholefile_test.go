package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A file outside a store appears whole, once, under its mode, and leaves
// nothing else in its folder.
func TestCreateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	want := func(content string) {
		t.Helper()
		got, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		entries, dirErr := os.ReadDir(filepath.Dir(path))
		if err := errors.Join(err, statErr, dirErr); err != nil {
			t.Fatal(err)
		}
		if string(got) != content || len(entries) != 1 || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("holds %q, mode %v, %d files in the folder; want %q", got, info.Mode(), len(entries), content)
		}
	}
	if err := CreateFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("one")
	var named *fs.PathError
	if err := CreateFile(path, []byte("two"), 0o600); !errors.Is(err, fs.ErrExist) || !errors.As(err, &named) || named.Path != path {
		t.Errorf("a second time: %v", err)
	}
	want("one")
	if err := ReplaceFile(path, []byte("three"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("three")
	if err := CreateFile(filepath.Join(path, "below"), nil, 0o600); err == nil {
		t.Error("a file below a file was made")
	}
}

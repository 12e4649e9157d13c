package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := OpenDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustPut(t *testing.T, o Objects, data []byte) Ref {
	t.Helper()
	ref := RefOf(data)
	if err := o.Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return ref
}

func mustWrite(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestDirFormat(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		refused          bool
	}{
		{"missing", "", "", false},
		{"ours", "format", Format, false},
		{"begun and broken off", "tmp/a/abc", "", false},
		{"new file system", "lost+found/x", "", false},
		{"later version", "format", "airlock-store 3\n", true},
		{"earlier version", "format", Earlier, true},
		{"without the line's end", "format", "airlock-store 2", true},
		{"longer", "format", Format + "x", true},
		{"empty marker", "format", "", true},
		{"somebody's photos", "img_0001.jpg", "", true},
		{"store without a marker", "objects/acme/dev/00/x", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			if test.file != "" {
				mustWrite(t, filepath.Join(dir, filepath.FromSlash(test.file)), test.text)
			}
			_, err := OpenDir(t.Context(), dir)
			var formatErr *FormatError
			if refused := errors.As(err, &formatErr); refused != test.refused || !refused && err != nil {
				t.Errorf("got %v, want refused %v", err, test.refused)
			}
			marker, _ := os.ReadFile(filepath.Join(dir, "format"))
			if !test.refused && string(marker) != Format {
				t.Errorf("marker %q", marker)
			}
			if test.refused && test.file != "format" && marker != nil {
				t.Error("a marker was written into a folder that is not ours")
			}
		})
	}
}

// Who opens what must exist makes nothing.
func TestOpenExisting(t *testing.T) {
	getenv := func(string) string { return "" }
	dir := t.TempDir()
	for name, want := range map[string]error{"absent": ErrNoStore, "empty": ErrNoStore, "fresh": ErrNoStore, "photos": &FormatError{}} {
		path := filepath.Join(dir, name)
		switch name {
		case "empty":
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		case "fresh":
			mustWrite(t, filepath.Join(path, "lost+found", "x"), "")
		case "photos":
			mustWrite(t, filepath.Join(path, "img_0001.jpg"), "")
		}
		before, _ := os.ReadDir(path)
		_, err := OpenExisting(t.Context(), path, getenv)
		formatErr, isFormat := errors.AsType[*FormatError](want)
		if isFormat && !errors.As(err, &formatErr) || !isFormat && !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		if after, _ := os.ReadDir(path); len(after) != len(before) {
			t.Errorf("%s: something was made", name)
		}
	}
	mustOpen(t, filepath.Join(dir, "store"))
	if _, err := OpenExisting(t.Context(), filepath.Join(dir, "store"), getenv); err != nil {
		t.Error(err)
	}
}

func TestDirOpenIsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	mustWrite(t, name, "x")
	if _, err := OpenDir(t.Context(), name); err == nil {
		t.Error("a file was opened as a store")
	}
}

// The layout is a promise: doc.go names it, and people look there.
func TestDirLayout(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	ref := mustPut(t, s.Objects("acme/dev"), []byte("data"))
	if err := s.Files.Create(t.Context(), "e1/tile/0/001", []byte("tile")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cells.Swap(t.Context(), "heads/a", "", []byte("head")); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasPrefix(name, "locks/") {
			got = append(got, name)
		}
		return err
	})
	hex := ref.Digest.Hex()
	want := []string{"cells/heads/a", "files/e1/tile/0/001", "format", "objects/acme/dev/" + hex[:2] + "/" + hex}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// Putting again gives today's date, and heals what can be seen to be damaged.
func TestDirPutAgain(t *testing.T) {
	dir := t.TempDir()
	o := mustOpen(t, dir).Objects("acme/dev")
	for _, size := range []int{100, pieceSize + 1} {
		data := bytes.Repeat([]byte{1}, size)
		ref := mustPut(t, o, data)
		name := filepath.Join(dir, filepath.FromSlash(objectKey("acme/dev", ref.Digest)))
		old := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
		mustPut(t, o, data)
		if info, err := o.Stat(t.Context(), ref.Digest); err != nil || time.Since(info.Modified) > time.Hour {
			t.Errorf("%d bytes put again: dated %v, %v", size, info.Modified, err)
		}
		mustWrite(t, name, "cut")
		if _, err := Read(t.Context(), o, ref); err == nil {
			t.Error("a damaged object was read")
		}
		mustPut(t, o, data)
		if _, err := Read(t.Context(), o, ref); err != nil {
			t.Errorf("%d bytes put over a damaged object: %v", size, err)
		}
	}
	damaged := bytes.Repeat([]byte{2}, 50)
	ref := mustPut(t, o, damaged)
	mustWrite(t, filepath.Join(dir, filepath.FromSlash(objectKey("acme/dev", ref.Digest))), strings.Repeat("x", 50))
	body, err := o.Get(t.Context(), ref.Digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var digestErr *DigestError
	if _, err := io.Copy(io.Discard, body); !errors.As(err, &digestErr) {
		t.Errorf("other bytes of the same size: %v", err)
	}
}

func TestDirDamagedCell(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := s.Cells.Swap(t.Context(), "a", "", []byte("value")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "cells", "a")
	stored, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, name, string(stored[:len(stored)-1]))
	if _, _, err := s.Cells.Load(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), `cell "a"`) {
		t.Errorf("load: %v", err)
	}
	if _, err := s.Cells.Swap(t.Context(), "a", "", nil); err == nil || errors.Is(err, ErrConflict) {
		t.Errorf("swap: %v", err)
	}
}

// What is longer than a file can be is not read: nobody here wrote it.
func TestDirTooLong(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	name := filepath.Join(dir, "files", "a")
	mustWrite(t, name, "")
	if err := os.Truncate(name, MaxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Files.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), `file "a": has`) {
		t.Errorf("got %v", err)
	}
}

// A key that is the folder of another is refused, and does no harm.
func TestDirFolderClash(t *testing.T) {
	for name, s := range map[string]*Store{"dir": mustOpen(t, t.TempDir()), "mem": NewMem()} {
		var keyErr *KeyError
		for _, keys := range [][2]string{{"a", "a/b"}, {"c/d", "c"}} {
			if err := s.Files.Create(t.Context(), keys[0], nil); err != nil {
				t.Fatal(err)
			}
			if err := s.Files.Create(t.Context(), keys[1], nil); !errors.As(err, &keyErr) {
				t.Errorf("%s: create %q beside %q: %v", name, keys[1], keys[0], err)
			}
			if _, err := s.Cells.Swap(t.Context(), keys[0], "", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Cells.Swap(t.Context(), keys[1], "", nil); !errors.As(err, &keyErr) {
				t.Errorf("%s: swap %q beside %q: %v", name, keys[1], keys[0], err)
			}
			if _, _, err := s.Cells.Load(t.Context(), keys[1]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: load %q: %v", name, keys[1], err)
			}
		}
	}
}

// A server sends what comes from an offset without copying it.
func TestDirGetIsAFile(t *testing.T) {
	o := mustOpen(t, t.TempDir()).Objects("acme/dev")
	ref := mustPut(t, o, []byte("data"))
	body, err := o.Get(t.Context(), ref.Digest, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, ok := body.(*os.File); !ok {
		t.Errorf("got a %T", body)
	}
}

func TestDirAbandoned(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir)
	old := time.Now().Add(-25 * time.Hour)
	for name, at := range map[string]time.Time{"tmp/a/old": old, "tmp/a/new": time.Now()} {
		mustWrite(t, filepath.Join(dir, name), "x")
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, dir)
	left, err := filepath.Glob(filepath.Join(dir, "tmp", "a", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "new" {
		t.Errorf("left %q, %v", left, err)
	}
}

// fullDisk takes a number of bytes and no more.
type fullDisk struct {
	osFiles
	room int
}

type fullFile struct {
	newFile
	disk *fullDisk
}

func (d *fullDisk) Create(name string) (newFile, error) {
	f, err := d.osFiles.Create(name)
	return &fullFile{f, d}, err
}

func (f *fullFile) Write(p []byte) (int, error) {
	if len(p) > f.disk.room {
		return 0, NoteFull(&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	}
	f.disk.room -= len(p)
	return f.newFile.Write(p)
}

func TestDirFull(t *testing.T) {
	dir := t.TempDir()
	disk := &fullDisk{room: 1000}
	raw := newDirStore(dir, disk, fileLocks{})
	if err := raw.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := raw.ports()
	tag, err := s.Cells.Swap(t.Context(), "a", "", []byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	small, big := make([]byte, 900), make([]byte, 3*pieceSize)
	_, swapErr := s.Cells.Swap(t.Context(), "a", tag, small)
	for what, err := range map[string]error{
		"small":  s.Objects("acme/dev").Put(t.Context(), RefOf(small), bytes.NewReader(small)),
		"big":    s.Objects("acme/dev").Put(t.Context(), RefOf(big), bytes.NewReader(big)),
		"batch":  PutAll(t.Context(), s.Objects("acme/dev"), []Item{{RefOf(small), small}, {RefOf(small), small}}),
		"create": s.Files.Create(t.Context(), "f", small),
		"swap":   swapErr,
	} {
		if !errors.Is(err, ErrNoSpace) {
			t.Errorf("%s: %v", what, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "tmp", "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	if got, now, err := s.Cells.Load(t.Context(), "a"); err != nil || now != tag || string(got) != "before" {
		t.Errorf("cell holds %q, %v", got, err)
	}
	disk.room = 1 << 20
	mustPut(t, s.Objects("acme/dev"), small)
}

// noLinkDisk is a file system such as FAT.
type noLinkDisk struct{ osFiles }

func (noLinkDisk) Link(from, to string) error {
	return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM}
}

func TestDirWithoutLinks(t *testing.T) {
	raw := newDirStore(t.TempDir(), noLinkDisk{}, fileLocks{})
	if err := raw.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	files := raw.ports().Files
	if err := files.Create(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := raw.createFile(t.Context(), "files/a", []byte("2")); !errors.Is(err, ErrExists) {
		t.Errorf("other bytes: %v", err)
	}
	staged, err := raw.stageBytes(syncFile, []byte("2"))
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.link(t.Context(), staged, raw.path("files/a")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("link onto a file: %v", err)
	}
	if got, err := files.Get(t.Context(), "a"); err != nil || string(got) != "1" {
		t.Errorf("holds %q, %v", got, err)
	}
}

// Waiting for a lock ends with the context.
func TestDirLockWaits(t *testing.T) {
	raw := newDirStore(t.TempDir(), osFiles{}, fileLocks{})
	if err := raw.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	release, err := raw.lock(t.Context(), "a", true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := raw.ports().Cells.Swap(ctx, "a", "", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("swap: %v", err)
	}
	release()
	if _, err := raw.ports().Cells.Swap(t.Context(), "a", "", nil); err != nil {
		t.Errorf("swap after the release: %v", err)
	}
}

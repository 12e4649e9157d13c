package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noExchangeDisk is a file system on which two files cannot change names.
type noExchangeDisk struct{ osFiles }

func (noExchangeDisk) Exchange(a, b string) error {
	return &os.LinkError{Op: "exchange", Old: a, New: b, Err: errors.ErrUnsupported}
}

// swaps puts values into a cell, one after the other, and reads each back.
func swaps(t *testing.T, s *Store, values ...string) {
	t.Helper()
	_, tag, err := s.Cells.Load(t.Context(), "a")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, value := range values {
		if tag, err = s.Cells.Swap(t.Context(), "a", tag, []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, now, err := s.Cells.Load(t.Context(), "a"); err != nil || string(got) != value || now != tag {
			t.Fatalf("got %.20q, %v, want %.20q", got, err, value)
		}
	}
}

// A cell's file is written again two values later, whichever is longer.
func TestDirSpares(t *testing.T) {
	long := strings.Repeat("x", 9000)
	for name, disk := range map[string]fileLayer{"exchange": osFiles{}, "rename": noExchangeDisk{}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			raw := newDirStore(dir, disk, fileLocks{})
			if err := raw.open(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := raw.ports()
			swaps(t, s, "one", long, "three", long+"!", "")
			if n := len(tmpFiles(t, dir)); name == "rename" && n != 0 || n > 1 {
				t.Errorf("%d temporary files", n)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if left := tmpFiles(t, dir); len(left) > 0 {
				t.Errorf("left %q", left)
			}
			swaps(t, s, "six", "seven", "eight")
		})
	}
}

// A large value does not stay behind, nor does one too many.
func TestDirSparesBound(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	swaps(t, s, strings.Repeat("x", maxSpare+1), "small")
	if left := tmpFiles(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	var kept spares
	for i := range maxSpares {
		if !kept.add(fmt.Sprint(i), time.Now()) {
			t.Fatalf("spare %d was refused", i)
		}
	}
	if kept.add("more", time.Now()) {
		t.Error("one too many was kept")
	}
}

// What has lain for long may be removed by another process at any moment.
func TestDirSparesOld(t *testing.T) {
	var kept spares
	now := time.Now()
	kept.add("old", now.Add(-oldSpare))
	kept.add("young", now)
	if got := kept.take(now); got != "young" {
		t.Errorf("took %q first", got)
	}
	if got := kept.take(now); got != "" {
		t.Errorf("took %q then", got)
	}
}

// A spare that is gone costs nothing.
func TestDirSpareGone(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	swaps(t, s, "one", "two")
	for _, name := range tmpFiles(t, dir) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	swaps(t, s, "three", "four")
}

// tornDisk shows a cell cut short the first few times.
type tornDisk struct {
	osFiles
	torn int
}

func (d *tornDisk) Open(name string) (openFile, error) {
	if d.torn == 0 || filepath.Base(filepath.Dir(name)) != "cells" {
		return d.osFiles.Open(name)
	}
	d.torn--
	short := name + ".torn"
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(short, b[:len(b)-1], fileMode)
	}
	if err != nil {
		return nil, err
	}
	return d.osFiles.Open(short)
}

// Who may not lock may find a file that is being written again.
func TestDirUnlockedReader(t *testing.T) {
	dir := t.TempDir()
	swaps(t, mustOpen(t, dir), "one")
	disk := &tornDisk{}
	cells := &dirCells{store: newDirStore(dir, disk, fileLocks{})}
	disk.torn = 2
	if got, _, err := cells.currentUnlocked("a"); err != nil || string(got) != "one" {
		t.Errorf("got %q, %v", got, err)
	}
	disk.torn = 100
	if _, _, err := cells.currentUnlocked("a"); err == nil {
		t.Error("a damaged cell was read")
	}
	if _, _, err := cells.current("a"); err == nil {
		t.Error("a cell cut short was read under its lock")
	}
}

func tmpFiles(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, tmpFolder, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// unsyncedDisk fails to sync folders while told so, and does not sync them.
type unsyncedDisk struct {
	*crashDisk
	fails bool
}

func (d *unsyncedDisk) SyncDir(name string, at syncPoint) error {
	if d.fails {
		return fs.ErrInvalid
	}
	return d.crashDisk.SyncDir(name, at)
}

// Where the folder was not synced the cell may still be the file that lost its
// name, so nothing else is written there.
func TestDirSpareAfterFailedSync(t *testing.T) {
	disk := &unsyncedDisk{crashDisk: newCrashDisk()}
	raw := newDirStore(crashRoot, disk, &testLocks{})
	if err := raw.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := raw.ports()
	swaps(t, s, "one", "two")
	elsewhere, err := s.Cells.Swap(t.Context(), "elsewhere/b", "", []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	disk.fails = true
	_, tag, err := s.Cells.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cells.Swap(t.Context(), "a", tag, []byte("three")); !errors.Is(err, ErrUnclear) {
		t.Fatalf("got %v, want ErrUnclear", err)
	}
	disk.fails = false
	if _, err := s.Cells.Swap(t.Context(), "elsewhere/b", elsewhere, []byte("other")); err != nil {
		t.Fatal(err)
	}
	after := newDirStore(crashRoot, disk.restart(nil), &testLocks{})
	if err := after.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _, err := after.ports().Cells.Load(t.Context(), "a"); err != nil || string(got) != "two" {
		t.Errorf("after the power cut the cell holds %q, %v", got, err)
	}
}

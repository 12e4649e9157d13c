package storage

import (
	"errors"
	"io/fs"
	"testing"
)

// What is written to an overlay is read from it and is not below.
func TestOverlay(t *testing.T) {
	ctx, below := t.Context(), NewMem()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := below.Cells.Swap(ctx, "cell", "", []byte("one"))
	check(err)
	check(below.Files.Create(ctx, "old", []byte("old")))
	over := Overlay(below)
	if _, err := over.Cells.Swap(ctx, "cell", "", []byte("x")); !errors.Is(err, ErrConflict) {
		t.Errorf("creating a cell that is below: %v", err)
	}
	value, tag, err := over.Cells.Load(ctx, "cell")
	check(err)
	if string(value) != "one" {
		t.Fatalf("cell is %q", value)
	}
	_, err = over.Cells.Swap(ctx, "cell", tag, []byte("two"))
	check(err)
	check(over.Files.Create(ctx, "new", []byte("new")))
	for key, want := range map[string]string{"old": "old", "new": "new"} {
		if got, err := over.Files.Get(ctx, key); err != nil || string(got) != want {
			t.Errorf("file %s: %q, %v", key, got, err)
		}
	}
	if value, _, err := over.Cells.Load(ctx, "cell"); err != nil || string(value) != "two" {
		t.Errorf("cell is %q, %v", value, err)
	}
	if value, _, err := below.Cells.Load(ctx, "cell"); err != nil || string(value) != "one" {
		t.Errorf("the cell below became %q, %v", value, err)
	}
	for _, key := range []string{"new", "none"} {
		if _, err := below.Files.Get(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("file %s below: %v", key, err)
		}
	}
	if _, _, err := over.Cells.Load(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cell that is nowhere: %v", err)
	}
}

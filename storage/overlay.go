package storage

import (
	"context"
	"errors"
	"io/fs"
)

// Overlay returns a store that begins with the files and cells of s and keeps
// what is written to it in memory: for trying what would come of something. s is
// never written to. Files lists only what was written; objects are those of s.
func Overlay(s *Store) *Store {
	mem := NewMem()
	return &Store{
		Name: s.Name, Objects: s.Objects, Exclusive: s.Exclusive, Untried: s.Untried, Close: mem.Close,
		Files: &overlayFiles{Files: mem.Files, below: s.Files},
		Cells: &overlayCells{Cells: mem.Cells, below: s.Cells},
	}
}

type overlayFiles struct {
	Files
	below Files
}

func (f *overlayFiles) Get(ctx context.Context, key string) ([]byte, error) {
	b, err := f.Files.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return f.below.Get(ctx, key)
	}
	return b, err
}

type overlayCells struct {
	Cells
	below Cells
}

// Load takes a copy of what is below, so that a Swap finds the tag.
func (c *overlayCells) Load(ctx context.Context, key string) ([]byte, string, error) {
	value, tag, err := c.Cells.Load(ctx, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return value, tag, err
	}
	below, _, err := c.below.Load(ctx, key)
	if err != nil {
		return nil, "", err
	}
	if _, err := c.Cells.Swap(ctx, key, "", below); err != nil && !errors.Is(err, ErrConflict) {
		return nil, "", err
	}
	return c.Cells.Load(ctx, key)
}

// Swap finds a cell that is below and was not loaded yet.
func (c *overlayCells) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	if _, _, err := c.Load(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return c.Cells.Swap(ctx, key, tag, value)
}

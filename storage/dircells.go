package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// dirCells keeps each cell in a file under cells/, and its lock under locks/.
type dirCells struct{ store *dirStore }

var _ Cells = (*dirCells)(nil)

const cellsPrefix = "cells/"

func (c *dirCells) path(key string) string { return c.store.path(cellsPrefix + key) }

func (c *dirCells) Load(ctx context.Context, key string) ([]byte, string, error) {
	if err := firstErr(ctx.Err(), checkPathKey(key)); err != nil {
		return nil, "", err
	}
	if !c.store.exists(c.path(key)) {
		return nil, "", noCell(key) // and no lock file for every key asked for
	}
	release, err := c.store.lock(ctx, key, false)
	if ignoreReadOnly(err) != nil {
		return nil, "", fmt.Errorf("cell %q: %w", key, err)
	}
	if err == nil {
		defer release()
	} // else nobody can write on this medium
	value, tag, err := c.current(key)
	if err != nil {
		return nil, "", err
	}
	return value, tag, c.makeDurable(key, tag)
}

// makeDurable syncs a cell's folder the first time this process sees tag: its
// writer may have been killed between giving the file its name and syncing.
func (c *dirCells) makeDurable(key, tag string) error {
	if c.store.tags.has(key, tag) {
		return nil
	}
	err := c.store.files.SyncDir(filepath.Dir(c.path(key)), syncLoadedCell)
	if err := ignoreReadOnly(err); err != nil {
		return fmt.Errorf("cell %q: %w", key, err)
	}
	c.store.tags.add(key, tag)
	return nil
}

// current reads a cell under its lock.
func (c *dirCells) current(key string) ([]byte, string, error) {
	stored, err := c.store.read(c.path(key), maxCell)
	if isAbsent(err) {
		return nil, "", noCell(key)
	}
	if err != nil {
		return nil, "", fmt.Errorf("cell %q: %w", key, err)
	}
	n, value, err := parseCell(fmt.Sprintf("cell %q", key), stored)
	return value, n.String(), err
}

func (c *dirCells) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	if err := firstErr(ctx.Err(), checkValue(key, value), checkPathKey(key)); err != nil {
		return "", err
	}
	newTag, err := c.swap(ctx, key, tag, value)
	switch {
	case err == nil || errors.Is(err, ErrConflict):
		return newTag, err
	case isClash(err), errors.Is(err, fs.ErrExist): // renaming onto a folder
		return "", folderClash(key)
	}
	return "", fmt.Errorf("cell %q: %w", key, err)
}

func (c *dirCells) swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	release, err := c.store.lock(ctx, key, true)
	if err != nil {
		return "", err
	}
	defer release()
	_, now, err := c.current(key)
	if errors.Is(err, fs.ErrNotExist) {
		now, err = "", nil
	}
	if err != nil {
		return "", err
	}
	if now != tag {
		return "", conflict(key)
	}
	return c.replace(ctx, key, value)
}

// replace gives a file, in a folder that is durable, other bytes; durable on return.
// It is what it was, or the new bytes, whenever the power fails.
func (s *dirStore) replace(name string, content []byte) error {
	staged, err := s.stageBytes(syncCell, content)
	if err != nil {
		return err
	}
	if err := s.rename(staged, name); err != nil {
		return err
	}
	if err := s.files.SyncDir(filepath.Dir(name), syncCellFolder); err != nil {
		return fmt.Errorf("%w: %w", ErrUnclear, err) // others may see it already
	}
	return nil
}

// replace writes a cell under its lock.
func (c *dirCells) replace(ctx context.Context, key string, value []byte) (string, error) {
	name := c.path(key)
	dir := filepath.Dir(name)
	if err := c.store.makeFolders(ctx, syncCellParents, dir); err != nil {
		return "", err
	}
	drawn := newNonce()
	if err := c.store.replace(name, formatCell(drawn, value)); err != nil {
		return "", err
	}
	tag := drawn.String()
	c.store.tags.add(key, tag)
	return tag, nil
}

package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
)

type memFiles memStore

var _ Files = (*memFiles)(nil)

func (f *memFiles) Get(ctx context.Context, key string) ([]byte, error) {
	if err := firstErr(ctx.Err(), CheckKey(key)); err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	value, ok := f.files[key]
	if !ok {
		return nil, noFile(key)
	}
	return bytes.Clone(value), nil
}

func (f *memFiles) Create(ctx context.Context, key string, value []byte) error {
	if err := firstErr(ctx.Err(), checkValue(key, value)); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := f.files[key]; ok {
		return sameFile(key, old, value)
	}
	if err := checkFolder(maps.Keys(f.files), key); err != nil {
		return err
	}
	f.files[key] = bytes.Clone(value)
	return nil
}

func (f *memFiles) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := firstErr(ctx.Err(), checkPrefix(prefix)); err != nil {
			yield("", err)
			return
		}
		f.mu.RLock()
		keys := slices.Sorted(maps.Keys(f.files))
		f.mu.RUnlock()
		for _, key := range keys {
			if !strings.HasPrefix(key, prefix) || key <= after {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if !yield(key, nil) {
				return
			}
		}
	}
}

type memCells memStore

type memCell struct {
	value []byte
	tag   string
}

var _ Cells = (*memCells)(nil)

func (c *memCells) Load(ctx context.Context, key string) ([]byte, string, error) {
	if err := firstErr(ctx.Err(), CheckKey(key)); err != nil {
		return nil, "", err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	cell, ok := c.cells[key]
	if !ok {
		return nil, "", noCell(key)
	}
	return bytes.Clone(cell.value), cell.tag, nil
}

func (c *memCells) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	if err := firstErr(ctx.Err(), checkValue(key, value)); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cells[key].tag != tag {
		return "", conflict(key)
	}
	if err := checkFolder(maps.Keys(c.cells), key); tag == "" && err != nil {
		return "", err
	}
	cell := memCell{value: bytes.Clone(value), tag: rand.Text()}
	c.cells[key] = cell
	return cell.tag, nil
}

// checkFolder reports a key that is the folder of another, or the reverse.
func checkFolder(keys iter.Seq[string], key string) error {
	for other := range keys {
		if strings.HasPrefix(other, key+"/") || strings.HasPrefix(key, other+"/") {
			return folderClash(key)
		}
	}
	return nil
}

func folderClash(key string) error {
	return &KeyError{Key: key, Rule: "is the folder of another key, or has a key as folder"}
}

// checkValue reports what neither a file nor a cell can hold.
func checkValue(key string, value []byte) error {
	if len(value) > MaxFile {
		return fmt.Errorf("value of %q has %d bytes, at most %d are kept", key, len(value), MaxFile)
	}
	return CheckKey(key)
}

// sameFile settles a Create on a key that holds old.
func sameFile(key string, old, value []byte) error {
	if bytes.Equal(old, value) {
		return nil
	}
	return fmt.Errorf("file %q: %w", key, ErrExists)
}

func noFile(key string) error   { return fmt.Errorf("file %q: %w", key, fs.ErrNotExist) }
func noCell(key string) error   { return fmt.Errorf("cell %q: %w", key, fs.ErrNotExist) }
func conflict(key string) error { return fmt.Errorf("cell %q: %w", key, ErrConflict) }

// firstErr returns the first error that there is.
func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Package home keeps a Space's own folder: its identity and keys, its trust
// files, and the state of the feeds it follows. One home holds one Space.
//
//	format               "airlock-home 1\n"
//	config.yaml          defaults for flags, see docs/operations.md
//	space.id             the Space's identity file
//	keys/root-1.key      private keys, 0600; root-2 is the next root
//	keys/publisher-1.key
//	keys/log.key         signs checkpoints, where this home serves feeds
//	trust/<org>.<space>.yaml and .id   whom this Space trusts, for what
//	state/               what was seen of each feed: a directory store
//
// An attacker who reads keys/ speaks as the Space; one who writes trust/ makes
// it believe others; one who writes state/ makes it forget what it has seen.
package home

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"airlock/storage"
	"airlock/trust"
)

const format = "airlock-home 1\n"

// ErrNoSpace reports a home without a Space of its own. It may still follow.
var ErrNoSpace = errors.New("this home holds no Space yet")

// Home is an open home.
type Home struct {
	path  string
	state *storage.Store
}

// Open opens a home, and makes the folder where it is missing or empty. A
// folder that holds something else is refused.
func Open(path string) (*Home, error) {
	h := &Home{path: path}
	got, err := readBounded(h.file("format"), 100)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, h.create()
	case err != nil:
		return nil, err
	case string(got) != format:
		return nil, &storage.FormatError{Where: path, Got: string(got), Want: format}
	}
	return h, nil
}

func (h *Home) create() error {
	if entries, err := os.ReadDir(h.path); err == nil && len(entries) > 0 {
		return &storage.FormatError{Where: h.path, Got: "files of something else", Want: format}
	}
	for _, dir := range []string{"", "keys", "trust"} {
		if err := os.MkdirAll(h.file(dir), 0o700); err != nil {
			return err
		}
	}
	return writeNew(h.file("format"), []byte(format), 0o600)
}

// Path is the home's folder.
func (h *Home) Path() string { return h.path }

func (h *Home) file(parts ...string) string {
	return filepath.Join(append([]string{h.path}, parts...)...)
}

// State returns the store with what was seen of feeds.
func (h *Home) State(ctx context.Context) (*storage.Store, error) {
	if h.state == nil {
		s, err := storage.OpenDir(ctx, h.file("state"))
		if err != nil {
			return nil, err
		}
		h.state = s
	}
	return h.state, nil
}

// Identity returns the Space's own identity; ErrNoSpace where it has none.
func (h *Home) Identity() (*trust.History, error) {
	b, err := readBounded(h.file("space.id"), trust.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", h.path, ErrNoSpace)
	}
	if err != nil {
		return nil, err
	}
	history, err := trust.ParseFile(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.file("space.id"), err)
	}
	return history, nil
}

// writeNew creates a file with its content, durable, and never overwrites one.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// replace swaps a file's content: readers see the old or the new one.
func replace(path string, content []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return b, err
}

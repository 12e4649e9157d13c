package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

// Target is a place that packages of a feed were applied to: a folder, or a
// program, which is known by the name of its record alone, since a command line
// may hold secrets.
type Target struct {
	Into   string // absolute path of the folder
	Record string // of the program
}

// maxTarget bounds the path of a folder, in bytes.
const maxTarget = 4096

// The prefixes of the files that list targets.
const (
	intoPrefix = "into-"
	execPrefix = "exec-"
)

func (h *Home) targetDir(lineage trust.Lineage, id feed.ID) string {
	return h.file("targets", storage.Digest(lineage).Hex(), id.Name)
}

// NoteTarget records that packages of a feed are applied to a target, so that
// Targets finds them again.
func (h *Home) NoteTarget(lineage trust.Lineage, id feed.ID, t Target) error {
	name := execPrefix + t.Record
	if t.Into != "" {
		name = intoPrefix + storage.DigestOf([]byte(t.Into)).Hex()
	}
	dir := h.targetDir(lineage, id)
	if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := storage.CreateFile(filepath.Join(dir, name), []byte(t.Into), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Targets returns the targets that packages of a feed were applied to. What is
// there now, their own records say.
func (h *Home) Targets(lineage trust.Lineage, id feed.ID) ([]Target, error) {
	dir := h.targetDir(lineage, id)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Target
	for _, e := range entries {
		if key, ok := strings.CutPrefix(e.Name(), execPrefix); ok {
			out = append(out, Target{Record: key})
		} else if strings.HasPrefix(e.Name(), intoPrefix) {
			path, err := ReadFile(filepath.Join(dir, e.Name()), maxTarget)
			if err != nil {
				return nil, err
			}
			out = append(out, Target{Into: string(path)})
		}
	}
	return out, nil
}

package home

import (
	"errors"
	"io/fs"
	"os"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

// Feeds of which something was seen are listed by one empty file each, since
// cells cannot be listed:
//
//	feeds/<lineage, hexadecimal>/<feed>

// NoteFollowed records that a feed is followed.
func (h *Home) NoteFollowed(lineage trust.Lineage, id feed.ID) error {
	path := h.file("feeds", lineage.String()[len("sha256:"):], id.Name)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(h.file("feeds", lineage.String()[len("sha256:"):]), 0o700); err != nil {
		return err
	}
	err := storage.CreateFile(path, nil, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Followed returns the names of the Space's feeds that are followed.
func (h *Home) Followed(lineage trust.Lineage) ([]string, error) {
	entries, err := os.ReadDir(h.file("feeds", lineage.String()[len("sha256:"):]))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if trust.CheckLabel(e.Name()) == nil { // not a file that was being written
			out = append(out, e.Name())
		}
	}
	return out, nil
}

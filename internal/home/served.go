package home

import (
	"io/fs"
	"iter"
	"os"

	"airlock/feed"
)

// Served yields the feeds to which this home has written in a store, by its floor: it
// is raised for what the home's own log key signs, and for nothing that was only read.
// The state is a folder, and its cells are files of their names. What cannot be read
// there is left out; State says why. Folders are read as far as feeds are asked for:
// there is one of each Space.
func (h *Home) Served() iter.Seq[feed.ID] {
	return func(yield func(feed.ID) bool) {
		_ = fs.WalkDir(os.DirFS(h.file("state", "cells", "floor")), ".", func(name string, d fs.DirEntry, err error) error {
			id, noFeed := feed.ParseID(name)
			if err == nil && noFeed == nil && !d.IsDir() && !yield(id) {
				return fs.SkipAll
			}
			return nil
		})
	}
}

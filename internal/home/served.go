package home

import (
	"io/fs"
	"os"

	"airlock/feed"
)

// Served returns the feeds to which this home has written in a store, by its floor: it
// is raised for what the home's own log key signs, and for nothing that was only read.
// The state is a folder, and its cells are files of their names. What cannot be read
// there is left out; State says why.
func (h *Home) Served() (out []feed.ID) {
	heads, _ := fs.Glob(os.DirFS(h.file("state", "cells", "floor")), "*/*/*")
	for _, name := range heads {
		if id, err := feed.ParseID(name); err == nil {
			out = append(out, id)
		}
	}
	return out
}

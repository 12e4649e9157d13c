package apply

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// dirIndex says what in a folder is Airlock's: .airlock/index.json, in
// canonical JSON. Files of an item lie at <kind>/<name>/<path>.
type dirIndex struct {
	Feeds []feedDoc `json:"feeds,omitempty"`
	// Folders lists the folders that Airlock made, from the folder pulled
	// into. They go when they are empty and no longer needed.
	Folders []string `json:"folders,omitempty"`
	Format  string   `json:"format"`
}

const dirFormat = "airlock-dir 1"

func newDirIndex() *dirIndex { return &dirIndex{Format: dirFormat} }

// parseDirIndex reads what formatDirIndex writes; where is its name in errors.
func parseDirIndex(where string, b []byte) (*dirIndex, error) {
	x := new(dirIndex)
	if err := signing.UnmarshalCanonical(b, x); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if x.Format != dirFormat {
		return nil, &storage.FormatError{Where: where, Got: x.Format, Want: dirFormat}
	}
	owner := map[string]feed.ID{}
	for i, d := range x.Feeds {
		if i > 0 && x.Feeds[i-1].Feed.String() >= d.Feed.String() || len(d.Failed) > 0 {
			return nil, fmt.Errorf("%s: feeds[%d]: not in order, twice, or with failures", where, i)
		}
		if err := d.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		for _, it := range d.Items {
			if other, ok := owner[nameOf(it.ref())]; ok {
				return nil, fmt.Errorf("%s: %s is of feed %s and of %s", where, nameOf(it.ref()), other, d.Feed)
			}
			owner[nameOf(it.ref())] = d.Feed
		}
	}
	for i, f := range x.Folders {
		if err := feed.CheckPath(f); err != nil || i > 0 && x.Folders[i-1] >= f {
			return nil, fmt.Errorf("%s: folders[%d]: %.140q is no folder, or not in order", where, i, f)
		}
	}
	return x, nil
}

// of returns what the index has of a feed, empty where it has nothing.
func (x *dirIndex) of(id feed.ID) feedDoc {
	for _, d := range x.Feeds {
		if d.Feed == id {
			return d
		}
	}
	return feedDoc{Feed: id}
}

// owners returns the feeds of all packages, by kind and name.
func (x *dirIndex) owners() map[string]feed.ID {
	m := map[string]feed.ID{}
	for _, d := range x.Feeds {
		for _, it := range d.Items {
			m[nameOf(it.ref())] = d.Feed
		}
	}
	return m
}

// with returns an index in which feeds have docs. made lists folders made for
// them. gone lists the folders that are Airlock's and no longer needed, each
// before the one it is in.
func (x *dirIndex) with(docs []feedDoc, made map[string]bool) (next *dirIndex, gone []string) {
	next = newDirIndex()
	next.Feeds = slices.Clone(docs)
	for _, d := range x.Feeds {
		if !slices.ContainsFunc(docs, func(doc feedDoc) bool { return doc.Feed == d.Feed }) {
			next.Feeds = append(next.Feeds, d)
		}
	}
	slices.SortFunc(next.Feeds, func(a, b feedDoc) int { return strings.Compare(a.Feed.String(), b.Feed.String()) })
	needed := map[string]bool{}
	for _, d := range next.Feeds {
		for _, it := range d.Items {
			for _, f := range it.Files {
				for _, folder := range foldersOf(filePath(it.ref(), f.Path)) {
					needed[folder] = true
				}
			}
		}
	}
	for folder := range needed {
		if _, ours := slices.BinarySearch(x.Folders, folder); ours || made[folder] {
			next.Folders = append(next.Folders, folder)
		}
	}
	slices.Sort(next.Folders)
	for _, folder := range slices.Backward(x.Folders) {
		if !needed[folder] {
			gone = append(gone, folder)
		}
	}
	return next, gone
}

// filePath is where a file of a package lies, from the folder pulled into.
func filePath(r feed.Ref, name string) string { return path.Join(r.Kind, r.Name, name) }

// foldersOf returns the folders that a file is in, the outermost first.
func foldersOf(file string) []string {
	var folders []string
	for i, c := range []byte(file) {
		if c == '/' {
			folders = append(folders, file[:i])
		}
	}
	return folders
}

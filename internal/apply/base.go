package apply

import (
	"os"

	"airlock/feed"
	"airlock/storage"
)

// Bases returns what finds, among the files that the folder has, one that a
// large file of a new version may be like: that of the same path, or else the
// largest of the package. A file that was changed since does no harm.
func (d *Dir) Bases(installed []Item) func(r feed.Ref, path string) (feed.Base, bool) {
	items := byName(installed)
	return func(r feed.Ref, path string) (feed.Base, bool) {
		it := items[nameOf(r)]
		var best *File
		for i, f := range it.Files {
			if f.Path == path {
				best = &it.Files[i]
				break
			}
			if f.Size > storage.ChunkAbove && (best == nil || f.Size > best.Size) {
				best = &it.Files[i]
			}
		}
		if best == nil {
			return feed.Base{}, false
		}
		f, err := d.openFile(filePath(it.Ref, best.Path))
		if err != nil {
			return feed.Base{}, false
		}
		return feed.Base{Ref: best.Ref, ReaderAt: f, Closer: f}, true
	}
}

func (d *Dir) openFile(name string) (*os.File, error) {
	k, err := d.open()
	if err != nil {
		return nil, err
	}
	defer k.root.Close()
	return k.root.Open(name)
}

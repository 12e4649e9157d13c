package apply

import (
	"os"

	"airlock/feed"
	"airlock/storage"
)

// Bases returns what finds, among the files that the folder has, the one that a
// large file of a new version is most like (feed.BaseFor). A file that was
// changed since does no harm.
func (d *Dir) Bases(installed []Item) func(r feed.Ref, path string) (feed.Base, bool) {
	items := byName(installed)
	return func(r feed.Ref, path string) (feed.Base, bool) {
		it := items[nameOf(r)]
		best := feed.BaseFor(path, it.Files, func(f *File) (string, storage.Ref) { return f.Path, f.Ref })
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

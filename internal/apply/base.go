package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// Open opens file i of an installed package. The bytes are checked: one that was
// changed since ends in an error instead of io.EOF.
func (d *Dir) Open(ctx context.Context, it Item, i int) (io.ReadCloser, error) {
	f, err := d.openFile(filePath(it.Ref, it.Files[i].Path))
	if err != nil {
		return nil, err
	}
	return storage.Checked(ctx, f, it.Files[i].Ref), nil
}

func (d *Dir) openFile(name string) (*os.File, error) {
	k, err := d.open()
	if err != nil {
		return nil, err
	}
	defer k.root.Close()
	return k.root.Open(name)
}

// Holding returns what opens a payload that the folder has of feeds, by its
// digest: the bytes, their number, and what closes them. A file that was changed
// since may be opened too; who reads it checks what it makes of it. What is not
// there is fs.ErrNotExist.
func (d *Dir) Holding(ctx context.Context, ids []feed.ID) (func(payload storage.Digest) (io.ReaderAt, int64, io.Closer, error), error) {
	names := map[storage.Digest]string{}
	for _, id := range ids {
		items, err := d.Installed(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			for _, f := range it.Files {
				names[f.Digest] = filePath(it.Ref, f.Path)
			}
		}
	}
	return func(payload storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
		name, ok := names[payload]
		if !ok {
			return nil, 0, nil, fmt.Errorf("%s has no such file: %w", d.path, fs.ErrNotExist)
		}
		f, err := d.openFile(name)
		if err != nil {
			return nil, 0, nil, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, 0, nil, errors.Join(err, f.Close())
		}
		return f, info.Size(), f, nil
	}, nil
}

package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// Dir is a folder that verified payloads are written to, as
// <kind>/<name>/<path in the package>. What is Airlock's there is known from
// .airlock/index.json; nothing else is ever touched.
//
// An Apply changes all or nothing, of all its feeds. New files are staged under
// .airlock/stage, checked while they are written and made durable; then
// .airlock/journal.json names every rename and removal, and from then on it is
// carried to its end, by the next process if this one dies. Then the index is swapped. A
// reader that looks meanwhile may see some files new and some old; one that
// must not waits for index.json.
//
// Several processes may use one folder, one at a time.
type Dir struct {
	// Force replaces and removes files of ours that were changed since; without
	// it such a file stays where the next version has it as the last one had,
	// and otherwise ends the sync. Files of others stay in any case.
	Force bool
	// Wait is how long to wait for another process that writes here.
	Wait time.Duration

	path string
	now  func() time.Time
	step func(op, name string) error // see disk

	// fits has the files that were read, for their date was another one, and
	// hold what they should: they are not read again, and the next Apply
	// records the date.
	fits map[string]File
}

var _ Target = (*Dir)(nil)

// Names inside the folder.
const (
	ownFolder   = ".airlock"
	indexName   = ownFolder + "/index.json"
	journalName = ownFolder + "/journal.json"
	lockName    = ownFolder + "/lock"
	stageFolder = ownFolder + "/stage"
)

// OpenDir returns the folder at path, which need not exist: the first Apply
// makes it. A sync that was interrupted is brought to its end, or cleared away
// if it had not got to the point of changing anything.
func OpenDir(path string, now func() time.Time) (*Dir, error) {
	d := &Dir{Wait: 10 * time.Second, path: filepath.Clean(path), now: now, fits: map[string]File{}}
	if err := d.resume(); err != nil {
		return nil, err
	}
	return d, nil
}

// resume recovers, unless another process is at work: then it is its business.
func (d *Dir) resume() error {
	k, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer k.root.Close()
	dirty, err := d.interrupted(k)
	if err != nil || !dirty {
		return err
	}
	release, err := d.tryLock(k)
	if err != nil || release == nil {
		return err
	}
	defer release()
	return d.recover(k)
}

// interrupted reports whether a sync left anything behind.
func (d *Dir) interrupted(k *disk) (bool, error) {
	if journal, err := k.lstat(journalName); journal != nil || err != nil {
		return journal != nil, err
	}
	entries, err := k.readDir(stageFolder)
	if isAbsent(err) {
		return false, nil
	}
	return len(entries) > 0, err
}

// open opens the folder, which must exist. Symbolic links to the folder are
// its user's choice; below it there must be none where we write.
func (d *Dir) open() (*disk, error) {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, err
	}
	k := &disk{root: root, step: d.step}
	own, err := k.lstat(ownFolder)
	if err == nil && own != nil && !own.IsDir() {
		err = &OccupiedError{Dir: d.path, Path: ownFolder, Why: "is " + typeOf(own) + " and must be a folder of Airlock's own"}
	}
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return k, nil
}

// openOrMake opens the folder and makes it where it does not exist.
func (d *Dir) openOrMake() (*disk, error) {
	if err := makeFolder(d.path); err != nil {
		return nil, storage.NoteFull(err)
	}
	k, err := d.open()
	if err != nil {
		return nil, err
	}
	if err := k.mkdir(ownFolder); err == nil {
		err = k.settle(nil, []string{"."})
		if err != nil {
			_ = k.root.Close()
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		_ = k.root.Close()
		return nil, err
	}
	return k, nil
}

// makeFolder makes a folder and those above it, durable on return.
func makeFolder(name string) error {
	err := os.Mkdir(name, dirMode)
	above := filepath.Dir(name)
	if errors.Is(err, fs.ErrNotExist) && above != name {
		if err := makeFolder(above); err != nil {
			return err
		}
		err = os.Mkdir(name, dirMode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil // what it is, opening it will tell
	case err != nil:
		return err
	case !foldersSync:
		return nil
	default:
		f, err := os.Open(above)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	}
}

// Installed returns what the folder has of a feed.
func (d *Dir) Installed(_ context.Context, id feed.ID) ([]Item, error) {
	k, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer k.root.Close()
	x, err := d.readIndex(k)
	if err != nil {
		return nil, err
	}
	items := x.of(id).items()
	for i, it := range items {
		for _, f := range it.Files {
			switch gone, changed := d.compare(k, filePath(it.Ref, f.Path), f); {
			case gone:
				items[i].Missing++
			case changed:
				items[i].Changed = append(items[i].Changed, f.Path)
			}
		}
	}
	return items, nil
}

// compare looks at a file that was written here. Its bytes are read only where
// its date is not the one it was written with, as in a copy or a restored
// backup. What cannot be looked at is as good as gone; Apply says why.
func (d *Dir) compare(k *disk, name string, f File) (gone, changed bool) {
	f.Modified = d.knownDate(name, f)
	info, err := k.lstat(name)
	switch {
	case err != nil || info == nil:
		return true, false
	case !info.Mode().IsRegular() || info.Size() != f.Size:
		return false, true
	case dateOf(info) == f.Modified:
		return false, false
	}
	have, err := k.digest(name)
	if err == nil && have == f.Ref {
		f.Modified = dateOf(info)
		d.fits[name] = f
	}
	return err != nil, err == nil && have != f.Ref
}

// knownDate returns the date with which a file is known to hold what it should.
func (d *Dir) knownDate(name string, f File) int64 {
	if read, ok := d.fits[name]; ok && read.Ref == f.Ref {
		return read.Modified
	}
	return f.Modified
}

func (d *Dir) readIndex(k *disk) (*dirIndex, error) {
	where := filepath.Join(d.path, filepath.FromSlash(indexName))
	b, err := k.readFile(indexName)
	if isAbsent(err) {
		return newDirIndex(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return parseDirIndex(where, b)
}

// typeOf says in words what lies at a name.
func typeOf(info fs.FileInfo) string {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "a symbolic link"
	case info.IsDir():
		return "a folder"
	case info.Mode().IsRegular():
		return "a file"
	}
	return "no regular file"
}

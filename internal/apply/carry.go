package apply

import (
	"fmt"
	"path"

	"airlock/storage"
)

// carrier carries out a journal.
type carrier struct {
	disk    *disk
	journal *journal
	path    string // of the folder pulled into
	again   bool
	moves   map[string]moveDoc
	touched map[string]bool // folders in which names changed
}

// remove removes the files that go. They are all gone before the first file
// moves: where a staged one is missing, this step was done, and what lies at
// those names now may be another file (systems that ignore case).
func (c *carrier) remove() error {
	if c.again && len(c.journal.Removals) > 0 {
		for _, m := range c.journal.Moves {
			staged, err := c.disk.lstat(c.journal.files() + "/" + m.Path)
			if err != nil {
				return err
			}
			if staged == nil {
				return nil
			}
		}
	}
	for _, r := range c.journal.Removals {
		info, err := c.disk.lstat(r.Path)
		if err != nil {
			return err
		}
		if info == nil || info.IsDir() {
			continue
		}
		if err := c.expect(r.Path, &storage.Ref{Digest: r.Digest, Size: r.Size}); err != nil {
			return err
		}
		if err := c.disk.remove(r.Path); err != nil {
			return err
		}
		c.touched[parent(r.Path)] = true
	}
	return nil
}

// removeFolders removes folders that are empty. One that is not holds
// something that is not ours.
func (c *carrier) removeFolders() error {
	for _, name := range c.journal.Folders {
		info, err := c.disk.lstat(name)
		if err != nil {
			return err
		}
		if info == nil || !info.IsDir() {
			continue
		}
		entries, err := c.disk.readDir(name)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			continue
		}
		if err := c.disk.remove(name); err != nil {
			return err
		}
		c.touched[parent(name)] = true
	}
	return nil
}

// place moves what is staged below a folder to its place. A folder that is not
// there yet moves as a whole.
func (c *carrier) place(folder string) error {
	entries, err := c.disk.readDir(path.Join(c.journal.files(), folder))
	if isAbsent(err) && c.again {
		return nil // the stage went already
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if err := c.placeOne(name, e.IsDir()); err != nil {
			return err
		}
	}
	return nil
}

func (c *carrier) placeOne(name string, isFolder bool) error {
	info, err := c.disk.lstat(name)
	switch {
	case err != nil:
		return err
	case isFolder && info != nil && info.IsDir():
		return c.place(name)
	case isFolder && info != nil:
		return c.occupied(name, "is "+typeOf(info)+" where a folder must be")
	case !isFolder && info != nil:
		if err := c.expect(name, c.moves[name].Over); err != nil {
			return err
		}
	}
	c.touched[parent(name)] = true
	return c.disk.rename(c.journal.files()+"/"+name, name)
}

// expect checks that what lies at a name is what the journal lets go.
func (c *carrier) expect(name string, want *storage.Ref) error {
	info, err := c.disk.lstat(name)
	if err != nil {
		return err
	}
	switch {
	case want == nil || !info.Mode().IsRegular():
		return c.occupied(name, "came in the way: it is "+typeOf(info)+" that Airlock did not write")
	case info.Size() != want.Size:
		return c.occupied(name, "was changed a moment ago")
	case !c.again:
		return nil // its digest was looked at when the sync began
	}
	have, err := c.disk.digest(name)
	if err != nil {
		return err
	}
	if have != *want {
		return c.occupied(name, "was changed while the sync was interrupted")
	}
	return nil
}

func (c *carrier) occupied(name, why string) error {
	return fmt.Errorf("%w", &OccupiedError{Dir: c.path, Path: name, Why: why})
}

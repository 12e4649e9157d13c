package apply

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// journal names all that an Apply changes, of all its feeds:
// .airlock/journal.json, in canonical JSON. While it is there, it has to be
// carried to its end: removals, folders, moves, index, in that order. Each step
// may be done already.
type journal struct {
	// Folders are removed where they are empty, each before the one it is in.
	Folders []string `json:"folders,omitempty"`
	Format  string   `json:"format"`
	// Index is the digest of the index that comes into force.
	Index storage.Digest `json:"index"`
	// Moves go from the stage to the same path in the folder.
	Moves    []moveDoc `json:"moves,omitempty"`
	Removals []fileDoc `json:"removals,omitempty"`
	Stage    string    `json:"stage"`
}

// moveDoc is a new file. Over is what it may replace; without it the place
// must be free.
type moveDoc struct {
	Digest storage.Digest `json:"digest"`
	Over   *storage.Ref   `json:"over,omitempty"`
	Path   string         `json:"path"`
	Size   int64          `json:"size"`
}

const journalFormat = "airlock-journal 2"

func (j *journal) files() string { return j.Stage + "/files" }
func (j *journal) index() string { return j.Stage + "/index.json" }
func (j *journal) draft() string { return j.Stage + "/journal.json" }

// parseJournal reads what format writes; where is its name in errors.
func parseJournal(where string, b []byte) (*journal, error) {
	j := new(journal)
	if err := signing.UnmarshalCanonical(b, j); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if j.Format != journalFormat {
		return nil, &storage.FormatError{Where: where, Got: j.Format, Want: journalFormat}
	}
	stage, ok := strings.CutPrefix(j.Stage, stageFolder+"/")
	if !ok || feed.CheckName(stage) != nil {
		return nil, fmt.Errorf("%s: stage %.80q is not in %s", where, j.Stage, stageFolder)
	}
	paths := slices.Clone(j.Folders)
	for _, m := range j.Moves {
		paths = append(paths, m.Path)
	}
	for _, r := range j.Removals {
		paths = append(paths, r.Path)
	}
	for _, p := range paths {
		if err := feed.CheckPath(p); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	return j, nil
}

// recover brings an interrupted sync to its end, or clears it away. The lock
// is held.
func (d *Dir) recover(k *disk) error {
	where := filepath.Join(d.path, filepath.FromSlash(journalName))
	b, err := k.readFile(journalName)
	if err == nil {
		j, err := parseJournal(where, b)
		if err != nil {
			return err
		}
		if err := d.carryOut(k, j, true); err != nil {
			return err
		}
	} else if !isAbsent(err) {
		return fmt.Errorf("%s: %w", where, err)
	}
	entries, err := k.readDir(stageFolder)
	if err != nil && !isAbsent(err) {
		return err
	}
	for _, e := range entries {
		if err := k.removeAll(stageFolder + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// carryOut does what the journal says. again says that another process may
// have done a part of it, and people anything since.
func (d *Dir) carryOut(k *disk, j *journal, again bool) error {
	c := &carrier{disk: k, journal: j, again: again, touched: map[string]bool{ownFolder: true}, moves: map[string]moveDoc{}, path: d.path}
	for _, m := range j.Moves {
		c.moves[m.Path] = m
	}
	if err := c.run(); err != nil {
		return &UnfinishedError{Dir: d.path, Err: err}
	}
	return nil
}

func (c *carrier) run() error {
	if !c.again {
		// The journal's name must outlive a power cut before anything moves.
		if err := c.disk.settle(nil, []string{ownFolder}); err != nil {
			return err
		}
	}
	for _, step := range []func() error{c.remove, c.removeFolders, func() error { return c.place(".") }, c.swapIndex, c.settle} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := c.disk.remove(journalName); err != nil {
		return err
	}
	// What is left of the stage, the next sync clears away too.
	return c.disk.removeAll(c.journal.Stage)
}

// swapIndex puts the new index in force.
func (c *carrier) swapIndex() error {
	staged, err := c.disk.lstat(c.journal.index())
	if err != nil {
		return err
	}
	if staged != nil {
		return c.disk.rename(c.journal.index(), indexName)
	}
	b, err := c.disk.readFile(indexName)
	if err == nil && storage.DigestOf(b) != c.journal.Index {
		err = errors.New("is neither the one before the sync nor the one after it")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", indexName, err)
	}
	return nil
}

// settle makes the names durable.
func (c *carrier) settle() error {
	var folders []string
	for name := range c.touched {
		info, err := c.disk.lstat(name)
		if err != nil {
			return err
		}
		if info != nil { // a folder may have gone with what was in it
			folders = append(folders, name)
		}
	}
	slices.Sort(folders)
	return c.disk.settle(nil, folders)
}

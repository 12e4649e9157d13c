package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"airlock/storage"
)

// Set is what was found of one bundle.
type Set struct {
	ID       ID
	Document *Document
	// Volumes holds a path for each volume, empty where it is missing.
	Volumes []string

	head *head
	size map[int]int64
}

// Missing returns the volumes that are not here, counted from 1.
func (s *Set) Missing() []int {
	var out []int
	for v, path := range s.Volumes {
		if path == "" {
			out = append(out, v+1)
		}
	}
	return out
}

// Unread is a file with the name of a volume that cannot be read as one.
type Unread struct {
	Path string
	Err  error
}

// maxNames bounds the files that are looked at.
const maxNames = 10_000

// Find looks for bundles: at files, and at the files of folders that have the
// name of a volume. Volumes may lie anywhere and in any order. It reads frames
// alone and believes none of them yet. Where a volume is there twice, the first
// counts.
func Find(ctx context.Context, paths ...string) (sets []*Set, unread []Unread, err error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, err
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		found, err := volumesIn(path)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, found...)
	}
	if len(files) > maxNames {
		return nil, nil, fmt.Errorf("%d volumes, at most %d are looked at", len(files), maxNames)
	}
	byID := map[ID]*Set{}
	for _, path := range files {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		h, size, err := headOf(path)
		if err != nil {
			unread = append(unread, Unread{path, err})
			continue
		}
		s := byID[h.id]
		if s == nil {
			s = &Set{ID: h.id, Document: h.doc, Volumes: make([]string, h.doc.Volumes.Count), head: h, size: map[int]int64{}}
			byID[h.id] = s
			sets = append(sets, s)
		}
		if s.Volumes[h.volume] == "" {
			s.Volumes[h.volume], s.size[h.volume] = path, size
		}
	}
	return sets, unread, nil
}

// volumesIn lists a folder's files that are named as volumes.
func volumesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		// No links: what is opened is what lies on the medium.
		if e.Type().IsRegular() && strings.EqualFold(filepath.Ext(e.Name()), Extension) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}

func headOf(path string) (*head, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, malformed("is no regular file")
	}
	h, err := readHead(f, info.Size())
	return h, info.Size(), err
}

// choose returns the one set that is meant.
func choose(ctx context.Context, paths []string, want ID) (*Set, []Unread, error) {
	sets, unread, err := Find(ctx, paths...)
	if err != nil {
		return nil, nil, err
	}
	if want != (ID{}) {
		sets = slices.DeleteFunc(sets, func(s *Set) bool { return s.ID != want })
	}
	switch {
	case len(sets) == 1:
		return sets[0], unread, nil
	case len(sets) > 1:
		return nil, nil, &SeveralError{sets}
	}
	for _, u := range unread {
		err = errors.Join(err, fmt.Errorf("%s: %w", u.Path, u.Err))
	}
	if err != nil {
		return nil, nil, err
	}
	return nil, nil, fmt.Errorf("no bundle in %s: %w", strings.Join(paths, ", "), fs.ErrNotExist)
}

// tables reads the tables of a bundle from whichever volume has them whole.
func (s *Set) tables() ([]byte, *Tables, error) {
	var first error
	for v, path := range s.Volumes {
		if path == "" {
			continue
		}
		raw, err := s.readTables(path, s.size[v])
		if err == nil {
			t, err := ParseTables(raw, s.Document)
			return raw, t, err
		}
		first = errors.Join(first, fmt.Errorf("%s: %w", path, err))
	}
	return nil, nil, first
}

// readTables reads the tables of a volume, from either frame.
func (s *Set) readTables(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	frame := s.head.frame
	before := 3*tarBlock + padded(int64(len(s.head.raw)))
	raw := make([]byte, s.Document.Tables.Size) // the frame fits into a file
	for _, at := range []int64{0, size - tarEnd - frame} {
		// The statement's own size moves what stands behind it.
		var stated []byte
		if stated, err = readEntry(f, at+tarBlock+padded(int64(len(s.head.raw))), statedName, prefixAt(at), statedRoom); err != nil {
			continue
		}
		if _, err = f.ReadAt(raw, at+before+padded(int64(len(stated)))); err != nil {
			continue
		}
		if got := storage.RefOf(raw); got != s.Document.Tables {
			err = malformed("tables: %w", &storage.DigestError{Want: s.Document.Tables.Digest, Got: got.Digest})
			continue
		}
		return raw, nil
	}
	return nil, err
}

func prefixAt(at int64) string {
	if at == 0 {
		return ""
	}
	return copyPrefix
}

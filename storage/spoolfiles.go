package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// BusyError reports that another request works on the same upload.
type BusyError struct {
	Space  string
	Digest Digest
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("upload of %s to %s is under way in another request", e.Digest, e.Space)
}

// OffsetError reports an append elsewhere than at the end of what is there.
type OffsetError struct {
	Digest    Digest
	Want, Got int64 // in bytes; Want is the end
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("upload of %s goes on at offset %d, not %d", e.Digest, e.Want, e.Got)
}

func (s *Spool) remove(name string) error {
	path := filepath.Join(s.dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := firstErr(err, os.Remove(path)); err != nil {
		return err
	}
	s.reserve(-info.Size() - uploadCost)
	return nil
}

// each calls do for every upload.
func (s *Spool) each(do func(fs.FileInfo) error) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || strings.Count(entry.Name(), "+") != 3 {
			continue // gone meanwhile, or not ours
		}
		if err := do(info); err != nil {
			return err
		}
	}
	return nil
}

// name returns the name of an upload's file. No key has a "+".
func (s *Spool) name(space string, ref Ref) (string, error) {
	if err := checkSpace(space); err != nil {
		return "", err
	}
	if ref.Size < 0 {
		return "", &SizeError{Digest: ref.Digest, Want: ref.Size}
	}
	parts := append(strings.Split(space, "/"), ref.Digest.Hex(), strconv.FormatInt(ref.Size, 10))
	return strings.Join(parts, "+"), nil
}

// claim keeps other requests from an upload until release.
func (s *Spool) claim(space string, ref Ref) (name string, release func(), err error) {
	name, err = s.name(space, ref)
	if err != nil {
		return "", nil, err
	}
	if !s.take(name) {
		return "", nil, &BusyError{Space: space, Digest: ref.Digest}
	}
	return name, func() { s.release(name) }, nil
}

func (s *Spool) take(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[name] {
		return false
	}
	s.busy[name] = true
	return true
}

func (s *Spool) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, name)
}

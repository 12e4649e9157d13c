package apply

import (
	"io/fs"
	"slices"
	"sync"

	"airlock/storage"
)

// found is what a look at the place of a file gave.
type found struct {
	done     bool         // the file is there already, or stays as somebody changed it
	date     int64        // of a file that is there as it should be, see File
	occupied bool         // something is in the way; it was noted
	over     *storage.Ref // a file that may be replaced or removed
}

// look finds out what lies at a name where want is to lie; a zero want is
// nothing, where the file is to go.
func (s *stager) look(name string, want storage.Ref) (found, error) {
	there, err := s.isThere(parent(name))
	if err != nil || !there {
		return found{}, err
	}
	info, err := s.disk.lstat(name)
	if err != nil || info == nil {
		return found{}, err
	}
	old, ours := s.owned[name]
	switch {
	case info.IsDir() && !want.Digest.IsZero():
		return s.lookInto(name)
	case !info.Mode().IsRegular():
		return s.note(name, "is "+typeOf(info)+" that Airlock did not make", false)
	case !ours:
		return s.note(name, "was not written by Airlock", false)
	}
	have, err := s.disk.digest(name)
	switch {
	case err != nil:
		return found{}, err
	case have == want:
		return found{done: true, date: dateOf(info)}, nil
	case have != old && want == old && !s.dir.Force:
		return found{done: true}, nil // nothing new for it: a change may stay
	case have != old && !s.dir.Force:
		return s.note(name, "was changed since Airlock wrote it", true)
	}
	return found{over: &have}, nil
}

// lookInto decides about a folder where a file is to lie. It may go if it is
// ours and so is all in it.
func (s *stager) lookInto(name string) (found, error) {
	if _, ours := slices.BinarySearch(s.index.Folders, name); !ours {
		return s.note(name, "is a folder that Airlock did not make", false)
	}
	entries, err := s.disk.readDir(name)
	if err != nil {
		return found{}, err
	}
	for _, e := range entries {
		inner := name + "/" + e.Name()
		if e.IsDir() {
			if in, err := s.lookInto(inner); err != nil || in.occupied {
				return in, err
			}
			continue
		}
		if _, ours := s.owned[inner]; !ours {
			return s.note(inner, "was not written by Airlock", false)
		}
	}
	return found{}, nil
}

func (s *stager) note(name, why string, forcible bool) (found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.occupied = append(s.occupied, &OccupiedError{Dir: s.dir.path, Path: name, Why: why, Forcible: forcible})
	return found{occupied: true}, nil
}

// isThere reports whether a folder is there, and will be when files move to
// their places. No folder below the one pulled into may be a symbolic link:
// what is beyond it is not ours.
func (s *stager) isThere(folder string) (bool, error) {
	if folder == "." {
		return true, nil
	}
	look, _ := s.above.LoadOrStore(folder, sync.OnceValues(func() (bool, error) {
		there, err := s.isThere(parent(folder))
		if err != nil || !there {
			return false, err
		}
		info, err := s.disk.lstat(folder)
		if err != nil || info == nil {
			return false, err
		}
		if info.IsDir() {
			return true, nil
		}
		if _, ours := s.owned[folder]; ours && info.Mode().IsRegular() {
			return false, nil // goes before the folder comes
		}
		return false, s.wrongFolder(folder, info)
	}))
	return look.(func() (bool, error))()
}

func (s *stager) wrongFolder(name string, info fs.FileInfo) error {
	return &OccupiedError{Dir: s.dir.path, Path: name, Why: "is " + typeOf(info) + " where a folder must be"}
}

// made returns the folders that the moves will make.
func (s *stager) made() map[string]bool {
	made := map[string]bool{}
	s.above.Range(func(name, look any) bool {
		if there, err := look.(func() (bool, error))(); err == nil && !there {
			made[name.(string)] = true
		}
		return true
	})
	return made
}

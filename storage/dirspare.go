package storage

import (
	"sync"
	"time"
)

const (
	maxSpares = 16
	maxSpare  = 64 << 10  // bytes of a value
	oldSpare  = time.Hour // long before it counts as abandoned
)

// spares are files under tmp, each of which held a cell's value until another
// took its place. The next value of any cell is written into one of them, and
// the two change names. So a cell that changes all the time makes no new inodes
// and gives none back: on ext4 that is most of what a swap costs, the more so
// without a journal, where each new inode looks at all that were given back in
// the last five minutes.
//
// Nobody reads a spare: readers hold the cell's lock, and it became a spare
// under that lock. It is added only after the cell's folder was synced, so that
// after a power cut no cell has its name.
type spares struct {
	mu    sync.Mutex
	files []spareFile
}

type spareFile struct {
	name  string
	since time.Time
}

// add keeps a file, or returns false where there are enough.
func (s *spares) add(name string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) >= maxSpares {
		return false
	}
	s.files = append(s.files, spareFile{name, now})
	return true
}

// take hands out a file, "" where there is none. One that has lain for long is
// left to be removed: another process may be about to.
func (s *spares) take(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.files) > 0 {
		last := s.files[len(s.files)-1]
		s.files = s.files[:len(s.files)-1]
		if now.Sub(last.since) < oldSpare {
			return last.name
		}
	}
	return ""
}

// stageCell writes a cell into a spare file, or into a new one.
func (s *dirStore) stageCell(at syncPoint, stored []byte) (string, error) {
	name := s.spares.take(s.now())
	if name == "" {
		return s.stageBytes(at, stored)
	}
	f, err := s.files.Rewrite(name)
	if err != nil {
		return s.stageBytes(at, stored)
	}
	return s.finish(at, name, f, writeParts(stored))
}

// exchange is rename for a file in place of another. With reuse the other one
// is left, where the system can exchange names, and its name returned.
func (s *dirStore) exchange(staged, name string, reuse bool) (spare string, err error) {
	if reuse && s.files.Exchange(staged, name) == nil {
		return staged, nil
	}
	return "", s.rename(staged, name)
}

// keepSpare keeps what exchange left, if anything.
func (s *dirStore) keepSpare(name string) {
	if name != "" && !s.spares.add(name, s.now()) {
		_ = s.files.Remove(name)
	}
}

// removeSpares gives back the room of all spares.
func (s *dirStore) removeSpares() {
	for name := s.spares.take(time.Time{}); name != ""; name = s.spares.take(time.Time{}) {
		_ = s.files.Remove(name)
	}
}

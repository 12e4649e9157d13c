package storage

import "sync"

// seen is a set of names that many goroutines ask and add to.
type seen struct {
	mu    sync.RWMutex
	names map[string]string
}

// has reports whether name was last added with value.
func (s *seen) has(name, value string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	got, ok := s.names[name]
	return ok && got == value
}

func (s *seen) add(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = map[string]string{}
	}
	s.names[name] = value
}

package storage

import (
	"context"
	"sync"
)

// keyLocks keeps writers of one key in one process apart.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// lock waits until nobody else holds key, or ctx ends.
func (l *keyLocks) lock(ctx context.Context, key string) (release func(), err error) {
	for {
		l.mu.Lock()
		holder, taken := l.held[key]
		if !taken {
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			l.held[key] = done
			l.mu.Unlock()
			return func() { l.release(key, done) }, nil
		}
		l.mu.Unlock()
		select {
		case <-holder:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *keyLocks) release(key string, done chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, key)
	close(done)
}

package feedhttp

import (
	"context"
	"sync"

	"airlock/feed"
	"airlock/storage"
)

// turns lets one request at a time work on an upload. A new request ends the
// one before: a publisher whose connection broke comes back while the server
// still waits on the old one (draft-ietf-httpbis-resumable-upload,
// "Concurrency").
type turns struct {
	mu      sync.Mutex
	running map[uploadKey]*turn
}

type uploadKey struct {
	id     feed.ID
	digest storage.Digest
}

type turn struct {
	stop func() // ends the request soon; nil where it ends soon anyway
	done chan struct{}
}

// errSuperseded ends a request whose upload another one goes on with.
var errSuperseded = &ConflictError{"another request took the upload over"}

// take ends whoever works on the upload, waits until it has, and is next.
// leave must be called. stop may be called until then, from elsewhere.
func (t *turns) take(ctx context.Context, key uploadKey, stop func()) (leave func(), err error) {
	mine := &turn{stop, make(chan struct{})}
	for {
		t.mu.Lock()
		before, busy := t.running[key]
		if !busy {
			if t.running == nil {
				t.running = map[uploadKey]*turn{}
			}
			t.running[key] = mine
			t.mu.Unlock()
			return func() { t.leave(key, mine) }, nil
		}
		if before.stop != nil {
			before.stop() // under the lock: not after leave
		}
		t.mu.Unlock()
		select {
		case <-before.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turns) leave(key uploadKey, mine *turn) {
	t.mu.Lock()
	delete(t.running, key)
	t.mu.Unlock()
	close(mine.done)
}

package storage

import (
	"context"
	"sync"
)

// flights runs one fill for each key, however many wait for it. The zero value
// is ready.
type flights struct {
	mu    sync.Mutex
	under map[cacheKey]*flight
}

type flight struct {
	waiters int // guarded by the mutex of flights
	cancel  context.CancelFunc
	done    chan struct{}
	value   []byte
	err     error
}

// do returns what fill returns. A waiter whose context ends goes alone; fill is
// canceled when nobody waits any more.
func (g *flights) do(ctx context.Context, key cacheKey, fill func(context.Context) ([]byte, error)) ([]byte, error) {
	f := g.join(ctx, key, fill)
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		g.leave(key, f)
		return nil, ctx.Err()
	}
}

func (g *flights) join(ctx context.Context, key cacheKey, fill func(context.Context) ([]byte, error)) *flight {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.under[key]; f != nil {
		f.waiters++
		return f
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{waiters: 1, cancel: cancel, done: make(chan struct{})}
	if g.under == nil {
		g.under = map[cacheKey]*flight{}
	}
	g.under[key] = f
	go func() {
		defer cancel()
		f.value, f.err = fill(ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.forgetLocked(key, f)
		close(f.done)
	}()
	return f
}

func (g *flights) leave(key cacheKey, f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		g.forgetLocked(key, f)
		f.cancel()
	}
}

// forgetLocked lets the next who asks begin anew.
func (g *flights) forgetLocked(key cacheKey, f *flight) {
	if g.under[key] == f {
		delete(g.under, key)
	}
}

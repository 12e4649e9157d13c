package storage

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// waiting returns how many wait for a key.
func (g *flights) waiting(key cacheKey) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.under[key]; f != nil {
		return f.waiters
	}
	return 0
}

// However many ask at once, the store is asked once, and who goes does not take
// the others along.
func TestCacheAtOnce(t *testing.T) {
	cache := NewCache(1 << 20)
	finish := make(chan struct{})
	var fills atomic.Int32
	fill := func(ctx context.Context) ([]byte, error) {
		fills.Add(1)
		select {
		case <-finish:
			return []byte("value"), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	until := func(n int) {
		for cache.flights.waiting(cacheKey{space: "acme/a", key: "k"}) != n {
			runtime.Gosched()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := cache.Bytes(ctx, "acme/a", "k", fill)
		left <- err
	}()
	until(1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := cache.Bytes(t.Context(), "acme/a", "k", fill); err != nil || string(got) != "value" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	until(9)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	until(8)
	close(finish)
	wg.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times", n)
	}
}

// When all who asked have gone, the fill ends, and the next begins anew.
func TestCacheAllGone(t *testing.T) {
	cache := NewCache(1 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	_, err := cache.Bytes(ctx, "acme/a", "k", func(fillCtx context.Context) ([]byte, error) {
		cancel()
		<-fillCtx.Done()
		close(ended)
		return nil, fillCtx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	got, err := cache.Bytes(t.Context(), "acme/a", "k", func(context.Context) ([]byte, error) { return []byte("anew"), nil })
	if err != nil || string(got) != "anew" {
		t.Errorf("got %q, %v", got, err)
	}
	<-ended
}

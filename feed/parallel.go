package feed

import (
	"sync"
	"sync/atomic"

	"airlock/storage"
)

// Parallel calls fn for 0 to n-1 on all processors. Each takes the next that
// nobody has, so that none waits for another at the end.
func Parallel(n int, fn func(i int)) {
	workers := min(storage.Workers(), (n+15)/16)
	if workers <= 1 {
		for i := range n {
			fn(i)
		}
		return
	}
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			fn(i)
		}
	}
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

package log_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

// TestDirStore has two processes' logs commit to one folder, and a third read it.
func TestDirStore(t *testing.T) {
	folder := t.TempDir()
	open := func() *storage.Store {
		s, err := storage.OpenDir(t.Context(), folder)
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		return s
	}
	store := open()
	_, author := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	var wg sync.WaitGroup
	for p := range 2 {
		store := open()
		l := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(author.ID)
		a := feedtest.AuthorOf(t, author.Space, "shared")
		wg.Go(func() {
			for i := range 10 {
				if _, err := feedtest.Append(t.Context(), store, l, a.ID, a.Publish(fmt.Sprintf("file/p%d@%d", p, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	store = open()
	reader := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(author.ID)
	if n := len(entries(t, reader)); n != 22 {
		t.Errorf("%d entries, want 22", n)
	}
}

// TestNoGoroutineIsLeft runs a log through all that starts goroutines and finds
// none of them after Close.
func TestNoGoroutineIsLeft(t *testing.T) {
	store := storage.NewMem()
	logs := log.New(log.Config{Store: store, Key: feedtest.Key(1)})
	l, a := opened(t, store, logs)
	_, err := l.Append(t.Context(), 1, newCheap(a).notes(t, store, 0, 600))
	must(t, err)
	entries(t, l)
	must(t, logs.Close())
	_, _ = logs.Feed(a.ID).Append(t.Context(), 1, newCheap(a).notes(t, store, 600, 1))
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for g := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(g, "feed/log.(*Log)") {
			t.Errorf("still runs:\n%s", g)
		}
	}
}

package log_test

import (
	"sync"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

// BenchmarkAppend commits statements whose objects are stored already: alone,
// by 8 writers at once, and 600 in one batch. The figure is for one statement.
func BenchmarkAppend(b *testing.B) {
	for name, open := range map[string]func() *storage.Store{
		"mem": storage.NewMem,
		"dir": func() *storage.Store {
			s, err := storage.OpenDir(b.Context(), b.TempDir())
			must(b, err)
			b.Cleanup(func() { must(b, s.Close()) })
			return s
		},
	} {
		b.Run(name+"/single", func(b *testing.B) {
			l, subs := appendable(b, open(), b.N)
			for i := range subs {
				_, err := l.Append(b.Context(), 1, subs[i:i+1])
				must(b, err)
			}
		})
		b.Run(name+"/8writers", func(b *testing.B) {
			l, subs := appendable(b, open(), b.N)
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := w; i < len(subs); i += 8 {
						if _, err := l.Append(b.Context(), 1, subs[i:i+1]); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
		b.Run(name+"/batch600", func(b *testing.B) {
			l, subs := appendable(b, open(), b.N)
			for len(subs) > 0 {
				n := min(600, len(subs))
				_, err := l.Append(b.Context(), 1, subs[:n])
				must(b, err)
				subs = subs[n:]
			}
		})
	}
}

// appendable returns an opened log and n submissions for it, and resets the clock.
func appendable(b *testing.B, store *storage.Store, n int) (*log.Log, []log.Submission) {
	b.Helper()
	l, a := opened(b, store, process(b, log.Config{Store: store, Key: feedtest.Key(1)}))
	subs := newCheap(a).notes(b, store, 0, n)
	b.ResetTimer()
	return l, subs
}

// BenchmarkFirstAppend commits once in a new process to a log of 70,000 entries:
// what a command with --store does.
func BenchmarkFirstAppend(b *testing.B) {
	store := storage.NewMem()
	logs := log.New(log.Config{Store: store, Key: feedtest.Key(1)})
	l, a := opened(b, store, logs)
	c := newCheap(a)
	const size = 70_000
	for n := 0; n < size; n += log.MaxBatch {
		_, err := l.Append(b.Context(), 1, c.versions(b, store, n, min(log.MaxBatch, size-n)))
		must(b, err)
	}
	must(b, logs.Close())
	subs := c.versions(b, store, size, b.N)
	b.ReportMetric(float64(size/feed.PageSize), "pages")
	b.ResetTimer()
	for i := range subs {
		logs := log.New(log.Config{Store: store, Key: feedtest.Key(1)})
		_, err := logs.Feed(a.ID).Append(b.Context(), 1, subs[i:i+1])
		must(b, err)
		must(b, logs.Close())
	}
}

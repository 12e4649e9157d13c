package log_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
)

var errStore = errors.New("the store answers 500")

// TestFaults lets single operations of a commit fail, each on a feed with one
// package: the answer is right, later commits go on, and nothing is in twice.
func TestFaults(t *testing.T) {
	const cell = "log/acme/dev-qa/shared"
	for _, c := range []struct {
		name, op, key string
		before, after error
		times         int
		want          error // of the first Append; nil where it must succeed
	}{
		{"conflict at the swap", "swap", cell, storage.ErrConflict, nil, 3, nil},
		{"swap never conflicts out", "swap", cell, storage.ErrConflict, nil, 1000, log.ErrBusy},
		{"swap never answered", "swap", cell, storage.ErrUnclear, nil, 1000, storage.ErrAway},
		{"answer lost after the swap", "swap", cell, nil, storage.ErrUnclear, 1, nil},
		{"answer lost, not swapped", "swap", cell, storage.ErrUnclear, nil, 2, nil},
		{"swap fails", "swap", cell, errStore, nil, 1, errStore},
		{"swap fails after all", "swap", cell, nil, errStore, 1, errStore},
		{"no room", "swap", cell, storage.ErrNoSpace, nil, 1, storage.ErrNoSpace},
		{"checkpoint for readers", "swap", "checkpoint/acme/dev-qa/shared", errStore, nil, 9, nil},
		{"cell cannot be read", "load", cell, errStore, nil, 1, nil}, // the head is known
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := storage.NewMem()
				armed, times := &counter{}, 0
				var mu sync.Mutex
				logs := process(t, log.Config{Key: feedtest.Key(1), Store: broken(store, func(_ context.Context, op, key string) (error, error) {
					mu.Lock()
					defer mu.Unlock()
					if op != c.op || key != c.key || times == 0 {
						return nil, nil
					}
					times--
					armed.add("fault")
					return c.before, c.after
				})})
				l, a := opened(t, store, logs)
				mu.Lock()
				times = c.times
				mu.Unlock()
				subs, err := feedtest.Submit(t.Context(), store, a.ID, a.Publish("file/a@1"))
				must(t, err)
				if _, err = l.Append(t.Context(), 1, subs); !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("got %v, want %v", err, c.want)
				}
				synctest.Wait() // the checkpoint is left in the background
				mu.Lock()
				times = 0
				mu.Unlock()
				if _, err = l.Append(t.Context(), 1, subs); err != nil {
					t.Errorf("again: %v", err)
				}
				if _, err := feedtest.Append(t.Context(), store, l, a.ID, a.Publish("file/a@2")); err != nil {
					t.Errorf("next: %v", err)
				}
				if n := len(entries(t, l)); n != 4 {
					t.Errorf("%d entries, want 4", n)
				}
				fault, s := cmp.Or(c.before, c.after), logs.Stats()
				if again := errors.Is(fault, storage.ErrConflict) || errors.Is(fault, storage.ErrUnclear); again && s.Conflicts != int64(armed.of("fault")) || s.Entries < s.Batches || s.Batches < s.Commits {
					t.Errorf("after %d faults: %+v", armed.of("fault"), s)
				}
				if c.op == "swap" && armed.of("fault") == 0 {
					t.Error("the fault was never met")
				}
			})
		})
	}
}

// TestStaleRefusal publishes through one process what builds on an entry that
// another process has just committed.
func TestStaleRefusal(t *testing.T) {
	store := storage.NewMem()
	one := process(t, log.Config{Store: store, Key: feedtest.Key(1), Fresh: time.Hour})
	two := process(t, log.Config{Store: store, Key: feedtest.Key(1), Fresh: time.Hour})
	l, a := opened(t, store, one)
	for i := range 6 {
		s := a.Publish(fmt.Sprintf("file/a@%d", i))
		if _, err := feedtest.Append(t.Context(), store, []*log.Log{two.Feed(a.ID), l}[i%2], a.ID, s); err != nil {
			t.Fatalf("version %d: %v", i, err)
		}
	}
}

// TestHangingStore commits to a store that never answers: the caller's context
// ends the call, and the committer gives up by itself.
func TestHangingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, gate := storage.NewMem(), newGate()
		logs := process(t, log.Config{Key: feedtest.Key(1), Store: broken(store, gate.fault)})
		l, a := opened(t, store, logs)
		subs := newCheap(a).notes(t, store, 0, 2)
		gate.close("swap")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Append(ctx, 1, subs[:1]); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: got %v", err)
		}
		if _, err := l.Append(t.Context(), 1, subs[1:]); !errors.Is(err, storage.ErrAway) || errors.Is(err, log.ErrBusy) {
			t.Errorf("without: got %v, want ErrAway", err)
		}
		gate.open()
		if _, err := l.Append(t.Context(), 1, subs); err != nil {
			t.Errorf("once it answers again: %v", err)
		}
	})
}

// TestClose queues requests and closes: each gets an answer, none is committed
// behind the answer, and later ones are refused.
func TestClose(t *testing.T) {
	store, gate := storage.NewMem(), newGate()
	logs := log.New(log.Config{Key: feedtest.Key(1), Store: broken(store, gate.fault)})
	l, a := opened(t, store, logs)
	subs := newCheap(a).notes(t, store, 0, 41)
	gate.close("swap")
	answers := []<-chan error{appendAsync(t.Context(), l, 1, subs[:1])}
	gate.waitUntilHeld()
	for i := 1; i < 40; i++ {
		answers = append(answers, appendAsync(t.Context(), l, 1, subs[i:i+1]))
	}
	waitQueued(t, l, 39)
	closed := make(chan error, 1)
	go func() { closed <- logs.Close() }()
	gate.open()
	for i, done := range answers {
		if err := <-done; err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	must(t, <-closed)
	for _, late := range []*log.Log{l, logs.Feed(feed.ID{Space: a.ID.Space, Name: "late"})} {
		if _, err := late.Append(t.Context(), 1, subs[40:]); !errors.Is(err, log.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
	}
	again := process(t, log.Config{Key: feedtest.Key(1), Store: store})
	if n := len(entries(t, again.Feed(a.ID))); n != 42 {
		t.Errorf("%d entries, want 42", n)
	}
}

// TestCloseRace appends while the logs close: whatever was acknowledged is in.
func TestCloseRace(t *testing.T) {
	for range 20 {
		store := storage.NewMem()
		logs := log.New(log.Config{Key: feedtest.Key(1), Store: store})
		l, a := opened(t, store, logs)
		subs := newCheap(a).notes(t, store, 0, 64)
		var wg sync.WaitGroup
		acknowledged := &counter{}
		for w := range 8 {
			wg.Go(func() {
				for i := w * 8; i < w*8+8; i++ {
					_, err := l.Append(t.Context(), 1, subs[i:i+1])
					if err == nil {
						acknowledged.add("n")
					} else if !errors.Is(err, log.ErrClosed) {
						t.Error(err)
					}
				}
			})
		}
		must(t, logs.Close())
		wg.Wait()
		again := process(t, log.Config{Key: feedtest.Key(1), Store: store})
		if got := len(entries(t, again.Feed(a.ID))); got != acknowledged.of("n")+2 {
			t.Fatalf("%d entries, %d acknowledged", got, acknowledged.of("n"))
		}
	}
}

// TestManyWriters has eight processes on one store commit chains of versions,
// while 3 in 100 answers of the store are lost: every acknowledged entry is in
// exactly once, the root is that of the entries, every chain is whole, and no
// reader sees the log go back.
func TestManyWriters(t *testing.T) {
	for _, processes := range []int{2, 8} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) { manyWriters(t, processes) })
	}
}

func manyWriters(t *testing.T, processes int) {
	const each, batch = 40, 3
	store := storage.NewMem()
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(1, uint64(processes)))
	lossy := broken(store, func(_ context.Context, op, key string) (error, error) {
		mu.Lock()
		defer mu.Unlock()
		if op != "swap" || dice.IntN(100) >= 3 {
			return nil, nil
		}
		if dice.IntN(2) == 0 {
			return storage.ErrUnclear, nil
		}
		return nil, storage.ErrUnclear
	})
	_, author := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	var wg sync.WaitGroup
	acknowledged := make([][]signing.ID, processes)
	for p := range processes {
		logs := process(t, log.Config{Store: lossy, Key: feedtest.Key(1), Fresh: time.Millisecond})
		l := logs.Feed(author.ID)
		a := feedtest.AuthorOf(t, author.Space, "shared")
		done := make(chan struct{})
		wg.Go(func() { watch(t, l, done) })
		wg.Go(func() {
			defer close(done)
			for i := range each {
				var batched []feedtest.Signed
				for k := range batch {
					batched = append(batched, a.Publish(fmt.Sprintf("file/p%d@%d.%d", p, i, k)))
				}
				got, err := feedtest.Append(t.Context(), store, l, a.ID, batched...)
				if err != nil {
					t.Errorf("process %d, round %d: %v", p, i, err)
					return
				}
				for k, s := range batched {
					if k > 0 && got.Indices[k] != got.Indices[0]+int64(k) {
						t.Errorf("a batch was torn: %v", got.Indices)
					}
					acknowledged[p] = append(acknowledged[p], s.ID())
				}
			}
		})
	}
	wg.Wait()
	reader := process(t, log.Config{Store: store, Key: feedtest.Key(1)})
	all := entries(t, reader.Feed(author.ID))
	count := map[signing.ID]int{}
	index := feed.NewIndex()
	for i, s := range all {
		count[s.ID()]++
		e := entryOf(t, s)
		if err := index.Check(e); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		index.Add(e.Row(int64(i)))
	}
	for p, ids := range acknowledged {
		for i, id := range ids {
			if count[id] != 1 {
				t.Errorf("process %d, entry %d is in %d times", p, i, count[id])
			}
		}
	}
	if want := 2 + processes*each*batch; len(all) != want {
		t.Errorf("%d entries, want %d", len(all), want)
	}
}

// watch reads heads until done and reports one that is behind another.
func watch(t *testing.T, l *log.Log, done <-chan struct{}) {
	var last int64
	for {
		select {
		case <-done:
			return
		default:
		}
		h, err := l.Head(t.Context(), 0)
		if err != nil || h.Checkpoint.Size < last {
			t.Errorf("a reader saw size %d and then %+v, %v", last, h, err)
			return
		}
		last = h.Checkpoint.Size
		runtime.Gosched()
	}
}

func entryOf(t *testing.T, a signing.Attestation) feed.Entry {
	t.Helper()
	st, err := signing.ParseStatement(a.Payload())
	must(t, err)
	e, err := feed.ParseEntry(a.ID(), st)
	must(t, err)
	return e
}

// TestCreationRace has two processes open the same feed, with the same opening
// and with two different ones.
func TestCreationRace(t *testing.T) {
	for _, same := range []bool{true, false} {
		store := storage.NewMem()
		a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
		b := feedtest.AuthorOf(t, a.Space, "shared")
		if !same {
			b.Key = feedtest.Key(2)
		}
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, author := range []*feedtest.Author{a, b} {
			l := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
			opening := author.Opening()
			wg.Go(func() { _, errs[i] = feedtest.Append(t.Context(), store, l, a.ID, opening...) })
		}
		wg.Wait()
		refused := 0
		for _, err := range errs {
			if errors.As(err, new(*log.OpenedError)) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if want := map[bool]int{true: 0, false: 1}[same]; refused != want {
			t.Errorf("same opening %v: %d refused, want %d", same, refused, want)
		}
		l := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
		if n := len(entries(t, l)); n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
	}
}

// TestListedAfterCrash ends the process that creates a feed before it could be
// listed: the next writer lists it.
func TestListedAfterCrash(t *testing.T) {
	store := storage.NewMem()
	dying := process(t, log.Config{Key: feedtest.Key(1), Store: broken(store, func(_ context.Context, op, key string) (error, error) {
		if op == "create" && strings.HasPrefix(key, "feeds/") {
			return errStore, nil
		}
		return nil, nil
	})})
	_, a := opened(t, store, dying)
	next := process(t, log.Config{Store: store, Key: feedtest.Key(1)})
	if ids, err := next.List(t.Context()); err != nil || len(ids) != 0 {
		t.Fatalf("listed %v, %v: the fault was never met", ids, err)
	}
	_, err := feedtest.Append(t.Context(), store, next.Feed(a.ID), a.ID, a.Publish("file/a@1"))
	must(t, err)
	if ids, err := next.List(t.Context()); err != nil || len(ids) != 1 || ids[0] != a.ID {
		t.Errorf("listed %v, %v", ids, err)
	}
}

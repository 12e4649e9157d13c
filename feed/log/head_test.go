package log_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

const cellKey = "log/acme/dev-qa/shared"

// memoryFloor is a Floor that outlives a process.
type memoryFloor struct {
	mu    sync.Mutex
	epoch uint64
	size  int64
	root  tlog.Hash
}

func (f *memoryFloor) Lowest(feed.ID) (uint64, int64, tlog.Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch, f.size, f.root
}

func (f *memoryFloor) Raise(_ feed.ID, epoch uint64, size int64, root tlog.Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if epoch > f.epoch || size > f.size {
		f.epoch, f.size, f.root = epoch, size, root
	}
}

// rewindable keeps every value of the feed's cell, and can show an older one.
type rewindable struct {
	storage.Cells
	mu   sync.Mutex
	all  [][]byte
	show func(all [][]byte) []byte // nil shows what is there; nil bytes hide the cell
}

func (r *rewindable) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key == cellKey && r.show != nil {
		return "", storage.ErrConflict
	}
	tag, err := r.Cells.Swap(ctx, key, tag, value)
	if err == nil && key == cellKey {
		r.all = append(r.all, value)
	}
	return tag, err
}

func (r *rewindable) Load(ctx context.Context, key string) ([]byte, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key == cellKey && r.show != nil {
		if value := r.show(r.all); value != nil {
			return value, "an older tag", nil
		}
		return nil, "", fs.ErrNotExist
	}
	return r.Cells.Load(ctx, key)
}

// TestWentBack puts an older copy, another log and nothing in the place of a
// log, under a running process and under one that has only its floor left:
// neither reads nor commits (design.md 7: not below the highest size kept).
func TestWentBack(t *testing.T) {
	mem := storage.NewMem()
	cells := &rewindable{Cells: mem.Cells}
	store := *mem
	store.Cells = cells
	floor := &memoryFloor{}
	config := log.Config{Store: &store, Key: feedtest.Key(1), Floor: floor}
	l, a := opened(t, &store, process(t, config))
	for _, ref := range []string{"file/a@1", "file/a@2"} {
		_, err := feedtest.Append(t.Context(), &store, l, a.ID, a.Publish(ref))
		must(t, err)
	}
	noFloor := config
	noFloor.Floor = nil
	runningAlone := process(t, noFloor).Feed(a.ID)
	_, err := runningAlone.Head(t.Context(), 0)
	must(t, err)

	otherMem := storage.NewMem()
	otherCells := &rewindable{Cells: otherMem.Cells}
	otherMem.Cells = otherCells
	other, b := opened(t, otherMem, process(t, log.Config{Store: otherMem, Key: feedtest.Key(1)}))
	for _, ref := range []string{"file/x@1", "file/x@2"} {
		_, err := feedtest.Append(t.Context(), otherMem, other, b.ID, b.Publish(ref))
		must(t, err)
	}
	subs, err := feedtest.Submit(t.Context(), mem, a.ID, append(a.Opening(), a.Publish("file/a@3"))...)
	must(t, err)
	for name, show := range map[string]func([][]byte) []byte{
		"older": func(all [][]byte) []byte { return all[1] },
		"gone":  func([][]byte) []byte { return nil },
		"other": func([][]byte) []byte { return otherCells.all[2] },
	} {
		t.Run(name, func(t *testing.T) {
			cells.mu.Lock()
			cells.show = show
			cells.mu.Unlock()
			for who, l := range map[string]*log.Log{"running": l, "running without floor": runningAlone, "floor alone": process(t, config).Feed(a.ID)} {
				if _, err := l.Head(t.Context(), 0); !errors.Is(err, log.ErrWentBack) {
					t.Errorf("%s: head: %v, want ErrWentBack", who, err)
				}
				if _, err := l.Append(t.Context(), 1, subs); !errors.Is(err, log.ErrWentBack) {
					t.Errorf("%s: append: %v, want ErrWentBack", who, err)
				}
			}
			cells.mu.Lock()
			cells.show = nil
			cells.mu.Unlock()
		})
	}
	if n := len(entries(t, l)); n != 4 {
		t.Errorf("with the right store back: %d entries", n)
	}
}

// TestForeignKey opens a log with another operator's key and with none: it is
// read, by the checkpoint that was left, and never added to.
func TestForeignKey(t *testing.T) {
	store := storage.NewMem()
	logs := log.New(log.Config{Store: store, Key: feedtest.Key(1)})
	l, a := opened(t, store, logs)
	_, err := feedtest.Append(t.Context(), store, l, a.ID, a.Publish("file/a@1"))
	must(t, err)
	must(t, logs.Close()) // which leaves the checkpoint
	before, _, err := store.Cells.Load(t.Context(), cellKey)
	must(t, err)
	for name, key := range map[string]feed.LogKey{"another": feedtest.Key(2), "none": {}} {
		t.Run(name, func(t *testing.T) {
			floor := &memoryFloor{}
			l := process(t, log.Config{Store: store, Key: key, Floor: floor}).Feed(a.ID)
			if n := len(entries(t, l)); n != 3 {
				t.Errorf("read %d entries, want 3", n)
			}
			h, err := l.Head(t.Context(), 0)
			must(t, err)
			if _, err := feed.OpenCheckpoint(h.Checkpoint.Note, a.ID.Origin(1), a.Key.Public()); err != nil {
				t.Errorf("the checkpoint is not the operator's: %v", err)
			}
			for _, s := range []feedtest.Signed{a.Publish("file/" + name + "@1"), a.Opening()[0]} {
				if _, err := feedtest.Append(t.Context(), store, l, a.ID, s); !errors.Is(err, log.ErrForeignKey) {
					t.Errorf("append: got %v, want ErrForeignKey", err)
				}
			}
			if floor.size != 0 {
				t.Error("a cell that nobody here vouches for raised the floor")
			}
		})
	}
	if after, _, err := store.Cells.Load(t.Context(), cellKey); err != nil || string(after) != string(before) {
		t.Errorf("the cell was changed: %v", err)
	}
}

// TestForeignKeyBeforeCheckpoint meets a foreign log for which no checkpoint
// was left yet: it must not pass for a feed that does not exist.
func TestForeignKeyBeforeCheckpoint(t *testing.T) {
	store := storage.NewMem()
	noCheckpoint := broken(store, func(_ context.Context, _, key string) (error, error) {
		if strings.HasPrefix(key, "checkpoint/") {
			return errStore, nil
		}
		return nil, nil
	})
	_, a := opened(t, noCheckpoint, process(t, log.Config{Key: feedtest.Key(1), Store: noCheckpoint}))
	other := process(t, log.Config{Store: store, Key: feedtest.Key(2)}).Feed(a.ID)
	b := feedtest.AuthorOf(t, a.Space, "shared")
	b.Key = feedtest.Key(2)
	if _, err := feedtest.Append(t.Context(), store, other, b.ID, b.Opening()...); !errors.Is(err, log.ErrForeignKey) {
		t.Errorf("opening it anew: got %v, want ErrForeignKey", err)
	}
}

// TestNoKeyOpensNothing tries to open a feed without a log key.
func TestNoKeyOpensNothing(t *testing.T) {
	store := storage.NewMem()
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	l := process(t, log.Config{Store: store}).Feed(a.ID)
	if _, err := feedtest.Append(t.Context(), store, l, a.ID, a.Opening()...); !errors.Is(err, log.ErrForeignKey) {
		t.Errorf("got %v, want ErrForeignKey", err)
	}
}

// TestReaderWithoutKey lets the checkpoint for readers lag behind the cell and
// then catch up, while the cell stays as it is; and be left between the
// reader's two reads.
func TestReaderWithoutKey(t *testing.T) {
	store := storage.NewMem()
	var mu sync.Mutex
	lag := false
	writer := broken(store, func(_ context.Context, op, key string) (error, error) {
		mu.Lock()
		defer mu.Unlock()
		if lag && op == "swap" && strings.HasPrefix(key, "checkpoint/") {
			return errStore, nil
		}
		return nil, nil
	})
	logs := log.New(log.Config{Store: writer, Key: feedtest.Key(1)})
	_, a := opened(t, writer, logs)
	must(t, logs.Close())
	mu.Lock()
	lag = true
	mu.Unlock()
	logs = log.New(log.Config{Store: writer, Key: feedtest.Key(1)})
	_, err := feedtest.Append(t.Context(), writer, logs.Feed(a.ID), a.ID, a.Publish("file/a@1"))
	must(t, err)
	must(t, logs.Close())

	reader := process(t, log.Config{Store: store}).Feed(a.ID)
	if h, err := reader.Head(t.Context(), 0); err != nil || h.Checkpoint.Size != 2 {
		t.Fatalf("with a lagging checkpoint: %+v, %v; want size 2", h, err)
	}
	// The first process to read the cell leaves what that one could not.
	mu.Lock()
	lag = false
	mu.Unlock()
	logs = log.New(log.Config{Store: store, Key: feedtest.Key(1)})
	_, err = logs.Feed(a.ID).Head(t.Context(), 0)
	must(t, errors.Join(err, logs.Close()))
	if h, err := reader.Head(t.Context(), 0); err != nil || h.Checkpoint.Size != 3 {
		t.Errorf("once it was left: %+v, %v; want size 3", h, err)
	}
}

// TestReaderBetween commits between a reader's read of the cell and of the
// checkpoint: that is no log that went back.
func TestReaderBetween(t *testing.T) {
	store := storage.NewMem()
	_, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	var once sync.Once
	reader := process(t, log.Config{Store: broken(store, func(_ context.Context, op, key string) (error, error) {
		if op == "load" && strings.HasPrefix(key, "checkpoint/") {
			once.Do(func() {
				more := log.New(log.Config{Store: store, Key: feedtest.Key(1)})
				_, err := feedtest.Append(t.Context(), store, more.Feed(a.ID), a.ID, a.Publish("file/a@1"))
				must(t, errors.Join(err, more.Close()))
			})
		}
		return nil, nil
	})}).Feed(a.ID)
	if h, err := reader.Head(t.Context(), 0); err != nil || h.Checkpoint.Size < 2 {
		t.Errorf("got %+v, %v", h, err)
	}
}

// TestCommitDuringRead commits while a reader of the same process has read the
// cell already: the read is late, the log did not go back.
func TestCommitDuringRead(t *testing.T) {
	store := storage.NewMem()
	var l *log.Log
	var next []log.Submission
	var once sync.Once
	var armed atomic.Bool // a checkpoint may still be being left
	floor := &memoryFloor{}
	slow := *store
	slow.Cells = loadHook{store.Cells, func(key string) {
		if armed.Load() && key == cellKey {
			once.Do(func() {
				if _, err := l.Append(context.Background(), 1, next); err != nil {
					panic(err)
				}
			})
		}
	}}
	logs := process(t, log.Config{Store: &slow, Key: feedtest.Key(1), Floor: floor})
	l, a := opened(t, store, logs)
	next, err := feedtest.Submit(t.Context(), store, a.ID, a.Publish("file/a@1"))
	must(t, err)
	armed.Store(true)
	if h, err := l.Head(t.Context(), 0); err != nil || h.Checkpoint.Size != 3 {
		t.Errorf("got %+v, %v; want size 3", h, err)
	}
}

type loadHook struct {
	storage.Cells
	after func(key string)
}

func (h loadHook) Load(ctx context.Context, key string) ([]byte, string, error) {
	value, tag, err := h.Cells.Load(ctx, key)
	h.after(key)
	return value, tag, err
}

// TestFresh counts reads of the cell: one within Fresh, and one again when the
// clock was set back.
func TestFresh(t *testing.T) {
	store, loads := storage.NewMem(), &counter{}
	now := feedtest.Now
	_, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	reader := process(t, log.Config{Key: feedtest.Key(1), Fresh: time.Second, Now: func() time.Time { return now },
		Store: broken(store, func(_ context.Context, op, key string) (error, error) {
			if op == "load" && key == cellKey {
				loads.add("n")
			}
			return nil, nil
		})}).Feed(a.ID)
	for i, c := range []struct {
		step  time.Duration
		loads int
	}{{0, 1}, {0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {-time.Hour, 3}, {0, 3}, {time.Hour, 4}} {
		now = now.Add(c.step)
		if _, err := reader.Head(t.Context(), 0); err != nil || loads.of("n") != c.loads {
			t.Errorf("step %d: %d reads, %v; want %d", i, loads.of("n"), err, c.loads)
		}
	}
}

// TestCellOfOther refuses cells that are of another feed or format, or damaged.
func TestCellOfOther(t *testing.T) {
	store := storage.NewMem()
	_, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	value, tag, err := store.Cells.Load(t.Context(), cellKey)
	must(t, err)
	other := feed.ID{Space: a.ID.Space, Name: "other"}
	_, err = store.Cells.Swap(t.Context(), "log/"+other.String(), "", value)
	must(t, err)
	logs := process(t, log.Config{Store: store, Key: feedtest.Key(1)})
	if _, err := logs.Feed(other).Head(t.Context(), 0); err == nil || !strings.Contains(err.Error(), a.ID.Origin(1)) {
		t.Errorf("cell of another feed: %v", err)
	}
	newer := append([]byte("airlock-log 2\n"), value[14:]...)
	tag, err = store.Cells.Swap(t.Context(), cellKey, tag, newer)
	must(t, err)
	if _, err := logs.Feed(a.ID).Head(t.Context(), 0); !errors.As(err, new(*storage.FormatError)) {
		t.Errorf("unknown format: got %v, want a *storage.FormatError", err)
	}
	_, err = store.Cells.Swap(t.Context(), cellKey, tag, value[:len(value)-1])
	must(t, err)
	if _, err := logs.Feed(a.ID).Head(t.Context(), 0); err == nil {
		t.Error("a cell that was cut short was read")
	}
}

// TestAwayOnce: of many readers who wait while the store hangs one asks it for all,
// and all hear that it does not answer.
func TestAwayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := storage.NewMem()
		var away atomic.Bool
		var asked atomic.Int64
		held, release := make(chan struct{}, 64), make(chan struct{})
		store := broken(mem, func(_ context.Context, op, key string) (error, error) {
			if op != "load" || key != cellKey || !away.Load() {
				return nil, nil
			}
			asked.Add(1)
			held <- struct{}{}
			<-release
			return storage.ErrAway, nil
		})
		l, _ := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
		away.Store(true)
		const readers = 50
		var done sync.WaitGroup
		read := func() {
			if _, err := l.Head(t.Context(), 0); !errors.Is(err, storage.ErrAway) {
				t.Errorf("got %v, want ErrAway", err)
			}
		}
		done.Go(read)
		<-held
		for range readers - 1 {
			done.Go(read)
		}
		synctest.Wait()
		close(release)
		done.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("the store was asked %d times, want 1", n)
		}
		away.Store(false)
		if _, err := l.Head(t.Context(), 0); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

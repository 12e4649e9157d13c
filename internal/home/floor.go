package home

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/storage"
)

// floorPause is the time between two writings. Under load that is one for many
// commits.
const floorPause = 250 * time.Millisecond

// Floor remembers the highest head of every feed this home has served, so
// that a store which was put back to an older state is noticed. Heads are
// written by a goroutine of its own; after a crash the last few may be missing.
type Floor struct {
	cells  storage.Cells
	logger *slog.Logger

	mu    sync.Mutex
	heads map[feed.ID]floorHead
	dirty map[feed.ID]bool
	wake  chan struct{}
	once  sync.Once
	stop  chan struct{}
	done  chan struct{}
}

type floorHead struct {
	epoch uint64
	size  int64
	root  tlog.Hash
	tag   string
}

// above reports whether h is a higher head than other.
func (h floorHead) above(other floorHead) bool {
	return h.epoch > other.epoch || h.epoch == other.epoch && h.size > other.size
}

// format writes a head: epoch (8 bytes), size (8), root (32), big-endian.
func (h floorHead) format() []byte {
	value := binary.BigEndian.AppendUint64(nil, h.epoch)
	value = binary.BigEndian.AppendUint64(value, uint64(h.size))
	return append(value, h.root[:]...)
}

// NewFloor returns the memory of a home. Close it to write what is left.
func (h *Home) NewFloor(ctx context.Context, logger *slog.Logger) (*Floor, error) {
	state, err := h.State(ctx)
	if err != nil {
		return nil, err
	}
	f := &Floor{cells: state.Cells, logger: logger, heads: map[feed.ID]floorHead{}, dirty: map[feed.ID]bool{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go f.run()
	return f, nil
}

func floorKey(id feed.ID) string { return "floor/" + id.String() }

// Lowest returns the head that a feed must not fall below.
func (f *Floor) Lowest(id feed.ID) (epoch uint64, size int64, root tlog.Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.heads[id]
	if !ok {
		h = f.load(id)
		f.heads[id] = h
	}
	return h.epoch, h.size, h.root
}

// load reads the head that is kept of a feed.
func (f *Floor) load(id feed.ID) floorHead {
	value, tag, err := f.cells.Load(context.Background(), floorKey(id))
	if err != nil || len(value) != 48 {
		if err == nil {
			err = fmt.Errorf("%d bytes, want 48", len(value))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			f.logger.Error("highest head not read", "feed", id.String(), "error", err)
		}
		return floorHead{tag: tag}
	}
	return floorHead{binary.BigEndian.Uint64(value), int64(binary.BigEndian.Uint64(value[8:])), tlog.Hash(value[16:]), tag}
}

// Raise records a head; lower ones are ignored.
func (f *Floor) Raise(id feed.ID, epoch uint64, size int64, root tlog.Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.heads[id]
	if !ok {
		h = f.load(id)
	}
	next := floorHead{epoch, size, root, h.tag}
	if !next.above(h) {
		return
	}
	f.heads[id] = next
	f.dirty[id] = true
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Close writes what is left. What is raised afterwards is not written.
func (f *Floor) Close() {
	f.once.Do(func() { close(f.stop) })
	<-f.done
}

func (f *Floor) run() {
	defer close(f.done)
	for {
		select {
		case <-f.wake:
			f.flush()
			select {
			case <-time.After(floorPause):
			case <-f.stop:
			}
		case <-f.stop:
			f.flush()
			return
		}
	}
}

func (f *Floor) flush() {
	f.mu.Lock()
	var todo []feed.ID
	for id := range f.dirty {
		todo = append(todo, id)
	}
	f.mu.Unlock()
	for _, id := range todo {
		if err := f.write(id); err != nil {
			// It stays dirty: the next head, or Close, tries again.
			f.logger.Error("highest head not kept", "feed", id.String(), "error", err)
		}
	}
}

// write swaps the cell of a feed. Another process of this home may have
// written: then the higher of the two heads counts.
func (f *Floor) write(id feed.ID) error {
	for {
		f.mu.Lock()
		h := f.heads[id]
		f.mu.Unlock()
		tag, err := f.cells.Swap(context.Background(), floorKey(id), h.tag, h.format())
		if err != nil && !errors.Is(err, storage.ErrConflict) {
			return err
		}
		f.mu.Lock()
		if err == nil {
			now := f.heads[id]
			now.tag = tag
			f.heads[id] = now
			written := !now.above(h)
			if written {
				delete(f.dirty, id)
			}
			f.mu.Unlock()
			if written {
				return nil
			}
			continue
		}
		stored, now := f.load(id), f.heads[id]
		if now.tag = stored.tag; !now.above(stored) {
			now = stored
			delete(f.dirty, id)
		}
		f.heads[id] = now
		dirty := f.dirty[id]
		f.mu.Unlock()
		if !dirty {
			return nil
		}
	}
}

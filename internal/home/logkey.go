package home

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/storage"
)

const logKeyHeader = "airlock log key 1\n"

// LogKey returns the key that signs checkpoints; fs.ErrNotExist where this
// home has none. It is never kept in a store.
func (h *Home) LogKey() (feed.LogKey, error) {
	b, err := readBounded(h.file("keys", "log.key"), 200)
	if err != nil {
		return feed.LogKey{}, err
	}
	text, ok := strings.CutPrefix(string(b), logKeyHeader)
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, "\n"))
	if !ok || err != nil {
		return feed.LogKey{}, fmt.Errorf("%s: not a log key of this version", h.file("keys", "log.key"))
	}
	return feed.NewLogKey(seed)
}

// EnsureLogKey returns the log key, and makes it where there is none. It is
// plain: a server must start without a person.
func (h *Home) EnsureLogKey() (key feed.LogKey, created bool, err error) {
	key, err = h.LogKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return feed.LogKey{}, false, err
	}
	content := logKeyHeader + base64.StdEncoding.EncodeToString(seed) + "\n"
	err = writeNew(h.file("keys", "log.key"), []byte(content), 0o600)
	if errors.Is(err, fs.ErrExist) {
		key, err = h.LogKey() // another process was faster
		return key, false, err
	}
	if err != nil {
		return feed.LogKey{}, false, err
	}
	key, err = feed.NewLogKey(seed)
	return key, true, err
}

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
	done  chan struct{}
}

type floorHead struct {
	epoch uint64
	size  int64
	root  tlog.Hash
	tag   string
}

// NewFloor returns the memory of a home. Close it to write what is left.
func (h *Home) NewFloor(ctx context.Context, logger *slog.Logger) (*Floor, error) {
	state, err := h.State(ctx)
	if err != nil {
		return nil, err
	}
	f := &Floor{cells: state.Cells, logger: logger, heads: map[feed.ID]floorHead{}, dirty: map[feed.ID]bool{},
		wake: make(chan struct{}, 1), done: make(chan struct{})}
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

// load reads a head: epoch (8 bytes), size (8), root (32), big-endian.
func (f *Floor) load(id feed.ID) floorHead {
	value, tag, err := f.cells.Load(context.Background(), floorKey(id))
	if err != nil || len(value) != 48 {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
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
	if epoch < h.epoch || epoch == h.epoch && size <= h.size {
		return
	}
	f.heads[id] = floorHead{epoch, size, root, h.tag}
	f.dirty[id] = true
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Close writes what is left.
func (f *Floor) Close() {
	close(f.wake)
	<-f.done
}

func (f *Floor) run() {
	defer close(f.done)
	for range f.wake {
		f.flush()
	}
	f.flush()
}

func (f *Floor) flush() {
	f.mu.Lock()
	todo := map[feed.ID]floorHead{}
	for id := range f.dirty {
		todo[id] = f.heads[id]
	}
	clear(f.dirty)
	f.mu.Unlock()
	for id, h := range todo {
		value := binary.BigEndian.AppendUint64(nil, h.epoch)
		value = binary.BigEndian.AppendUint64(value, uint64(h.size))
		value = append(value, h.root[:]...)
		tag, err := f.cells.Swap(context.Background(), floorKey(id), h.tag, value)
		if errors.Is(err, storage.ErrConflict) {
			// Another process of this home wrote: its head counts too.
			tag = f.load(id).tag
			f.mu.Lock()
			f.dirty[id] = true
			f.mu.Unlock()
		} else if err != nil {
			f.logger.Error("highest head not kept", "feed", id.String(), "error", err)
			continue
		}
		f.mu.Lock()
		now := f.heads[id]
		now.tag = tag
		f.heads[id] = now
		f.mu.Unlock()
	}
}

package log

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
)

// Floor remembers heads outside the store.
type Floor interface {
	// Lowest returns the head that the feed must not fall below.
	Lowest(feed.ID) (epoch uint64, size int64, root tlog.Hash)
	// Raise records a head that was seen. It may be written later.
	Raise(id feed.ID, epoch uint64, size int64, root tlog.Hash)
}

// floor is a head that the store must not fall below.
type floor struct {
	epoch uint64
	size  int64
	root  tlog.Hash
}

func (h *Head) floor() floor { return floor{h.Epoch, h.cell.size(), h.cell.root} }

// lowest returns the head of this process, and what the store must not fall
// below: by that head, or by the memory that outlives the process.
func (l *Log) lowest() (known *Head, low floor) {
	l.mu.Lock()
	known = l.head
	l.mu.Unlock()
	if l.config.Floor != nil {
		low.epoch, low.size, low.root = l.config.Floor.Lowest(l.id)
	}
	if low.size == 0 && known != nil {
		low = known.floor()
	}
	return known, low
}

func (l *Log) raise(h *Head) {
	if l.config.Floor != nil {
		l.config.Floor.Raise(l.id, h.Epoch, h.cell.size(), h.cell.root)
	}
}

// notBelow refuses a head below low.
func notBelow(h *Head, low floor) error {
	switch {
	case h.Epoch > low.epoch:
		return nil
	case h.Epoch < low.epoch || h.cell.size() < low.size:
		return fmt.Errorf("%w: epoch %d with %d entries, was epoch %d with %d", ErrWentBack, h.Epoch, h.cell.size(), low.epoch, low.size)
	case h.cell.size() == low.size && h.cell.root != low.root:
		return fmt.Errorf("%w: another root at %d entries", ErrWentBack, low.size)
	}
	return nil
}

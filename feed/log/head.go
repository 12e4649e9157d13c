package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"airlock/feed"
)

// Head is a feed as one read of its cell showed it.
type Head struct {
	Epoch      uint64
	Checkpoint feed.Checkpoint
	Edge       feed.Edge // over all entries
	cell       *cell
	tag        string
	own        bool // the cell is signed by the key of this process
}

// Head returns the current head, at most Config.Fresh old, and not older than
// the call where it has fewer than least entries: another process may have told
// the caller of them. It never goes back: a store that does gives ErrWentBack.
// fs.ErrNotExist where there is no feed.
func (l *Log) Head(ctx context.Context, least int64) (*Head, error) {
	return l.HeadWithin(ctx, least, l.config.Fresh)
}

// Any is the age of every head that is at hand. It is enough for who watches the feed:
// what is newer is read for it.
const Any = time.Duration(math.MaxInt64)

// HeadWithin is Head for who says how old it may be.
func (l *Log) HeadWithin(ctx context.Context, least int64, old time.Duration) (*Head, error) {
	if h := l.cached(least, old); h != nil {
		return h, nil
	}
	return l.read(ctx, least)
}

// newest returns the newest head known here, nil where none was read.
func (l *Log) newest() *Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

func (l *Log) cached(least int64, old time.Duration) *Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.within(old); h != nil && h.Checkpoint.Size >= max(least, l.told) {
		return h
	}
	return nil
}

// within returns the newest head known here if it is at most so old. The caller holds
// mu.
func (l *Log) within(old time.Duration) *Head {
	// A clock that was set back makes the age negative: read again.
	if age := l.config.Now().Sub(l.readAt); l.head == nil || age < 0 || age >= old {
		return nil
	}
	return l.head
}

// readTimeout bounds a read of the cell that is made for several callers.
const readTimeout = 30 * time.Second

// anew is more entries than a feed has: what asks for them reads the cell.
const anew = math.MaxInt64

// read returns a head of at least so many entries that is fresh, or what the cell
// shows to a read that begins after the call. All who come during one share the next.
func (l *Log) read(ctx context.Context, least int64) (*Head, error) {
	return l.reads.Do(ctx, func(most *int64) bool { *most = max(*most, least); return true }, l.load)
}

// load reads the cell and makes it the head, unless another reader was faster. It
// returns the newest head known when it is done, which a commit may have moved past
// what was read.
func (l *Log) load(ctx context.Context, least int64) (*Head, error) {
	if h := l.cached(least, l.config.Fresh); h != nil {
		return h, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	h, err := l.loadNow(ctx)
	if err == nil {
		l.logs.keep(l)
		l.mu.Lock()
		l.told = 0 // what is there is known now
		l.mu.Unlock()
	}
	return h, err
}

func (l *Log) loadNow(ctx context.Context) (*Head, error) {
	// What the store must not fall below is noted before it is read: a commit
	// meanwhile raises the floor, and the read is then only late.
	known, low := l.lowest()
	h, err := l.readCell(ctx, known)
	if errors.Is(err, fs.ErrNotExist) && low.size > 0 {
		return nil, fmt.Errorf("feed %s: %w: it is gone, was epoch %d with %d entries", l.id, ErrWentBack, low.epoch, low.size)
	}
	if err == nil && !h.own && h.Checkpoint.Size > h.cell.size() {
		// The checkpoint was left after the cell was read, so now both agree.
		if h, err = l.readCell(ctx, known); err == nil && h.Checkpoint.Size > h.cell.size() {
			err = fmt.Errorf("%w: checkpoint of %d entries, and the log has %d", ErrWentBack, h.Checkpoint.Size, h.cell.size())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", l.id, err)
	}
	if h == known {
		return l.publish(known), nil
	}
	if known != nil {
		if err := notBelow(h, known.floor()); err != nil {
			return nil, fmt.Errorf("feed %s: %w", l.id, err)
		}
	}
	if err := notBelow(h, low); err != nil {
		return nil, fmt.Errorf("feed %s: %w", l.id, err)
	}
	if !h.own { // what nobody vouches for raises nothing
		return l.publish(h), nil
	}
	l.raise(h)
	h = l.publish(h)
	l.leaveOnce()
	return h, nil
}

// readCell reads the cell. It returns known itself where that is still all there is.
func (l *Log) readCell(ctx context.Context, known *Head) (*Head, error) {
	value, tag, err := l.config.Store.Cells.Load(ctx, l.cellKey())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("feed %s: %w", l.id, fs.ErrNotExist) // where it would lie is nobody's business
	}
	if err != nil {
		return nil, err
	}
	if known != nil && known.tag == tag && known.Checkpoint.Size == known.cell.size() {
		return known, nil
	}
	return l.parse(ctx, value, tag)
}

// parse makes a head of a cell's value. Without the key that signed the cell
// the checkpoint is the one that was left for readers.
func (l *Log) parse(ctx context.Context, value []byte, tag string) (*Head, error) {
	key := l.config.Key
	var public []byte
	if !key.IsZero() {
		public = key.Public()
	}
	c, err := parseCell(value, public)
	if errors.Is(err, ErrForeignKey) {
		c, err = parseCell(value, nil)
		public = nil
	}
	if err != nil {
		return nil, err
	}
	if want := l.id.Origin(c.epoch); c.origin != want {
		return nil, fmt.Errorf("%w: cell of %.200q", errCell, c.origin)
	}
	h := &Head{Epoch: c.epoch, Edge: c.fullEdge(), cell: c, tag: tag, own: public != nil}
	if h.own {
		h.Checkpoint, err = key.Sign(c.origin, c.size(), c.root)
	} else {
		h.Checkpoint, err = l.storedCheckpoint(ctx)
	}
	return h, err
}

// errNoCheckpoint also matches fs.ErrNotExist: for readers the feed is not
// there yet.
var errNoCheckpoint = errors.New("no checkpoint was left for readers yet")

// storedCheckpoint serves readers who do not hold the log key: the checkpoint
// that the committer left. It may be behind the cell, and, where it was left
// after the cell was read, ahead of it.
func (l *Log) storedCheckpoint(ctx context.Context) (feed.Checkpoint, error) {
	value, _, err := l.config.Store.Cells.Load(ctx, l.checkpointKey())
	if errors.Is(err, fs.ErrNotExist) {
		return feed.Checkpoint{}, fmt.Errorf("%w: %w", errNoCheckpoint, err)
	}
	if err != nil {
		return feed.Checkpoint{}, err
	}
	return feed.ParseCheckpoint(value)
}

// publish makes h the head that readers get, unless there is a newer one, and
// wakes them if it is new. It returns the head that counts now.
func (l *Log) publish(h *Head) *Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readAt = l.config.Now()
	if l.head == h {
		return h
	}
	if l.head != nil && l.head.Epoch == h.Epoch && l.head.cell.size() > h.cell.size() {
		return l.head // a slower read of an older state
	}
	l.head = h
	l.wake()
	return h
}

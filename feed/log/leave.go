package log

import (
	"context"
	"errors"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// list makes sure that the feed can be found: the process that created it may
// have ended before it did. Once for each process is enough.
func (l *Log) list(ctx context.Context) {
	if l.listed {
		return
	}
	if _, err := l.config.Store.Files.Get(ctx, l.listKey()); err == nil {
		l.listed = true
		return
	}
	if err := l.config.Store.Files.Create(ctx, l.listKey(), []byte("airlock feed 1\n")); err != nil {
		l.config.Logger.Error("feed not listed", "feed", l.id.String(), "error", err)
		return
	}
	l.listed = true
}

// writePack writes what segment n speaks of: its small objects as a pack, and
// the list of all.
func (l *Log) writePack(ctx context.Context, epoch uint64, n int64, statements [][]byte) {
	pack := feed.NewPack()
	s, err := l.speak(ctx, statements, pack)
	if err == nil {
		l.keepNamed(ctx, epoch, n, s)
		_, err = l.config.Store.Cells.Swap(ctx, l.packKey(epoch, n), "", pack.Format())
	}
	if err != nil && !errors.Is(err, storage.ErrConflict) {
		l.config.Logger.Warn("pack not written", "feed", l.id.String(), "segment", n, "error", err)
	}
}

// leavePause is the time between two checkpoints that are left for readers
// without the key. Under load that is one for many commits.
const leavePause = 50 * time.Millisecond

// leaveOnce leaves the first head that a process reads: the one before it may
// have ended between a commit and what it leaves for readers.
func (l *Log) leaveOnce() {
	l.left.Do(func() {
		l.logs.mu.Lock()
		defer l.logs.mu.Unlock()
		if !l.logs.closed { // or Close would not wait for it
			l.leaveCheckpoint()
		}
	})
}

// leaveCheckpoint stores the newest checkpoint for readers without the key,
// in the background and at most one at a time.
func (l *Log) leaveCheckpoint() {
	l.spillMu.Lock()
	defer l.spillMu.Unlock()
	if l.leaving {
		l.leaveAgain = true
		return
	}
	l.leaving = true
	l.logs.wg.Go(func() {
		for {
			l.storeCheckpoint()
			l.spillMu.Lock()
			if !l.leaveAgain {
				l.leaving = false
				l.spillMu.Unlock()
				return
			}
			l.leaveAgain = false
			l.spillMu.Unlock()
			select {
			case <-time.After(leavePause):
			case <-l.stopped:
			}
		}
	})
}

// storeCheckpoint writes the current checkpoint unless a newer one is there.
func (l *Log) storeCheckpoint() {
	ctx, cancel := context.WithTimeout(l.logs.ctx, 10*time.Second)
	defer cancel()
	h := l.newest()
	cells := l.config.Store.Cells
	for range 5 {
		value, tag, err := cells.Load(ctx, l.checkpointKey())
		if err == nil {
			if have, err := feed.ParseCheckpoint(value); err == nil && have.Origin == h.Checkpoint.Origin && have.Size >= h.Checkpoint.Size {
				return
			}
		}
		if _, err = cells.Swap(ctx, l.checkpointKey(), tag, h.Checkpoint.Note); err == nil {
			return
		}
		if !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
			l.config.Logger.Warn("checkpoint not left for readers", "feed", l.id.String(), "error", err)
			return
		}
	}
}

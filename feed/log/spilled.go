package log

import (
	"bytes"
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
)

// makeRoom waits until what a tail holds beyond backpressure is in segments.
// Those that could not be written before are tried again.
func (l *Log) makeRoom(ctx context.Context, h *Head) {
	over := int64(len(h.cell.tail) - backpressure)
	if over < 0 {
		return
	}
	l.spillTail(h)
	first := h.cell.start() / feed.SegmentSize
	for n := first; n <= first+over/feed.SegmentSize; n++ {
		l.waitSpilled(ctx, n)
	}
}

// noteSpilled finds the segments of a tail that another process wrote, so that
// a process which commits but once lets go of them too. What is written last of
// a segment is the highest tile that it completes.
func (l *Log) noteSpilled(ctx context.Context, h *Head) {
	first := h.cell.start() / feed.SegmentSize
	for k := range int64(len(h.cell.tail) / feed.SegmentSize) {
		n, level := first+k, 0
		for m := n; (m+1)%feed.SegmentSize == 0; m /= feed.SegmentSize {
			level++
		}
		if l.segmentDurable(n) {
			continue
		}
		tile, err := l.config.Store.Files.Get(ctx, l.tileKey(h.Epoch, level, n>>(8*level)))
		if err != nil || level == 0 && !bytes.Equal(tile, tileBytes(leaves(h.cell.tail[k*feed.SegmentSize:][:feed.SegmentSize]))) {
			return
		}
		l.markSpilled(n)
	}
}

// markSpilled records a segment that is durable, unless it is being written.
func (l *Log) markSpilled(n int64) {
	l.spillMu.Lock()
	defer l.spillMu.Unlock()
	if _, started := l.spilled[n]; !started {
		done := make(chan struct{})
		close(done)
		l.spilled[n] = done
	}
}

// leaves returns the leaf hashes of tail entries.
func leaves(entries []tailEntry) []tlog.Hash {
	out := make([]tlog.Hash, len(entries))
	for i, e := range entries {
		out[i] = e.leaf
	}
	return out
}

// pruneSpilled forgets segments that the cell let go of long ago.
func (l *Log) pruneSpilled(n int64) {
	l.spillMu.Lock()
	defer l.spillMu.Unlock()
	delete(l.spilled, n-2*maxTail/feed.SegmentSize)
}

// segmentDurable reports whether segment n was written by this process.
func (l *Log) segmentDurable(n int64) bool {
	l.spillMu.Lock()
	defer l.spillMu.Unlock()
	done, ok := l.spilled[n]
	if !ok {
		return false
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// waitSpilled waits until segment n is written, or ctx ends.
func (l *Log) waitSpilled(ctx context.Context, n int64) {
	l.spillMu.Lock()
	done, ok := l.spilled[n]
	l.spillMu.Unlock()
	if ok {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

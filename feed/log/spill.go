package log

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"airlock/feed"
)

// backpressure is the length of the tail at which commits wait for segments,
// and spillTimeout bounds the writing of one.
const (
	backpressure = 8 * feed.SegmentSize
	spillTimeout = time.Minute
)

// afterCommit begins to write what a commit leaves to be written. The list
// entry of a new feed comes first: a feed that nobody can find is no use.
func (l *Log) afterCommit(ctx context.Context, h *Head, created bool) {
	if created {
		l.list(ctx)
	}
	l.spillTail(h)
	l.leaveCheckpoint()
}

// spillTail begins to write the full segments of a head's tail.
func (l *Log) spillTail(h *Head) {
	first := h.cell.start() / feed.SegmentSize
	for n := range int64(len(h.cell.tail) / feed.SegmentSize) {
		l.spillInBackground(h, first+n)
	}
}

// spillInBackground writes segment n, once.
func (l *Log) spillInBackground(h *Head, n int64) {
	l.spillMu.Lock()
	defer l.spillMu.Unlock()
	if _, started := l.spilled[n]; started {
		return
	}
	done, before := make(chan struct{}), l.spilled[n-1]
	l.spilled[n] = done
	l.logs.wg.Go(func() {
		if before != nil {
			<-before // a higher tile needs all the tiles below it
		}
		ctx, cancel := context.WithTimeout(l.logs.ctx, spillTimeout)
		defer cancel()
		if err := l.spill(ctx, h, n); err != nil {
			l.config.Logger.Error("segment not written, will try again", "feed", l.id.String(), "segment", n, "error", err)
			l.spillMu.Lock()
			delete(l.spilled, n)
			l.spillMu.Unlock()
		} else {
			l.pruneSpilled(n)
		}
		close(done)
	})
}

// spill writes segment n and its tiles, then what only makes reading faster.
func (l *Log) spill(ctx context.Context, h *Head, n int64) error {
	at := n*feed.SegmentSize - h.cell.start()
	entries := h.cell.tail[at : at+feed.SegmentSize]
	statements, err := l.readStatements(ctx, entries)
	if err != nil {
		return err
	}
	if err := l.writeSegment(ctx, h.Epoch, n, statements, leaves(entries)); err != nil {
		return err
	}
	l.spillIndex(ctx, h.Epoch, n)
	l.writePack(ctx, h.Epoch, n, statements)
	return nil
}

// writeSegment writes segment n and the tiles that it completes.
func (l *Log) writeSegment(ctx context.Context, epoch uint64, n int64, statements [][]byte, hashes []tlog.Hash) error {
	segment := feed.Segment{Start: n * feed.SegmentSize, Statements: statements}
	if err := l.config.Store.Files.Create(ctx, l.partKey(epoch, "segment", n), segment.Format()); err != nil {
		return fmt.Errorf("segment %d: %w", n, err)
	}
	return l.spillTiles(ctx, epoch, n, hashes)
}

// readStatements reads the statements of tail entries from the Space's objects,
// each of which holds neighbours.
func (l *Log) readStatements(ctx context.Context, entries []tailEntry) ([][]byte, error) {
	out := make([][]byte, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for from := 0; from < len(entries); {
		to := from + 1
		for to < len(entries) && entries[to].stored == entries[from].stored {
			to++
		}
		run, into := entries[from:to], out[from:to]
		g.Go(func() error {
			held, err := readStaged(ctx, l.objects, run[0].stored)
			if err != nil {
				return err
			}
			for i, e := range run {
				if into[i] = held[e.leaf]; into[i] == nil {
					return fmt.Errorf("%w: object %s does not hold statement %s", ErrDamaged, e.stored, e.id)
				}
			}
			return nil
		})
		from = to
	}
	return out, g.Wait()
}

// spillTiles writes the level-0 tile of a segment and every higher tile that
// it completes.
func (l *Log) spillTiles(ctx context.Context, epoch uint64, n int64, hashes []tlog.Hash) error {
	for level := 0; ; level++ {
		if err := l.config.Store.Files.Create(ctx, l.tileKey(epoch, level, n), tileBytes(hashes)); err != nil {
			return fmt.Errorf("tile %d/%d: %w", level, n, err)
		}
		if (n+1)%feed.SegmentSize != 0 {
			return nil
		}
		n /= feed.SegmentSize
		var err error
		if hashes, err = l.tileRoots(ctx, epoch, level, n*feed.SegmentSize, feed.SegmentSize); err != nil {
			return err
		}
	}
}

// spillIndex writes the index page that segment n completes. A page that is
// missing is folded again from segments.
func (l *Log) spillIndex(ctx context.Context, epoch uint64, n int64) {
	const segments = feed.PageSize / feed.SegmentSize
	if (n+1)%segments != 0 {
		return
	}
	page := (n+1)/segments - 1
	content, ok := l.fullPage(int(page))
	if !ok {
		return
	}
	if err := l.config.Store.Files.Create(ctx, l.partKey(epoch, "index", page), content); err != nil {
		l.config.Logger.Warn("index page not written", "feed", l.id.String(), "page", page, "error", err)
	}
}

package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
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

// spillTail begins to write the full segments of a head's tail.
func (l *Log) spillTail(h *Head) {
	first := h.cell.start() / feed.SegmentSize
	for n := range int64(len(h.cell.tail) / feed.SegmentSize) {
		l.spillInBackground(h, first+n)
	}
}

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

// spill writes segment n and its tiles, then what only makes reading faster.
func (l *Log) spill(ctx context.Context, h *Head, n int64) error {
	at := n*feed.SegmentSize - h.cell.start()
	entries := h.cell.tail[at : at+feed.SegmentSize]
	statements, err := l.readStatements(ctx, entries)
	if err != nil {
		return err
	}
	files := l.config.Store.Files
	segment := feed.Segment{Start: n * feed.SegmentSize, Statements: statements}
	if err := files.Create(ctx, l.partKey(h.Epoch, "segment", n), segment.Format()); err != nil {
		return fmt.Errorf("segment %d: %w", n, err)
	}
	if err := l.spillTiles(ctx, h.Epoch, n, leaves(entries)); err != nil {
		return err
	}
	l.spillIndex(ctx, h.Epoch, n)
	l.writePack(ctx, h.Epoch, n, statements)
	return nil
}

// readStatements reads the statements of tail entries from the Space's objects.
func (l *Log) readStatements(ctx context.Context, entries []tailEntry) ([][]byte, error) {
	out := make([][]byte, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, e := range entries {
		g.Go(func() error {
			b, err := readObject(ctx, l.objects, e.stored, signing.MaxAttestation)
			out[i] = b
			return err
		})
	}
	return out, g.Wait()
}

// readObject reads a small object whole; its digest is checked on the way.
func readObject(ctx context.Context, o storage.Objects, d storage.Digest, limit int64) ([]byte, error) {
	r, err := o.Get(ctx, d, 0)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", d, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", d, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("object %s: more than %d bytes", d, limit)
	}
	return b, nil
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

// writePack collects the small objects that a segment's publications name.
func (l *Log) writePack(ctx context.Context, epoch uint64, n int64, statements [][]byte) {
	pack, err := l.buildPack(ctx, statements)
	if err == nil {
		_, err = l.config.Store.Cells.Swap(ctx, l.packKey(epoch, n), "", pack.Format())
	}
	if err != nil && !errors.Is(err, storage.ErrConflict) {
		l.config.Logger.Warn("pack not written", "feed", l.id.String(), "segment", n, "error", err)
	}
}

// buildPack reads the manifests and small payloads that statements publish.
// What is missing or large is left out.
func (l *Log) buildPack(ctx context.Context, statements [][]byte) (*feed.Pack, error) {
	pack := feed.NewPack()
	for _, raw := range statements {
		a, err := signing.ParseAttestation(raw)
		if err != nil {
			continue
		}
		st, err := signing.ParseStatement(a.Payload())
		if err != nil || st.Kind != signing.Publication {
			continue
		}
		manifest, err := readObject(ctx, l.objects, st.Subject, feed.MaxPacked)
		if err != nil {
			continue
		}
		if !pack.Add(st.Subject, manifest) {
			return pack, nil
		}
		m, err := feed.ParseManifest(manifest)
		if err != nil {
			continue
		}
		for _, layer := range m.Layers {
			if layer.Size > feed.MaxPacked {
				continue
			}
			if b, err := readObject(ctx, l.objects, layer.Digest, feed.MaxPacked); err == nil && !pack.Add(layer.Digest, b) {
				return pack, nil
			}
		}
	}
	return pack, ctx.Err()
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
		}
	})
}

// storeCheckpoint writes the current checkpoint unless a newer one is there.
func (l *Log) storeCheckpoint() {
	ctx, cancel := context.WithTimeout(l.logs.ctx, 10*time.Second)
	defer cancel()
	h, _ := l.Changed()
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

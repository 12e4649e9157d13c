package log

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"time"

	"airlock/feed"
	"airlock/storage"
)

const (
	maxGroup    = 2 * MaxBatch
	giveUpAfter = 30 * time.Second
)

// commit takes a group through to its answers. What it does at the store is traced as
// the first one's, and goes on without it; closing the logs waits for it.
func (l *Log) commit(group []*request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(group[0].ctx), giveUpAfter)
	defer cancel()
	known, fresh := l.committerHead(), false
	var last error // why it is tried again
	// Not so many attempts, but so long: of several writers one comes through at a
	// time, and which is chance.
	for attempt := 0; ctx.Err() == nil; attempt++ {
		var err error
		if known == nil {
			known, err = l.reload(ctx)
			fresh = true
		}
		var done map[*request]outcome
		if err == nil {
			done, err = l.try(ctx, known, group, fresh)
		}
		switch {
		case err == nil:
			for r, o := range done {
				r.done <- o
			}
			return
		case errors.Is(err, storage.ErrConflict), errors.Is(err, storage.ErrUnclear):
			// Another writer was faster, or the answer was lost: read the cell,
			// find our own entries, go on with the rest.
			l.config.Logger.Debug("commit again", "feed", l.id.String(), "attempt", attempt, "cause", err)
			l.logs.counts.conflicts.Add(1)
			known, last = nil, err
			l.pause(ctx, attempt)
		case errors.Is(err, errStale):
			known = nil
		default:
			if ctx.Err() != nil { // nobody canceled: the store kept us waiting
				err = fmt.Errorf("feed %s: %w: %w", l.id, storage.ErrAway, err)
			}
			fail(group, err)
			return
		}
	}
	why := ErrBusy
	if errors.Is(last, storage.ErrUnclear) {
		why = storage.ErrAway
	}
	fail(group, fmt.Errorf("feed %s: %w", l.id, why))
}

// errStale reports a refusal that was decided on a head which was not read for
// it: another writer may have committed what the submission builds on.
var errStale = errors.New("the head may be old")

func fail(group []*request, err error) {
	for _, r := range group {
		r.done <- outcome{err: err}
	}
}

// pause waits a moment, longer each time, so that writers do not meet again.
func (l *Log) pause(ctx context.Context, attempt int) {
	limit := min(time.Millisecond<<min(attempt, 8), 250*time.Millisecond)
	t := time.NewTimer(mathrand.N(limit) + time.Millisecond/4)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// committerHead returns the head that the index stands at, nil where the cell
// must be read first.
func (l *Log) committerHead() *Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head != nil && l.head.own && l.index.Size() == l.head.cell.size() && l.index.Size() > 0 {
		return l.head
	}
	return nil
}

// noHead stands for a feed that does not exist yet.
func noHead() *Head { return &Head{cell: &cell{}} }

// reload reads the cell and folds the index up to it.
func (l *Log) reload(ctx context.Context) (*Head, error) {
	h, err := l.read(ctx, anew)
	if errors.Is(err, errNoCheckpoint) {
		return nil, fmt.Errorf("feed %s: %w", l.id, ErrForeignKey)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return noHead(), nil
	}
	if err != nil {
		return nil, err
	}
	if !h.own {
		return nil, fmt.Errorf("feed %s: %w", l.id, ErrForeignKey)
	}
	l.list(ctx)
	l.noteSpilled(ctx, h)
	return h, l.foldTo(ctx, h)
}

// successor is a copy of c to which entries may be added, without those whose
// segments are durable.
func (l *Log) successor(c *cell) *cell {
	next := &cell{origin: c.origin, epoch: c.epoch, edge: c.edge.Clone(), owner: l.config.Owner}
	tail := c.tail
	for len(tail) >= feed.SegmentSize && l.segmentDurable(next.start()/feed.SegmentSize) {
		for _, t := range tail[:feed.SegmentSize] {
			next.edge.Append(t.leaf)
		}
		tail = tail[feed.SegmentSize:]
	}
	next.tail = append(make([]tailEntry, 0, len(tail)+16), tail...)
	return next
}

// swap is the commit point.
func (l *Log) swap(ctx context.Context, head *Head, next *cell, now ledger) (*Head, error) {
	if len(next.tail) > maxTail {
		return nil, fmt.Errorf("feed %s: %d entries wait for their segments: %w", l.id, len(next.tail), ErrBusy)
	}
	edge := head.Edge.Clone()
	for _, t := range next.tail[head.cell.size()-next.start():] {
		edge.Append(t.leaf)
	}
	next.root = edge.Root()
	if _, err := rand.Read(next.nonce[:]); err != nil {
		return nil, err
	}
	if head.tag == "" { // it begins
		if err := l.logs.Claim(ctx); err != nil {
			return nil, fmt.Errorf("feed %s: %w", l.id, err)
		}
	}
	key := l.config.Key
	tag, err := l.config.Store.Cells.Swap(ctx, l.cellKey(), head.tag, next.format(key))
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", l.id, err)
	}
	// Only now: a swap that is lost must not leave a signed fork behind.
	checkpoint, err := key.Sign(next.origin, next.size(), next.root)
	if err != nil {
		return nil, err
	}
	for row := range now.index.Rows(l.index.Size()) {
		l.addRow(row)
	}
	l.signers = now.signers
	h := &Head{Epoch: next.epoch, Checkpoint: checkpoint, Edge: edge, cell: next, tag: tag, own: true}
	l.raise(h)
	l.publish(h)
	l.afterCommit(ctx, h, head.cell.size() == 0)
	return h, nil
}

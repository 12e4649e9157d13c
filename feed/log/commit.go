package log

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// MaxBatch bounds the submissions of one Append.
const MaxBatch = 2 * feed.SegmentSize * 2

const (
	maxGroup    = 2 * MaxBatch
	maxAttempts = 40
	giveUpAfter = 30 * time.Second
)

// Submission is a statement that is to become an entry. The caller has checked
// who signed it, and made it and what it names durable in the Space's objects.
type Submission struct {
	Attestation signing.Attestation
	Entry       feed.Entry
}

type request struct {
	ctx   context.Context
	epoch uint64
	subs  []Submission
	done  chan outcome
}

type outcome struct {
	accepted feed.Accepted
	err      error
}

// Append commits submissions, all of them or none, in order and as neighbours.
// Those that the feed holds already keep their index. Entry 0 of a feed that
// does not exist yet must be its opening.
//
// Refusals are *feed.VersionError, *feed.ChainError, *OpenedError and
// *EpochError.
// Where ctx ends first the outcome is not known; asking again is safe.
func (l *Log) Append(ctx context.Context, epoch uint64, subs []Submission) (feed.Accepted, error) {
	if len(subs) == 0 || len(subs) > MaxBatch {
		return feed.Accepted{}, fmt.Errorf("feed %s: %d submissions at once, want 1 to %d", l.id, len(subs), MaxBatch)
	}
	if l.config.Key.IsZero() {
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrForeignKey)
	}
	if !l.logs.run(l) {
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrClosed)
	}
	r := &request{ctx: ctx, epoch: epoch, subs: subs, done: make(chan outcome, 1)}
	select {
	case l.queue <- r:
	case <-l.stopped:
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrClosed)
	case <-ctx.Done():
		return feed.Accepted{}, ctx.Err()
	}
	select {
	case o := <-r.done:
		return o.accepted, o.err
	case <-ctx.Done():
		return feed.Accepted{}, ctx.Err()
	case <-l.finished:
	}
	select { // queued before the end, and answered, or behind it
	case o := <-r.done:
		return o.accepted, o.err
	default:
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrClosed)
	}
}

// run owns the index and commits group after group until the log is closed.
func (l *Log) run() {
	defer close(l.finished)
	for {
		select {
		case r := <-l.queue:
			l.commit(l.gather(r))
		case <-l.stopped:
			// What was queued before the end still gets its answer.
			for {
				select {
				case r := <-l.queue:
					l.commit(l.gather(r))
				default:
					return
				}
			}
		}
	}
}

// gather collects what is waiting, and what comes within the window.
func (l *Log) gather(first *request) []*request {
	group, n := []*request{first}, len(first.subs)
	var window <-chan time.Time
	if l.config.Window > 0 {
		t := time.NewTimer(l.config.Window)
		defer t.Stop()
		window = t.C
	}
	for n < maxGroup {
		if window == nil {
			select {
			case r := <-l.queue:
				group, n = append(group, r), n+len(r.subs)
				continue
			default:
				return group
			}
		}
		select {
		case r := <-l.queue:
			group, n = append(group, r), n+len(r.subs)
		case <-window:
			return group
		case <-l.stopped:
			return group
		}
	}
	return group
}

// commit takes a group through to its answers.
func (l *Log) commit(group []*request) {
	ctx, cancel := context.WithTimeout(l.logs.ctx, giveUpAfter)
	defer cancel()
	known, fresh := l.committerHead(), false
	for attempt := range maxAttempts {
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
			known = nil
			l.pause(ctx, attempt)
		case errors.Is(err, errStale):
			known = nil
		default:
			if ctx.Err() != nil { // nobody canceled: the store kept us waiting
				err = fmt.Errorf("feed %s: %w: %w", l.id, ErrBusy, err)
			}
			fail(group, err)
			return
		}
	}
	fail(group, fmt.Errorf("feed %s: %w", l.id, ErrBusy))
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
	l.loading.Lock()
	h, err := l.load(ctx)
	l.loading.Unlock()
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

// try checks the group against the head and swaps the cell. It returns the
// answers of all requests, also of those that were refused. Where fresh is not
// set nothing is refused: the error is errStale instead.
func (l *Log) try(ctx context.Context, head *Head, group []*request, fresh bool) (map[*request]outcome, error) {
	l.makeRoom(ctx, head)
	answers := map[*request]outcome{}
	overlay := l.index.Overlay()
	next := l.successor(head.cell)
	var placed []*request
	for _, r := range group {
		if r.ctx.Err() != nil {
			answers[r] = outcome{err: r.ctx.Err()}
			continue
		}
		rows, indices, err := l.place(next, overlay, r)
		if err != nil && !fresh {
			return nil, errStale
		}
		if err != nil {
			answers[r] = outcome{err: err}
			continue
		}
		answers[r] = outcome{accepted: feed.Accepted{Indices: indices, Added: len(rows)}}
		placed = append(placed, r)
		for _, p := range rows {
			overlay.Add(p.row)
			next.tail = append(next.tail, p.tail)
			next.epoch, next.origin = r.epoch, l.id.Origin(r.epoch)
		}
	}
	now := head
	if overlay.Size() > l.index.Size() {
		var err error
		if now, err = l.swap(ctx, head, next, overlay); err != nil {
			return nil, err
		}
	}
	p := newProver(now)
	for _, r := range placed {
		o := answers[r]
		p.prove(&o.accepted, len(r.subs))
		answers[r] = o
	}
	return answers, nil
}

// prover fills in what shows that entries are in. It walks the tail once for
// all answers of a group, which come in the order of their entries.
type prover struct {
	now    *Head
	before feed.Edge
	leaves []tlog.Hash // of the tail
}

func newProver(now *Head) *prover {
	return &prover{now: now, before: now.cell.edge.Clone(), leaves: leaves(now.cell.tail)}
}

// prove completes an answer about n submissions.
func (p *prover) prove(c *feed.Accepted, n int) {
	c.Checkpoint, c.Epoch = p.now.Checkpoint, p.now.Epoch
	if c.Added < n {
		return // some were there before: the caller reads the feed
	}
	start := p.now.cell.start()
	for p.before.Size() < c.Indices[0] {
		p.before.Append(p.leaves[p.before.Size()-start])
	}
	c.Before, c.After = p.before.Clone(), p.leaves[c.Indices[n-1]+1-start:]
}

type placement struct {
	row  feed.Row
	tail tailEntry
}

// place checks one request against the overlay: which of its submissions are
// in already, and what the others would become. next is the cell so far.
func (l *Log) place(next *cell, overlay *feed.Index, r *request) ([]placement, []int64, error) {
	if overlay.Size() == 0 && r.subs[0].Entry.What != feed.IsOpening {
		return nil, nil, fmt.Errorf("feed %s: %w", l.id, fs.ErrNotExist)
	}
	if overlay.Size() > 0 && r.epoch != next.epoch {
		return nil, nil, &EpochError{ID: l.id, Is: next.epoch, Got: r.epoch}
	}
	mine := overlay.Overlay()
	var out []placement
	indices := make([]int64, len(r.subs))
	for i, s := range r.subs {
		if have, ok := mine.ByID(s.Entry.ID); ok {
			indices[i] = have
			continue
		}
		if s.Entry.What == feed.IsOpening && mine.Size() > 0 {
			return nil, nil, &OpenedError{ID: l.id}
		}
		if err := mine.Check(s.Entry); err != nil {
			return nil, nil, fmt.Errorf("feed %s: %w", l.id, err)
		}
		indices[i] = mine.Size()
		row := s.Entry.Row(mine.Size())
		mine.Add(row)
		out = append(out, placement{row, tailOf(s)})
	}
	return out, indices, nil
}

// OpenedError reports an opening for a feed that has one.
type OpenedError struct{ ID feed.ID }

func (e *OpenedError) Error() string { return fmt.Sprintf("feed %s was opened already", e.ID) }

// EpochError reports submissions for another epoch than the feed is at.
type EpochError struct {
	ID      feed.ID
	Is, Got uint64
}

func (e *EpochError) Error() string {
	return fmt.Sprintf("feed %s is at epoch %d, the submission is for %d", e.ID, e.Is, e.Got)
}

func tailOf(s Submission) tailEntry {
	t := tailEntry{leaf: feed.LeafHash(s.Attestation), id: s.Entry.ID, stored: storage.DigestOf(s.Attestation.Bytes())}
	if s.Entry.Ref.Name != "" {
		t.name = storage.DigestOf([]byte(s.Entry.Ref.Kind + "/" + s.Entry.Ref.Name))
	}
	return t
}

// successor is a copy of c to which entries may be added, without those whose
// segments are durable.
func (l *Log) successor(c *cell) *cell {
	next := &cell{origin: c.origin, epoch: c.epoch, edge: c.edge.Clone(), owner: c.owner}
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
func (l *Log) swap(ctx context.Context, head *Head, next *cell, overlay *feed.Index) (*Head, error) {
	if len(next.tail) > maxTail {
		return nil, fmt.Errorf("feed %s: %d entries wait for their segments: %w", l.id, len(next.tail), ErrBusy)
	}
	edge := next.fullEdge()
	next.root = edge.Root()
	if _, err := rand.Read(next.nonce[:]); err != nil {
		return nil, err
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
	for row := range overlay.Rows(l.index.Size()) {
		l.addRow(row)
	}
	h := &Head{Epoch: next.epoch, Checkpoint: checkpoint, Edge: edge, cell: next, tag: tag, own: true}
	l.raise(h)
	l.publish(h)
	l.afterCommit(ctx, h, head.cell.size() == 0)
	return h, nil
}

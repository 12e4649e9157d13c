package log

import (
	"context"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/storage"
)

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
	p := newProver(head, now)
	for _, r := range placed {
		o := answers[r]
		p.prove(&o.accepted, len(r.subs))
		answers[r] = o
	}
	return answers, nil
}

// prover fills in what shows that entries are in. It walks the new entries once
// for all answers of a group, which come in the order of their entries.
type prover struct {
	now    *Head
	before feed.Edge
	first  int64       // index of the first new entry
	leaves []tlog.Hash // of the new entries
}

// newProver makes proofs for what was committed between two heads.
func newProver(head, now *Head) *prover {
	first := head.cell.size()
	return &prover{now: now, before: head.Edge.Clone(), first: first, leaves: leaves(now.cell.tail[first-now.cell.start():])}
}

// prove completes an answer about n submissions.
func (p *prover) prove(c *feed.Accepted, n int) {
	c.Checkpoint, c.Epoch = p.now.Checkpoint, p.now.Epoch
	if c.Added < n {
		return // some were there before: the caller reads the feed
	}
	for p.before.Size() < c.Indices[0] {
		p.before.Append(p.leaves[p.before.Size()-p.first])
	}
	c.Before, c.After = p.before.Clone(), p.leaves[c.Indices[n-1]+1-p.first:]
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

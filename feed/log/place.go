package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

// try checks the group against the head and swaps the cell. It returns the
// answers of all requests, also of those that were refused. Where fresh is not
// set nothing is refused: the error is errStale instead.
func (l *Log) try(ctx context.Context, head *Head, group []*request, fresh bool) (map[*request]outcome, error) {
	l.makeRoom(ctx, head)
	answers := map[*request]outcome{}
	now := ledger{l.index.Overlay(), l.signers}
	next := l.successor(head.cell)
	var placed []*request
	for _, r := range group {
		if r.ctx.Err() != nil {
			answers[r] = outcome{err: r.ctx.Err()}
			continue
		}
		got, err := l.place(ctx, next, now, r)
		if err != nil && !fresh {
			return nil, errStale
		}
		if err != nil {
			answers[r] = outcome{err: err}
			continue
		}
		answers[r] = outcome{accepted: feed.Accepted{Indices: got.indices, Added: len(got.rows)}}
		placed = append(placed, r)
		for _, p := range got.rows {
			now.index.Add(p.row)
			next.tail = append(next.tail, p.tail)
			next.epoch, next.origin = r.epoch, l.id.Origin(r.epoch)
		}
		now.signers = got.signers
	}
	after := head
	if now.index.Size() > l.index.Size() {
		var err error
		if after, err = l.swap(ctx, head, next, now); err != nil {
			return nil, err
		}
		l.logs.counts.committed(len(placed), after.Checkpoint.Size-head.cell.size())
	}
	p := newProver(head, after)
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

// placed is what a request becomes: the new entries, the index of each of its
// submissions, and who may sign after them.
type placed struct {
	rows    []placement
	indices []int64
	signers *feed.Signers
}

// place checks one request against the ledger: which of its submissions are
// in already, and what the others would become. next is the cell so far.
func (l *Log) place(ctx context.Context, next *cell, at ledger, r *request) (placed, error) {
	if at.index.Size() == 0 && r.subs[0].Entry.What != feed.IsOpening {
		return placed{}, fmt.Errorf("feed %s: %w", l.id, fs.ErrNotExist)
	}
	if at.index.Size() > 0 && r.epoch != next.epoch {
		return placed{}, &EpochError{ID: l.id, Is: next.epoch, Got: r.epoch}
	}
	mine := ledger{at.index.Overlay(), at.signers}
	if at.index.Size() == 0 {
		mine.signers = l.newSigners(r.epoch)
	}
	out := placed{indices: make([]int64, len(r.subs))}
	for i, s := range r.subs {
		if have, ok := mine.index.Holds(s.Entry.ID); ok {
			out.indices[i] = have
			continue
		}
		if s.Entry.What == feed.IsOpening && mine.index.Size() > 0 {
			return placed{}, &OpenedError{ID: l.id}
		}
		row, err := mine.admit(ctx, s)
		if err != nil {
			return placed{}, fmt.Errorf("feed %s: %w", l.id, err)
		}
		out.indices[i] = row.Index
		mine.index.Add(row)
		out.rows = append(out.rows, placement{row, tailOf(s)})
	}
	if err := mine.signers.Opened(); err != nil {
		return placed{}, err
	}
	out.signers = mine.signers
	return out, nil
}

// admit checks a submission as the next entry, by the rules that readers will
// hold it to, and returns its row.
func (b *ledger) admit(ctx context.Context, s Submission) (feed.Row, error) {
	if feed.ConcernsSigners(s.Attestation) {
		b.signers = b.signers.Clone() // what a request brings counts once it is in
	}
	// A key that was revoked is no leaf any more, so read tells of that too.
	e, err := b.read(ctx, s.Attestation)
	_, denied := errors.AsType[*trust.DeniedError](err)
	switch {
	case errors.Is(err, feed.ErrDocument):
		return feed.Row{}, damaged(err)
	case err != nil && !denied:
		err = &trust.DeniedError{Reason: trust.Malformed, Rule: "form", Thing: fmt.Sprintf("entry %d", b.index.Size()), Why: err.Error()}
	case err == nil:
		err = b.index.CheckBut(e, b.signers.Revoked())
	}
	return e.Row(b.index.Size()), err
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
	t := tailEntry{leaf: feed.LeafHash(s.Attestation), id: s.Entry.ID, stored: s.stored}
	if t.stored == (storage.Digest{}) {
		t.stored = storage.DigestOf(s.Attestation.Bytes())
	}
	if s.Entry.Ref.Name != "" {
		t.name = storage.DigestOf([]byte(s.Entry.Ref.Kind + "/" + s.Entry.Ref.Name))
	}
	return t
}

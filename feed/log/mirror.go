package log

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// ErrKept reports a feed that a log with a key of its own keeps in this store:
// it grows by what is appended to it, and by nothing that was carried here.
var ErrKept = errors.New("the store holds the log itself, not a mirror of it")

// A mirror is a feed whose log another store keeps. Its cell is signed by
// nobody: where a signature stands there are zeros. It is read like any log of
// another key, and grows by Mirror alone.

// unsigned is what stands for the signature in a mirror's cell.
var unsigned = make([]byte, ed25519.SignatureSize)

// mirrored reports whether a cell is one of a mirror.
func mirrored(value []byte) bool {
	return len(value) > len(unsigned) && bytes.Equal(value[len(value)-len(unsigned):], unsigned)
}

// Mirror takes in the entries of a feed up to a checkpoint that is signed by
// another log, and reports how many were there before and are now. The caller has
// verified entries and checkpoint, with a feed.Follower, and has made durable
// what they name. The tree is computed again before anything is written, and
// until the last of it is durable readers see what was there before; a run that
// was ended is begun again, and of two at a time one ends with
// storage.ErrConflict. A mirror that has as much already stays. src may read from
// this log what is here.
//
// A feed that is no mirror here gives ErrKept, entries that do not continue it,
// or do not give the checkpoint's root, feed.ErrRoot.
func (l *Log) Mirror(ctx context.Context, src feed.Source, to feed.Checkpoint, epoch uint64) (before, now int64, err error) {
	value, tag, err := l.config.Store.Cells.Load(ctx, l.cellKey())
	next := &cell{}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, 0, err
	case !mirrored(value):
		return 0, 0, fmt.Errorf("feed %s: %w", l.id, ErrKept)
	default:
		if next, err = parseCell(value, nil); err != nil {
			return 0, 0, fmt.Errorf("feed %s: %w", l.id, err)
		}
	}
	if next.epoch > epoch {
		return 0, 0, fmt.Errorf("feed %s: %w: epoch %d, the mirror is at %d", l.id, ErrWentBack, epoch, next.epoch)
	}
	before = next.size()
	if next.epoch < epoch {
		next, before = &cell{epoch: epoch, origin: l.id.Origin(epoch)}, 0
	}
	if next.size() > to.Size {
		return before, before, nil
	}
	m := &mirror{Log: l, src: src, from: next.size(), to: to, cell: next}
	if err := m.check(ctx); err != nil {
		return before, before, err
	}
	if next.size() < to.Size {
		if err := m.write(ctx); err != nil {
			return before, before, err
		}
		if err := m.swap(ctx, tag); err != nil {
			return before, before, err
		}
	}
	if err := m.leave(ctx); err != nil {
		return before, before, err
	}
	l.list(ctx)
	return before, to.Size, nil
}

// mirror carries out one Mirror.
type mirror struct {
	*Log
	src    feed.Source
	from   int64 // entries that are there
	to     feed.Checkpoint
	cell   *cell       // grows
	leaves []tlog.Hash // of the entries that are new
}

// entries hands out the stored form of the entries that are new.
func (m *mirror) entries(ctx context.Context, each func(raw []byte) error) error {
	next := m.from
	for s, err := range m.src.Segments(ctx, m.id, next, m.to.Size) {
		if err != nil {
			return err
		}
		for _, raw := range s.Statements[min(int64(len(s.Statements)), max(0, next-s.Start)):] {
			if next == m.to.Size {
				return nil
			}
			if err := each(raw); err != nil {
				return fmt.Errorf("feed %s: entry %d: %w", m.id, next, err)
			}
			next++
		}
	}
	if next < m.to.Size {
		return &feed.GapError{ID: m.id, From: next, To: m.to.Size}
	}
	return ctx.Err()
}

// check computes the tree up to the checkpoint. Files are created once, so
// nothing may be written that turns out to be wrong.
func (m *mirror) check(ctx context.Context) error {
	edge := m.cell.fullEdge()
	var leaves []tlog.Hash
	err := m.entries(ctx, func(raw []byte) error {
		a, err := feed.Logged(raw)
		if err != nil {
			return err
		}
		leaf := feed.LeafHash(a)
		leaves = append(leaves, leaf)
		edge.Append(leaf)
		return nil
	})
	if err != nil {
		return err
	}
	if edge.Root() != m.to.Root {
		return fmt.Errorf("feed %s: %w: %s at size %d, the mirror would have %s", m.id, feed.ErrRoot, m.to.Root, m.to.Size, edge.Root())
	}
	m.leaves = leaves
	return nil
}

// write writes full segments, and the statements that wait for theirs.
func (m *mirror) write(ctx context.Context) error {
	statements, err := m.readStatements(ctx, m.cell.tail)
	if err != nil {
		return fmt.Errorf("feed %s: statements from %d on: %w", m.id, m.cell.start(), damaged(err))
	}
	n := 0
	err = m.entries(ctx, func(raw []byte) error {
		a, err := feed.Logged(raw)
		if err != nil {
			return err
		}
		t := mirrorEntry(a, raw)
		if t.leaf != m.leaves[n] {
			return fmt.Errorf("%w: another entry than a moment ago", feed.ErrRoot)
		}
		n++
		m.cell.tail, statements = append(m.cell.tail, t), append(statements, raw)
		if len(statements) < feed.SegmentSize {
			return nil
		}
		err = m.full(ctx, statements)
		statements = nil
		return err
	})
	if err != nil {
		return err
	}
	var items []storage.Item
	for _, raw := range statements {
		items = append(items, storage.Item{Ref: storage.RefOf(raw), Data: raw})
	}
	return storage.PutAll(ctx, m.objects, items)
}

// full writes the segment that the tail has become.
func (m *mirror) full(ctx context.Context, statements [][]byte) error {
	n := m.cell.start() / feed.SegmentSize
	if err := m.writeSegment(ctx, m.cell.epoch, n, statements, leaves(m.cell.tail)); err != nil {
		return err
	}
	m.writePack(ctx, m.cell.epoch, n, statements)
	for _, t := range m.cell.tail {
		m.cell.edge.Append(t.leaf)
	}
	m.cell.tail = nil
	return nil
}

// mirrorEntry is the tail's entry of a statement. One that is void may be of any
// form.
func mirrorEntry(a signing.Attestation, raw []byte) tailEntry {
	s := Submission{Attestation: a}
	if st, err := signing.ParseStatement(a.Payload()); err == nil {
		if e, err := feed.ParseEntry(a.ID(), st); err == nil {
			s.Entry = e
		}
	}
	s.Entry.ID = a.ID()
	t := tailOf(s)
	t.stored = storage.DigestOf(raw)
	return t
}

// swap makes what was written visible.
func (m *mirror) swap(ctx context.Context, tag string) error {
	m.cell.root = m.to.Root
	if _, err := rand.Read(m.cell.nonce[:]); err != nil {
		return err
	}
	value := append(m.cell.outline(), unsigned...)
	if _, err := m.config.Store.Cells.Swap(ctx, m.cellKey(), tag, value); err != nil {
		return fmt.Errorf("feed %s: %w", m.id, err)
	}
	return nil
}

// leave stores the checkpoint, unless a newer one is there.
func (m *mirror) leave(ctx context.Context) error {
	cells := m.config.Store.Cells
	value, tag, err := cells.Load(ctx, m.checkpointKey())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if have, parseErr := feed.ParseCheckpoint(value); err == nil && parseErr == nil && have.Origin == m.to.Origin && have.Size >= m.to.Size {
		return nil
	}
	if _, err := cells.Swap(ctx, m.checkpointKey(), tag, m.to.Note); err != nil {
		return fmt.Errorf("feed %s: checkpoint: %w", m.id, err)
	}
	return nil
}

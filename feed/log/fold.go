package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// ledger is what the committer knows at some size: what the entries add up to,
// and who may sign the next one.
type ledger struct {
	index   *feed.Index
	signers *feed.Signers
}

// foldTo reads what the ledger lacks up to a head. Signatures are not checked
// again: the cell is signed by this operator's key, and readers check each
// statement for themselves.
func (l *Log) foldTo(ctx context.Context, h *Head) error {
	if l.signers == nil {
		if err := l.begin(ctx, h); err != nil {
			return err
		}
	}
	size := h.cell.size()
	for l.index.Size() < size {
		from := l.index.Size()
		statements, err := l.statements(ctx, h, from, min(size, (from/feed.SegmentSize+1)*feed.SegmentSize))
		if err != nil {
			return err
		}
		for i, raw := range statements {
			row, err := l.foldRow(ctx, from+int64(i), raw)
			if err != nil {
				return err
			}
			l.addRow(row)
		}
	}
	return nil
}

// foldRow turns a stored statement into the next row of the index, and lets
// identities count. The row says whether it is a link: what revocations do to
// it is asked when it matters, or a page could not stay as it is.
func (l *Log) foldRow(ctx context.Context, i int64, raw []byte) (feed.Row, error) {
	a, err := signing.ParseAttestation(raw)
	if err != nil {
		return feed.Row{Index: i, Void: err.Error()}, nil
	}
	e, err := ledger{l.index, l.signers}.read(ctx, a)
	if errors.Is(err, feed.ErrDocument) {
		return feed.Row{}, fmt.Errorf("feed %s: entry %d: %w", l.id, i, damaged(err))
	}
	row := e.Row(i)
	if err == nil && !l.index.Follows(e) {
		err = l.index.Check(e)
	}
	if err != nil {
		row.Void = err.Error()
	}
	return row, nil
}

// read takes in a statement as the next entry: what it says, and who of the
// leaves signed it. Its signature was verified before. An error says why it is
// void, unless it matches feed.ErrDocument.
func (b ledger) read(ctx context.Context, a signing.Attestation) (feed.Entry, error) {
	e, i := feed.Entry{ID: a.ID()}, b.index.Size()
	switch {
	case i == 0:
		e.What = feed.IsOpening
		return e, b.signers.Open(a)
	case feed.ConcernsSigners(a):
		e.What = feed.IsIdentity
		if have, ok := b.index.Holds(e.ID); ok {
			return e, &feed.RepeatedError{ID: e.ID, Index: have}
		}
		return e, b.signers.Add(ctx, i, a)
	}
	by, err := b.signers.Believed(a, i)
	if err != nil {
		return e, err
	}
	if e, err = feed.ParseEntry(a.ID(), by.Statement()); err == nil && e.What == feed.IsOpening {
		err = &feed.OpenedAgainError{}
	}
	e.SignedBy(by)
	return e, err
}

// begin makes a ledger of the index pages that were written and the identities
// that stand in them.
func (l *Log) begin(ctx context.Context, h *Head) error {
	index, signers := feed.NewIndex(), l.newSigners(h.Epoch)
	if err := l.loadPages(ctx, h, index); err != nil {
		return err
	}
	var s feed.Segment
	for i := range index.Identities() {
		n := i / feed.SegmentSize
		if s.Statements == nil || s.Start != n*feed.SegmentSize {
			var err error
			if s, err = l.segment(ctx, h, n, 0, feed.SegmentSize); err != nil {
				return err
			}
		}
		a, err := signing.ParseAttestation(s.Statements[i-s.Start])
		switch {
		case err != nil:
		case i == 0:
			err = signers.Open(a)
		default:
			err = signers.Add(ctx, i, a)
		}
		switch {
		case errors.Is(err, feed.ErrDocument):
			return fmt.Errorf("feed %s: entry %d: %w", l.id, i, damaged(err))
		case err != nil: // it counted when the page was written
			return fmt.Errorf("feed %s: entry %d: %w: %v", l.id, i, ErrDamaged, err)
		}
	}
	l.indexMu.Lock()
	defer l.indexMu.Unlock()
	l.index, l.signers = index, signers
	return nil
}

// newSigners returns the signers of the feed before its entry 0.
func (l *Log) newSigners(epoch uint64) *feed.Signers {
	return feed.NewSigners(l.id, epoch, nil, func(ctx context.Context, d storage.Digest, limit int64) ([]byte, error) {
		return feed.ReadWhole(ctx, l.objects.Get, d, limit)
	})
}

// loadPages begins an index with the pages that were written. The first that
// is missing or damaged ends them; segments have the rest.
func (l *Log) loadPages(ctx context.Context, h *Head, index *feed.Index) error {
	for n := range h.cell.start() / feed.PageSize {
		b, err := l.config.Store.Files.Get(ctx, l.partKey(h.Epoch, "index", n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("index page %d: %w", n, err)
		}
		if err := index.AddPage(b); err != nil {
			l.config.Logger.Warn("index page not used", "feed", l.id.String(), "page", n, "error", err)
			return nil
		}
	}
	return nil
}

// addRow adds to the index. The committer alone changes it; the lock is for
// fullPage and Entry, which others call.
func (l *Log) addRow(r feed.Row) {
	l.indexMu.Lock()
	defer l.indexMu.Unlock()
	l.index.Add(r)
}

// fullPage returns the bytes of an index page that will not change any more.
func (l *Log) fullPage(n int) ([]byte, bool) {
	l.indexMu.Lock()
	defer l.indexMu.Unlock()
	if n >= l.index.FullPages() {
		return nil, false
	}
	return l.index.Page(n), true
}

// Entry returns the entry with a statement, of those up to this process's last
// commit.
func (l *Log) Entry(id signing.ID) (feed.Row, bool) {
	l.indexMu.Lock()
	defer l.indexMu.Unlock()
	i, ok := l.index.ByID(id)
	if !ok {
		return feed.Row{}, false
	}
	return l.index.Row(i), true
}

package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/feed"
	"airlock/signing"
)

// foldTo reads what the index lacks up to a head. Signatures are not checked
// again: the cell is signed by this operator's key, and readers check each
// statement for themselves.
func (l *Log) foldTo(ctx context.Context, h *Head) error {
	size := h.cell.size()
	if l.index.Size() == 0 {
		if err := l.loadPages(ctx, h); err != nil {
			return err
		}
	}
	for l.index.Size() < size {
		from := l.index.Size()
		n := from / feed.SegmentSize
		width := int(min(size-n*feed.SegmentSize, feed.SegmentSize))
		segment, err := l.segment(ctx, h, n, width)
		if err != nil {
			return err
		}
		for i, raw := range segment.Statements {
			if index := segment.Start + int64(i); index >= from {
				l.addRow(foldRow(l.index, index, raw))
			}
		}
	}
	return nil
}

// foldRow turns a stored statement into the next row of an index.
func foldRow(x *feed.Index, i int64, raw []byte) feed.Row {
	void := func(err error) feed.Row { return feed.Row{Index: i, Void: err.Error()} }
	a, err := signing.ParseAttestation(raw)
	if err != nil {
		return void(err)
	}
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return void(err)
	}
	e, err := feed.ParseEntry(a.ID(), st)
	if err != nil {
		return void(err)
	}
	row := e.Row(i)
	if err := x.Check(e); err != nil {
		row.Void = err.Error()
	}
	return row
}

// loadPages begins an index with the pages that were written. The first that
// is missing or damaged ends them; segments have the rest.
func (l *Log) loadPages(ctx context.Context, h *Head) error {
	for n := range h.cell.start() / feed.PageSize {
		b, err := l.config.Store.Files.Get(ctx, l.partKey(h.Epoch, "index", n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("index page %d: %w", n, err)
		}
		l.indexMu.Lock()
		err = l.index.AddPage(b)
		l.indexMu.Unlock()
		if err != nil {
			l.config.Logger.Warn("index page not used", "feed", l.id.String(), "page", n, "error", err)
			return nil
		}
	}
	return nil
}

// addRow adds to the index. The committer alone changes it; the lock is for
// fullPage, which others call.
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

package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// WriteStream writes a stream with a slice of a feed. Nothing is verified and
// little kept: statements go out as src has them, each segment with what it names.
// What is not there any more, such as the payloads of what was withdrawn, is left
// out, and the receiver sees that.
func WriteStream(ctx context.Context, w io.Writer, h StreamHead, key feed.LogKey, src feed.Source) error {
	head, err := h.format(key)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	f := Feed{Source: src, State: &feed.State{ID: h.Slice.Feed, Lineage: h.Slice.Lineage, Epoch: h.Slice.Epoch}}
	s := &streamer{planner: planner{Options: Options{Feeds: []Feed{f}}, plan: &Plan{Document: h.document()}, carried: map[objectKey]bool{}}, w: w}
	for first := h.Slice.From; first < h.Slice.To; {
		end := min((first/feed.SegmentSize+1)*feed.SegmentSize, h.Slice.To)
		if err := s.segment(ctx, f, first, end); err != nil {
			return fmt.Errorf("feed %s: entries %d to %d: %w", h.Slice.Feed, first, end-1, err)
		}
		first = end
	}
	if err := s.finish(ctx); err != nil {
		return err
	}
	_, err = w.Write(make([]byte, partRecord))
	return err
}

// streamer is a planner whose parts go out as soon as they are planned.
type streamer struct {
	planner
	w        io.Writer
	holdings *document // the newest
}

// segment sends the entries from first up to end, of one segment, and what they
// name.
func (s *streamer) segment(ctx context.Context, f Feed, first, end int64) error {
	segment, err := readSegment(ctx, f.Source, f.State.ID, first, end)
	if err != nil {
		return err
	}
	s.whole(Part{Kind: Statements, First: first, Count: int(end - first)}, segment.Format())
	var rows []feed.Row
	for i, raw := range segment.Statements {
		index := first + int64(i)
		st, entry, ok := claimed(raw)
		switch {
		case !ok:
		case entry.What == feed.IsPublication:
			rows = append(rows, entry.Row(index))
		case entry.What == feed.IsIdentity:
			err = there(s.document(ctx, 0, document{kind: signing.Identity, index: index, digest: st.Subject}))
		case st.Kind == signing.Holdings: // a snapshot stands for all before it
			s.holdings = &document{kind: signing.Holdings, index: index, digest: st.Subject}
		}
		if err != nil {
			return err
		}
	}
	if err := s.packages(ctx, f, rows); err != nil {
		return err
	}
	return s.send(ctx)
}

// claimed reads what a statement says, whoever signed it.
func claimed(raw []byte) (st signing.Statement, e feed.Entry, ok bool) {
	a, err := feed.Logged(raw)
	if err == nil {
		st, err = signing.ParseStatement(a.Payload())
	}
	if err == nil {
		e, err = feed.ParseEntry(a.ID(), st)
	}
	return st, e, err == nil
}

// there makes nothing of the absence of something.
func there(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// packages plans the packages of rows of one segment; where one is not whole any
// more, each by itself.
func (s *streamer) packages(ctx context.Context, f Feed, rows []feed.Row) error {
	if len(rows) == 0 {
		return nil
	}
	pack, large, err := f.pack(ctx, rows)
	if errors.Is(err, fs.ErrNotExist) && len(rows) > 1 {
		for i := range rows {
			if err := s.packages(ctx, f, rows[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return there(err)
	}
	s.whole(Part{Kind: Packed, First: rows[0].Index / feed.SegmentSize * feed.SegmentSize}, pack.Format())
	for _, file := range large {
		if !s.first(0, file.Digest) {
			continue
		}
		if err := there(s.largeFile(ctx, 0, file, newBases(f))); err != nil {
			return fmt.Errorf("%s: %s: %w", file.of, file.path, err)
		}
	}
	return nil
}

// finish sends the newest holdings.
func (s *streamer) finish(ctx context.Context) error {
	if s.holdings != nil {
		if err := there(s.document(ctx, 0, *s.holdings)); err != nil {
			return err
		}
	}
	return s.send(ctx)
}

// whole plans a part that is in memory.
func (s *streamer) whole(p Part, raw []byte) {
	p.Size, p.Of = int64(len(raw)), storage.DigestOf(raw)
	s.add(p, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil })
}

// send sends what is planned.
func (s *streamer) send(ctx context.Context) error {
	for i, p := range s.plan.Parts {
		body, err := s.plan.open(ctx, i)
		if errors.Is(err, fs.ErrNotExist) && p.Kind == Object {
			continue // it went away, or was left out where it was uploaded
		}
		if err != nil {
			return err
		}
		_, err = s.w.Write(p.appendTo(nil))
		if err == nil {
			_, err = io.Copy(s.w, body)
		}
		if err = errors.Join(err, body.Close()); err != nil {
			return fmt.Errorf("%s: %w", p.Kind, err)
		}
	}
	s.plan.Parts, s.plan.content = nil, nil
	return nil
}

package feedtest

import (
	"bytes"
	"context"
	"io"
	"iter"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Now is the time in a World.
var Now = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// World is one feed of one Space in a store, opened. The product's own server
// is not in it, so packages left of the server can use it.
type World struct {
	*Author
	Store *storage.Store
	Logs  *log.Logs
	Log   *log.Log
}

// New opens the feed acme/dev-qa/shared on a store and closes it when the test
// ends.
func New(tb testing.TB, store *storage.Store) *World {
	tb.Helper()
	w := &World{Author: NewAuthor(tb, "acme/dev-qa/shared"), Store: store}
	w.Logs = log.New(log.Config{Store: store, Key: w.Key})
	w.Log = w.Logs.Feed(w.ID)
	tb.Cleanup(func() { check(tb, w.Logs.Close()) })
	w.Append(w.Opening()...)
	return w
}

// Publish appends a publication of "<kind>/<name>@<version>".
func (w *World) Publish(ref string, files ...File) feed.Accepted {
	w.tb.Helper()
	return w.Append(w.Author.Publish(ref, files...))
}

// Withdraw appends the withdrawal of a version.
func (w *World) Withdraw(ref string) feed.Accepted {
	w.tb.Helper()
	return w.Append(w.Author.Withdraw(ref))
}

// Append stores statements and what they name, and commits them in one batch.
func (w *World) Append(statements ...Signed) feed.Accepted {
	w.tb.Helper()
	accepted, err := Append(context.Background(), w.Store, w.Log, w.ID, statements...)
	check(w.tb, err)
	return accepted
}

// Append stores statements and what they name, and commits them in one batch
// for epoch 1.
func Append(ctx context.Context, store *storage.Store, l *log.Log, id feed.ID, statements ...Signed) (feed.Accepted, error) {
	subs, err := Submit(ctx, store, id, statements...)
	if err != nil {
		return feed.Accepted{}, err
	}
	return l.Append(ctx, 1, subs)
}

// Submit stores statements and what they name, and returns them ready for a
// log's Append.
func Submit(ctx context.Context, store *storage.Store, id feed.ID, statements ...Signed) ([]log.Submission, error) {
	var items []storage.Item
	var subs []log.Submission
	for _, s := range statements {
		st, err := signing.ParseStatement(s.Payload())
		if err != nil {
			return nil, err
		}
		entry, err := feed.ParseEntry(s.ID(), st)
		if err != nil {
			return nil, err
		}
		subs = append(subs, log.Submission{Attestation: s.Attestation, Entry: entry})
		for _, b := range append([][]byte{s.Bytes()}, s.Objects...) {
			items = append(items, storage.Item{Ref: storage.RefOf(b), Data: b})
		}
	}
	return subs, storage.PutAll(ctx, store.Objects(id.Space.String()), items)
}

// View returns what a receiver knows who was given identity version 1 and
// restricts nothing.
func (a *Author) View() *trust.View {
	v, err := trust.NewView(a.Space.HistoryAt(1), nil)
	check(a.tb, err)
	return v
}

// Follower returns a newcomer that reads from src.
func (a *Author) Follower(src feed.Source) *feed.Follower {
	return &feed.Follower{Source: src, View: a.View(), State: storage.NewMem(), Now: func() time.Time { return Now }}
}

// Source returns the log as a source. The product's own is in internal/server.
func (w *World) Source() *Source { return &Source{Log: w.Log, Store: w.Store} }

// Source reads a log in the same process, unchecked.
type Source struct {
	Log   *log.Log
	Store *storage.Store
}

var (
	_ feed.Source = (*Source)(nil)
	_ feed.Packs  = (*Source)(nil)
	_ feed.Tiles  = (*Source)(nil)
)

// Checkpoint returns the log's head.
func (s *Source) Checkpoint(ctx context.Context, _ feed.ID) (feed.Checkpoint, error) {
	h, err := s.Log.Head(ctx, 0)
	if err != nil {
		return feed.Checkpoint{}, err
	}
	return h.Checkpoint, nil
}

// Segments yields the log's segments.
func (s *Source) Segments(ctx context.Context, _ feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for n := from / feed.SegmentSize; n*feed.SegmentSize < to; n++ {
			start := n * feed.SegmentSize
			width := int(min(to-start, feed.SegmentSize))
			b, err := s.Log.Segment(ctx, n, 0, width)
			var segment feed.Segment
			if err == nil {
				segment, err = feed.ParseSegment(b, start, width)
			}
			if !yield(segment, err) || err != nil {
				return
			}
		}
	}
}

// Object opens an object of the Space.
func (s *Source) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	return s.Store.Objects(id.Space.String()).Get(ctx, d, off)
}

// Pack returns the pack of a segment.
func (s *Source) Pack(ctx context.Context, _ feed.ID, from, to int64) (*feed.Pack, error) {
	n := from / feed.SegmentSize
	b, err := s.Log.Pack(ctx, n, 0, int(to-n*feed.SegmentSize))
	if err != nil {
		return nil, err
	}
	return feed.ParsePack(b)
}

// Tile returns a hash tile of the log.
func (s *Source) Tile(ctx context.Context, _ feed.ID, level int, n int64, width int) ([]byte, error) {
	return s.Log.Tile(ctx, level, n, width)
}

// ReadAll returns a file of a package, whole.
func ReadAll(ctx context.Context, p *feed.Package, i int) (string, error) {
	r, err := p.Open(ctx, i)
	if err != nil {
		return "", err
	}
	defer r.Close()
	var out bytes.Buffer
	_, err = out.ReadFrom(r)
	return out.String(), err
}

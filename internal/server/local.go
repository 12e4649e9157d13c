package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/storage"
	"airlock/trust"
)

// Local reads and publishes through a server in the same process: what
// commands use with --store. What is published is checked as over HTTP; reading
// is open, since who runs the command has the store itself.
type Local struct {
	server *Server
	caller feedhttp.Caller
}

var (
	_ feed.Source    = (*Local)(nil)
	_ feed.Packs     = (*Local)(nil)
	_ feed.Tiles     = (*Local)(nil)
	_ feed.Chunks    = (*Local)(nil)
	_ feed.Deltas    = (*Local)(nil)
	_ feed.Waiter    = (*Local)(nil)
	_ feed.Publisher = (*Local)(nil)
)

// Operator is who runs a command on the store itself.
var Operator = feedhttp.Caller{Role: feedhttp.Administrator, Address: "local"}

// Local returns the in-process ends of the server.
func (s *Server) Local() *Local {
	return &Local{s, Operator}
}

// Checkpoint returns the newest checkpoint.
func (l *Local) Checkpoint(ctx context.Context, id feed.ID) (feed.Checkpoint, error) {
	return l.server.Head(ctx, l.caller, id, 0)
}

// Segments yields the segments that cover [from, to).
func (l *Local) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for n := from / feed.SegmentSize; max(from, n*feed.SegmentSize) < to; n++ {
			p := feedhttp.PartOf(feedhttp.Segment, max(from, n*feed.SegmentSize), to)
			// Not through the cache: a follower reads each segment once.
			b, err := l.server.part(ctx, id, p)
			var s feed.Segment
			if err == nil {
				s, err = p.ParseSegment(b)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// Object opens an object at an offset.
func (l *Local) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	o, err := l.server.Object(ctx, l.caller, id, d, feedhttp.Of{}, off)
	if err != nil {
		return nil, err
	}
	if o.ReadCloser != nil {
		return o.ReadCloser, nil
	}
	if off > o.Size {
		return nil, storage.ErrRange
	}
	return io.NopCloser(bytes.NewReader(o.Bytes[off:])), nil
}

// Chunks returns how a payload is cut.
func (l *Local) Chunks(ctx context.Context, id feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	return l.server.chunks(ctx, l.caller, id, d)
}

// Delta returns the delta between two payloads.
func (l *Local) Delta(ctx context.Context, id feed.ID, base, target storage.Digest) (storage.Ref, error) {
	p, err := l.server.delta(ctx, l.caller, id, base, target)
	return p.To, err
}

// Pack returns the small objects of a segment.
func (l *Local) Pack(ctx context.Context, id feed.ID, from, to int64) (*feed.Pack, error) {
	b, err := l.server.Part(ctx, l.caller, id, feedhttp.PartOf(feedhttp.Pack, from, to))
	if err != nil {
		return nil, err
	}
	return feed.ParsePack(b)
}

// Tile returns a hash tile.
func (l *Local) Tile(ctx context.Context, id feed.ID, level int, n int64, width int) ([]byte, error) {
	return l.server.Part(ctx, l.caller, id, feedhttp.Part{Kind: feedhttp.Tile, Level: level, N: n, Width: width})
}

// Heads returns the newest checkpoints of those feeds that have grown.
func (l *Local) Heads(ctx context.Context, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	return l.server.Heads(ctx, l.caller, known, wait)
}

// LogKey returns the operator's public log key.
func (l *Local) LogKey(ctx context.Context) ([]byte, error) { return l.server.LogKey(ctx) }

// CheckOperator returns a *log.OperatorError where the store is written with another
// log key than the one here.
func (l *Local) CheckOperator(ctx context.Context) error {
	return l.server.logs.CheckOperator(ctx)
}

// Publish commits a batch.
func (l *Local) Publish(ctx context.Context, b feed.Batch) (feed.Accepted, error) {
	return l.server.Publish(ctx, l.caller, b)
}

// Audience returns who may read a feed, besides its own Space and
// administrators.
func (l *Local) Audience(ctx context.Context, id feed.ID) (feedhttp.Readers, error) {
	return l.server.Audience(ctx, l.caller, id)
}

// SetAudience says who may read a feed.
func (l *Local) SetAudience(ctx context.Context, id feed.ID, a feedhttp.Audience) error {
	return l.server.SetAudience(ctx, l.caller, id, a)
}

// ResetAudience takes back what the operator said of who may read a feed.
func (l *Local) ResetAudience(ctx context.Context, id feed.ID) error {
	return l.server.ResetAudience(ctx, l.caller, id)
}

// Unknown returns the names of an audience that nobody has here; see
// Server.Unknown.
func (l *Local) Unknown(ctx context.Context, a feedhttp.Audience) ([]string, error) {
	return l.server.Unknown(ctx, l.caller, a)
}

// Board returns what the agents of a Space told each other; see Server.Board.
func (l *Local) Board(ctx context.Context, space trust.Space) (value []byte, tag string, err error) {
	return l.server.Board(ctx, l.caller, space)
}

// SetBoard writes it; storage.ErrConflict where it has another tag.
func (l *Local) SetBoard(ctx context.Context, space trust.Space, tag string, value []byte) (string, error) {
	tag, err := l.server.SetBoard(ctx, l.caller, space, tag, value)
	if errors.Is(err, feedhttp.ErrPrecondition) {
		err = storage.ErrConflict
	}
	return tag, err
}

// Feeds lists the feeds of the store: of some Spaces, or where none is named of all.
func (l *Local) Feeds(ctx context.Context, of ...trust.Space) ([]feed.ID, error) {
	return l.server.Feeds(ctx, l.caller, of)
}

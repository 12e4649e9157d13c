package feedhttp

import (
	"context"
	"io"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Errors of a backend reach the client as the same errors (see problem.go):
// those of feed, storage and trust, of context and io/fs, and those of this
// package. A backend translates others, such as feed/log's, into them, as in
// fmt.Errorf("%w: %w", ErrBusy, err); what nobody knows becomes "the server
// failed", with the cause in its log alone.

// Reader is what a server hands out. Every method asks whether the caller may
// have it; a feed that is not for the caller is fs.ErrNotExist.
type Reader interface {
	// LogKey returns the operator's public log key, 32 bytes.
	LogKey(ctx context.Context) ([]byte, error)
	// Feeds lists the feeds that the caller may read: of some Spaces, each named
	// once, or where none is named of all.
	Feeds(ctx context.Context, c Caller, of []trust.Space) ([]feed.ID, error)
	// Head returns the newest checkpoint. One that is at hand and has fewer than
	// least entries, of which another server told the caller, is read again.
	Head(ctx context.Context, c Caller, id feed.ID, least int64) (feed.Checkpoint, error)
	// Heads returns the newest checkpoints of those feeds that are no longer of
	// the size known, as soon as there is one; none, and no error, when wait or
	// ctx ends first or the caller's Changed is closed. What the caller may not
	// read is left out.
	Heads(ctx context.Context, c Caller, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error)
	// Part returns a part of the log. feed/log's ErrNotYet comes back as
	// fs.ErrNotExist.
	Part(ctx context.Context, c Caller, id feed.ID, p Part) ([]byte, error)
	// Object opens an object at an offset: one that an entry of the feed speaks
	// of, or one that helps to read a payload of it.
	Object(ctx context.Context, c Caller, id feed.ID, d storage.Digest, of Of, off int64) (Object, error)
	// Chunks returns how a payload is cut, in the form of storage.ChunkIndex;
	// fs.ErrNotExist where it is kept as it came.
	Chunks(ctx context.Context, c Caller, id feed.ID, d storage.Digest) ([]byte, error)
	// Delta returns where the delta from base to target is, in the form of
	// storage.Pointer; fs.ErrNotExist where there is none.
	Delta(ctx context.Context, c Caller, id feed.ID, base, target storage.Digest) ([]byte, error)
}

// Writer is what a server takes in. Who signed shows in the statements; every
// method asks besides whether the caller may bring them.
type Writer interface {
	// MayAppend asks that alone: before the body of a request is read.
	MayAppend(ctx context.Context, c Caller, id feed.ID) error
	// Expect checks the statements and returns, of the objects that they name
	// (through the manifests given here or present), those that the store does
	// not have. Only these are taken by Upload, for an hour.
	Expect(ctx context.Context, c Caller, id feed.ID, statements []signing.Attestation, manifests [][]byte) ([]storage.Ref, error)
	// Offset returns how much of an upload has arrived, in bytes: the whole
	// size once it is stored. What is not expected is fs.ErrNotExist.
	Offset(ctx context.Context, c Caller, id feed.ID, d storage.Digest) (int64, error)
	// Upload adds bytes to an expected object; when all are there it is made
	// durable. It returns how much has arrived. Bytes that do not begin where
	// the upload stands give *OffsetError; where r fails what came is kept.
	Upload(ctx context.Context, c Caller, id feed.ID, d storage.Digest, off int64, r io.Reader) (int64, error)
	// Publish commits a batch. Objects that are neither in the batch nor in
	// the store give *feed.MissingError.
	Publish(ctx context.Context, c Caller, b feed.Batch) (feed.Accepted, error)
}

// Of says which payload an object helps to read: as the frames of its chunks,
// or, with a base, as the delta that makes it of the base. The zero Of stands for
// an object that the feed itself speaks of.
type Of struct{ Payload, Base storage.Digest }

// Kind of a Part.
type PartKind int

// The parts of a log.
const (
	Segment PartKind = iota + 1
	Pack
	Tile    // a hash tile
	Entries // an entry bundle (C2SP tlog-tiles)
)

// Part names a part of a log: number N, at a level where it is a tile, of
// which the first Width entries or hashes are meant (256 for a full one). Of a
// segment or pack that is not full the first From entries may be left out.
type Part struct {
	Kind  PartKind
	Level int
	N     int64
	From  int
	Width int
}

// PartOf is the part of a segment, or pack, that has the entries from up to to: whole
// where that ends the segment, since what is full is the same for all who ask.
func PartOf(kind PartKind, from, to int64) Part {
	p := Part{Kind: kind, N: from / feed.SegmentSize}
	start := p.N * feed.SegmentSize
	p.Width = int(min(to-start, feed.SegmentSize))
	if p.Width < feed.SegmentSize {
		p.From = int(from - start)
	}
	return p
}

// ParseSegment reads a segment, as far as it is meant.
func (p Part) ParseSegment(b []byte) (feed.Segment, error) {
	return feed.ParseSegment(b, p.N*feed.SegmentSize+int64(p.From), p.Width-p.From)
}

// Object is an open object.
type Object struct {
	io.ReadCloser
	Size int64 // of the whole object, in bytes
	// Bytes is the whole content where the server had it at hand; nobody
	// changes it. ReadCloser is nil then.
	Bytes []byte
}

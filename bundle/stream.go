package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// A stream is what a bundle carries of one feed, in the order in which a server
// reads it, for a receiver at the other end of a line:
//
//	"airlock-stream 1\n"
//	length of the head (4), the head: a StreamHead
//	signature (64): feed.LogKey.SignCell of all before, by the operator's log key
//	parts: the record of each, as Tables have it, and then its bytes
//	a record of zeros
//
// Parts are statements, packs, objects and chunk indexes; the statements are all
// that the slice promises, in order. Numbers are big-endian.
//
// The signature says which operator sends it, and to whom: a receiver need not
// read what others send. Like a bundle's it never stands for the content.
const streamHeader = "airlock-stream 1\n"

// maxStreamParts bounds the parts of a stream: what a receiver notes of them is in
// memory.
const maxStreamParts = 1 << 20

// StreamHead says what a stream carries, and for whom: canonical JSON, members in
// this order. testdata/stream is a whole one.
type StreamHead struct {
	APIVersion string `json:"apiVersion"` // "airlock.example/v1"
	Audience   Party  `json:"audience"`
	Kind       string `json:"kind"` // "Stream"
	Slice      Slice  `json:"slice"`

	// Operator is the log key by which it was signed, where it was read; no member.
	Operator []byte `json:"-"`
}

const streamKind = "Stream"

// NewStreamHead returns the head of a stream with a slice of a feed for a Space.
func NewStreamHead(audience Party, s Slice) StreamHead {
	return StreamHead{APIVersion: apiVersion, Audience: audience, Kind: streamKind, Slice: s}
}

// document is what a stream has of a bundle's.
func (h StreamHead) document() *Document {
	return &Document{APIVersion: apiVersion, Audience: h.Audience, Feeds: []Slice{h.Slice}}
}

func (h StreamHead) check() error {
	if h.APIVersion != apiVersion || h.Kind != streamKind {
		return fmt.Errorf("is %.60q %.60q, want %s %s", h.APIVersion, h.Kind, apiVersion, streamKind)
	}
	if err := h.Audience.check(); err != nil {
		return err
	}
	return h.document().checkFeeds()
}

// format returns the head as it begins a stream: signed.
func (h StreamHead) format(key feed.LogKey) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	raw, err := signing.MarshalCanonical(h)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint32([]byte(streamHeader), uint32(len(raw)))
	out = append(out, raw...)
	return append(out, key.SignCell(out)...), nil
}

// RuleOperator is the rule of a *trust.DeniedError about a stream that none of the
// operators sent whom the receiver knows.
const RuleOperator = "operator"

// ReadStreamHead reads the beginning of a stream that one of the operators with
// these log keys sends. One of another is a *trust.DeniedError; all other errors
// match ErrMalformed, or are those of r.
func ReadStreamHead(r io.Reader, operators [][]byte) (StreamHead, error) {
	var h StreamHead
	signed := make([]byte, len(streamHeader)+4)
	if err := readPart(r, signed); err != nil {
		return h, err
	}
	n := int(binary.BigEndian.Uint32(signed[len(streamHeader):]))
	if string(signed[:len(streamHeader)]) != streamHeader || n > MaxDocument {
		return h, malformed("stream: begins with %.20q and a head of %d bytes, want %q and at most %d", signed, n, streamHeader, MaxDocument)
	}
	rest := make([]byte, n+ed25519.SignatureSize)
	if err := readPart(r, rest); err != nil {
		return h, err
	}
	raw, signature := rest[:n], rest[n:]
	signed = append(signed, raw...)
	if err := signing.UnmarshalCanonical(raw, &h); err != nil {
		return h, malformed("stream: %w", err)
	}
	if err := h.check(); err != nil {
		return h, malformed("stream: %w", err)
	}
	for _, key := range operators {
		if feed.VerifyCell(key, signed, signature) {
			h.Operator = key
			return h, nil
		}
	}
	return h, &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleOperator, Thing: "stream of " + h.Slice.Feed.String(),
		Why: "is sent by no operator whose server this Space joined"}
}

// readPart fills b.
func readPart(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	return ended(err)
}

// ended makes the end of what is read, where it must go on, an error.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("stream: ends in the middle: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// Spool keeps what a stream carries while it is used.
type Spool interface {
	io.Writer
	io.ReaderAt
}

// Stream is a stream that was read to its end. Like a Bundle it is a feed.Source of
// what it carries, which nobody has verified yet.
type Stream struct {
	carried
	head   StreamHead
	starts []int64 // of the parts, in the spool
	spool  Spool
}

var (
	_ feed.Source = (*Stream)(nil)
	_ feed.Packs  = (*Stream)(nil)
	_ feed.Chunks = (*Stream)(nil)
)

// Head says what the stream carries.
func (s *Stream) Head() StreamHead { return s.head }

// ReadStream reads what follows the head of a stream into an empty spool, which is
// in use until the stream is not any more. Errors match ErrMalformed, or are those
// of r and the spool.
func ReadStream(ctx context.Context, r io.Reader, h StreamHead, spool Spool) (*Stream, error) {
	raw, err := signing.MarshalCanonical(h)
	if err != nil {
		return nil, err
	}
	s := &Stream{carried: carried{id: ID(storage.DigestOf(raw)), doc: h.document()}, head: h, spool: spool}
	s.open = func(i int) (*io.SectionReader, error) {
		return io.NewSectionReader(spool, s.starts[i], s.list[i].Size), nil
	}
	var at int64
	for {
		p, more, err := readRecord(r)
		if err == nil && more && len(s.list) == maxStreamParts {
			err = malformed("stream: more than %d parts", maxStreamParts)
		}
		if err == nil && more {
			err = p.spoolTo(ctx, spool, r)
		}
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", len(s.list), err)
		}
		if !more {
			break
		}
		s.list, s.starts = append(s.list, p), append(s.starts, at)
		at += p.Size
	}
	if n, err := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return nil, malformed("stream: goes on after its end")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := (&Tables{Parts: s.list}).check(s.doc); err != nil {
		return nil, malformed("stream: %w", err)
	}
	s.index()
	return s, nil
}

// readRecord reads the record of a part, and reports false at the end.
func readRecord(r io.Reader) (p Part, more bool, err error) {
	record := make([]byte, partRecord)
	if err := readPart(r, record); err != nil {
		return p, false, err
	}
	if bytes.Equal(record, make([]byte, partRecord)) {
		return p, false, nil
	}
	if p = parsePart(record); record[1] != 0 {
		return p, false, malformed("byte 1 is not zero")
	}
	switch p.Kind {
	case Statements, Packed, Object, Chunks:
	default:
		return p, false, malformed("is of kind %s, which no stream carries", p.Kind)
	}
	if err := p.check(); err != nil {
		return p, false, malformed("%w", err)
	}
	return p, true, nil
}

// spoolTo copies the bytes of a part, and checks them.
func (p Part) spoolTo(ctx context.Context, w io.Writer, r io.Reader) error {
	if p.Kind == Chunks { // whose digest is that of the payload
		_, err := io.CopyN(w, r, p.Size)
		return ended(err)
	}
	body := storage.Checked(ctx, io.NopCloser(io.LimitReader(r, p.Size)), storage.Ref{Digest: p.Of, Size: p.Size})
	_, err := io.Copy(w, body)
	if _, short := errors.AsType[*storage.SizeError](err); short {
		return ended(io.EOF)
	}
	if _, other := errors.AsType[*storage.DigestError](err); other {
		return malformed("%w", err)
	}
	return err
}

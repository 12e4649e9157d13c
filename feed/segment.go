package feed

import (
	"encoding/binary"

	"airlock/signing"
)

// SegmentSize is the number of entries in a full segment, and in a tile.
const SegmentSize = 256

// MaxSegment bounds the bytes of a segment.
const MaxSegment = SegmentSize * (signing.MaxAttestation + 4)

// Segment is a run of neighbouring entries: the statements in their stored
// form. A full segment holds SegmentSize of them and starts at a multiple of
// it; its bytes are a function of its index.
//
// The bytes are, for each statement, its length as four bytes big-endian and
// then the statement. There is nothing else.
type Segment struct {
	Start      int64 // index of the first entry
	Statements [][]byte
}

// Format returns the bytes of the segment.
func (s Segment) Format() []byte {
	size := 0
	for _, st := range s.Statements {
		size += 4 + len(st)
	}
	out := make([]byte, 0, size)
	for _, st := range s.Statements {
		out = binary.BigEndian.AppendUint32(out, uint32(len(st)))
		out = append(out, st...)
	}
	return out
}

// ParseSegment reads a segment of width entries. It looks at lengths only;
// what the statements are worth is for the follower.
func ParseSegment(b []byte, start int64, width int) (Segment, error) {
	if width < 1 || width > SegmentSize {
		return Segment{}, malformed("segment at %d: width %d, want 1 to %d", start, width, SegmentSize)
	}
	s := Segment{Start: start, Statements: make([][]byte, 0, width)}
	for len(b) > 0 {
		if len(b) < 4 {
			return Segment{}, malformed("segment at %d: cut off inside a length", start)
		}
		n := int64(binary.BigEndian.Uint32(b))
		if b = b[4:]; n < 1 || n > signing.MaxAttestation || n > int64(len(b)) {
			return Segment{}, malformed("segment at %d: entry %d has length %d, %d bytes are left", start, start+int64(len(s.Statements)), n, len(b))
		}
		if len(s.Statements) == width {
			return Segment{}, malformed("segment at %d: more than %d entries", start, width)
		}
		s.Statements = append(s.Statements, b[:n:n])
		b = b[n:]
	}
	if len(s.Statements) != width {
		return Segment{}, malformed("segment at %d: %d entries, want %d", start, len(s.Statements), width)
	}
	return s, nil
}

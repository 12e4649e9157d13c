package bundle

import (
	"encoding/binary"
	"fmt"

	"airlock/feed"
	"airlock/storage"
)

// What a part holds.
type PartKind byte

// The kinds of part. Values are part of the format.
const (
	Statements  PartKind = 1 + iota // entries First to First+Count, as feed.Segment has them
	Packed                          // small objects that entries of the segment at First name, as a feed.Pack
	Object                          // an object as it is: a payload, a document, or the frames of an index
	Chunks                          // the storage.ChunkIndex of payload Of
	Delta                           // payload Of as a delta from Base
	Held                            // payload Of is not here: a file of the receiver has it
	HeldPackage                     // the package with manifest Of is not here: the receiver took it
	Scans                           // what a scanner of the maker said of packages of the segment at First
)

func (k PartKind) String() string {
	switch k {
	case Statements:
		return "statements"
	case Packed:
		return "pack"
	case Object:
		return "object"
	case Chunks:
		return "chunks"
	case Delta:
		return "delta"
	case Held:
		return "held"
	case HeldPackage:
		return "held package"
	case Scans:
		return "scans"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Part is one thing in a bundle.
type Part struct {
	Kind  PartKind
	Feed  int            // place in Document.Feeds
	First int64          // of statements and packs: the first entry
	Count int            // of statements: how many
	Size  int64          // bytes, before encryption; 0 for what is held
	Of    storage.Digest // SHA-256 of the part; of chunks, deltas and Held of the payload, of HeldPackage of the manifest
	Base  storage.Digest // of a delta
}

// Tables are what a document would be too large with: the parts in the order
// in which they lie in the volumes, and the SHA-256 of every block.
//
//	"airlock-bundle 1\n"
//	number of parts (4), number of blocks (4)
//	for each part: kind (1), zero (1), feed (2), count (4), first entry (8),
//	    size (8), of (32), base (32)
//	for each block its SHA-256 (32): of the data, then of the parity
//
// Numbers are big-endian; what does not apply is zero.
type Tables struct {
	Parts  []Part
	Blocks []storage.Digest
}

const (
	tablesHeader = "airlock-bundle 1\n"
	tablesFixed  = len(tablesHeader) + 4 + 4
	partRecord   = 1 + 1 + 2 + 4 + 8 + 8 + 2*digestSize
	digestSize   = len(storage.Digest{})

	// MaxTables bounds the tables, in bytes: room for a terabyte in blocks of
	// 1 MiB and two million parts.
	MaxTables = 256 << 20
	maxBlocks = MaxTables / digestSize
)

func tablesSize(parts, blocks int) int64 {
	return int64(tablesFixed) + int64(parts)*int64(partRecord) + int64(blocks)*int64(digestSize)
}

// Format returns the bytes of t.
func (t *Tables) Format() []byte {
	out := make([]byte, 0, tablesSize(len(t.Parts), len(t.Blocks)))
	out = append(out, tablesHeader...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(t.Parts)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(t.Blocks)))
	for _, p := range t.Parts {
		out = p.appendTo(out)
	}
	for _, b := range t.Blocks {
		out = append(out, b[:]...)
	}
	return out
}

// appendTo appends the record of a part.
func (p Part) appendTo(out []byte) []byte {
	out = append(out, byte(p.Kind), 0)
	out = binary.BigEndian.AppendUint16(out, uint16(p.Feed))
	out = binary.BigEndian.AppendUint32(out, uint32(p.Count))
	out = binary.BigEndian.AppendUint64(out, uint64(p.First))
	out = binary.BigEndian.AppendUint64(out, uint64(p.Size))
	return append(append(out, p.Of[:]...), p.Base[:]...)
}

// ParseTables reads the tables of a document and checks them against it. Every
// error matches ErrMalformed.
func ParseTables(b []byte, d *Document) (*Tables, error) {
	if len(b) < tablesFixed || len(b) > MaxTables || string(b[:len(tablesHeader)]) != tablesHeader {
		return nil, malformed("bundle tables: begin with %.20q, want %q", b[:min(len(b), 20)], tablesHeader)
	}
	parts, blocks := int(binary.BigEndian.Uint32(b[len(tablesHeader):])), int(binary.BigEndian.Uint32(b[len(tablesHeader)+4:]))
	if int64(len(b)) != tablesSize(parts, blocks) {
		return nil, malformed("bundle tables: %d bytes for %d parts and %d blocks", len(b), parts, blocks)
	}
	t := &Tables{Parts: make([]Part, parts), Blocks: make([]storage.Digest, blocks)}
	rest := b[tablesFixed:]
	for i := range t.Parts {
		if rest[1] != 0 {
			return nil, malformed("bundle tables: part %d: byte 1 is not zero", i)
		}
		t.Parts[i] = parsePart(rest)
		rest = rest[partRecord:]
	}
	for i := range t.Blocks {
		t.Blocks[i], rest = storage.Digest(rest[:digestSize]), rest[digestSize:]
	}
	if err := t.check(d); err != nil {
		return nil, malformed("bundle tables: %w", err)
	}
	return t, nil
}

func parsePart(b []byte) Part {
	return Part{Kind: PartKind(b[0]), Feed: int(binary.BigEndian.Uint16(b[2:])), Count: int(binary.BigEndian.Uint32(b[4:])),
		First: int64(binary.BigEndian.Uint64(b[8:])), Size: int64(binary.BigEndian.Uint64(b[16:])),
		Of: storage.Digest(b[24 : 24+digestSize]), Base: storage.Digest(b[24+digestSize : partRecord])}
}

// check holds the parts against the document: the statements of each feed are
// all there, in order, once, and nothing claims to be larger than it may.
func (t *Tables) check(d *Document) error {
	next := make([]int64, len(d.Feeds))
	for i, s := range d.Feeds {
		next[i] = s.From
	}
	for i, p := range t.Parts {
		if p.Feed < 0 || p.Feed >= len(d.Feeds) {
			return fmt.Errorf("part %d: feed %d of %d", i, p.Feed, len(d.Feeds))
		}
		if err := p.check(); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
		if p.Kind != Statements {
			continue
		}
		if p.First != next[p.Feed] {
			return fmt.Errorf("part %d: statements from %d on, want %d", i, p.First, next[p.Feed])
		}
		next[p.Feed] += int64(p.Count)
	}
	for i, s := range d.Feeds {
		if next[i] != s.To {
			return fmt.Errorf("feed %s: statements up to %d, the bundle promises %d", s.Feed, next[i], s.To)
		}
	}
	return nil
}

// check looks at a part alone.
func (p Part) check() error {
	limit, least := int64(feed.MaxPayload), int64(1)
	switch p.Kind {
	case Statements:
		limit, least = feed.MaxSegment, int64(p.Count)
		if p.Count < 1 || p.First < 0 || p.First > maxEntries || p.First%feed.SegmentSize+int64(p.Count) > feed.SegmentSize {
			return fmt.Errorf("%d statements from %d on", p.Count, p.First)
		}
	case Packed, Scans:
		if limit = feed.MaxPack; p.Kind == Scans {
			limit = maxScans
		}
		if p.First < 0 || p.First > maxEntries || p.First%feed.SegmentSize != 0 {
			return fmt.Errorf("%s at %d", p.Kind, p.First)
		}
	case Object, Delta:
	case Chunks:
		limit = storage.MaxChunkIndex
	case Held, HeldPackage:
		limit, least = 0, 0
	default:
		return fmt.Errorf("is of no known kind: %s", p.Kind)
	}
	if p.Size < least || p.Size > limit {
		return fmt.Errorf("%s of %d bytes, want %d to %d", p.Kind, p.Size, least, limit)
	}
	placed := p.Kind == Statements || p.Kind == Packed || p.Kind == Scans
	if p.Kind != Statements && p.Count != 0 || !placed && p.First != 0 || (p.Kind == Delta) == p.Base.IsZero() {
		return fmt.Errorf("%s with what does not belong to it", p.Kind)
	}
	return nil
}

// maxEntries bounds the index of an entry, so that sums stay numbers.
const maxEntries = 1 << 48

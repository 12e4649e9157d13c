package log

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// cellHeader begins a cell. Its value is
//
//	"airlock-log 1\n"
//	origin length (2 bytes), origin
//	epoch (8), size (8), root (32)
//	hashes in the edge (1), each 32: the Merkle edge of the entries that the
//	    tail does not hold
//	entries in the tail (4), each 128: leaf hash, statement id, digest of the
//	    object that holds the statement (stage.go), SHA-256 of "<kind>/<name>" (zero for neither)
//	nonce (16), owner hint length (2), owner hint
//	signature (64): Ed25519 by the log key over the SHA-256 of all before, in
//	    a domain of its own (feed.LogKey.SignCell); zeros in a mirror
//
// Numbers are big-endian. The nonce makes every value new, so a store whose
// tags are content hashes cannot mistake one for another. The owner hint says
// who committed last, see Config.Owner; no rule rests on it.
const cellHeader = "airlock-log 1\n"

// maxTail bounds the entries that wait in a cell for their segment.
const maxTail = 32 * feed.SegmentSize

// cell is the value of a feed's cell.
type cell struct {
	origin string
	epoch  uint64
	root   tlog.Hash
	edge   feed.Edge // over the entries before the tail
	tail   []tailEntry
	nonce  [16]byte
	owner  string
}

// tailEntry is an entry whose segment may not be written yet.
type tailEntry struct {
	leaf   tlog.Hash
	id     signing.ID
	stored storage.Digest // object that holds the statement
	name   storage.Digest
}

const tailEntrySize = 4 * 32

// start is the index of the first entry in the tail.
func (c *cell) start() int64 { return c.edge.Size() }

// size is the number of entries.
func (c *cell) size() int64 { return c.edge.Size() + int64(len(c.tail)) }

// fullEdge is the edge over all entries.
func (c *cell) fullEdge() feed.Edge {
	e := c.edge.Clone()
	for _, t := range c.tail {
		e.Append(t.leaf)
	}
	return e
}

func (c *cell) format(key feed.LogKey) []byte {
	out := c.outline()
	return append(out, key.SignCell(out)...)
}

// outline is all of a cell that is signed.
func (c *cell) outline() []byte {
	out := make([]byte, 0, 512+len(c.tail)*tailEntrySize)
	out = append(out, cellHeader...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(c.origin)))
	out = append(out, c.origin...)
	out = binary.BigEndian.AppendUint64(out, c.epoch)
	out = binary.BigEndian.AppendUint64(out, uint64(c.size()))
	out = append(out, c.root[:]...)
	out = append(out, byte(len(c.edge.Hashes())))
	for _, h := range c.edge.Hashes() {
		out = append(out, h[:]...)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(c.tail)))
	for _, t := range c.tail {
		out = append(out, t.leaf[:]...)
		out = append(out, t.id[:]...)
		out = append(out, t.stored[:]...)
		out = append(out, t.name[:]...)
	}
	out = append(out, c.nonce[:]...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(c.owner)))
	return append(out, c.owner...)
}

var errCell = errors.New("log cell: damaged")

// parseCell checks the outline of a cell and that edge and tail give its root.
// The signature is checked against publicKey; nil leaves it open, which is for
// readers who check a signed checkpoint against what they read.
func parseCell(b, publicKey []byte) (*cell, error) {
	if len(b) < len(cellHeader) || string(b[:len(cellHeader)]) != cellHeader {
		return nil, &storage.FormatError{Where: "log cell", Got: fmt.Sprintf("%.20q", b), Want: cellHeader}
	}
	r := &cellReader{rest: b[len(cellHeader):]}
	c := &cell{origin: string(r.take(r.uint(2)))}
	c.epoch = r.uint(8)
	size := r.uint(8)
	copy(c.root[:], r.take(32))
	hashes := make([]tlog.Hash, min(r.uint(1), 64))
	for i := range hashes {
		copy(hashes[i][:], r.take(32))
	}
	count := r.uint(4)
	if count > maxTail || uint64(len(r.rest)) < count*tailEntrySize || size < count {
		return nil, errCell
	}
	c.tail = make([]tailEntry, count)
	for i := range c.tail {
		t := &c.tail[i]
		for _, part := range [][]byte{t.leaf[:], t.id[:], t.stored[:], t.name[:]} {
			copy(part, r.take(32))
		}
	}
	copy(c.nonce[:], r.take(16))
	c.owner = string(r.take(r.uint(2)))
	signed := b[:len(b)-len(r.rest)]
	signature := r.take(ed25519.SignatureSize)
	if r.failed || len(r.rest) > 0 {
		return nil, errCell
	}
	if publicKey != nil && !feed.VerifyCell(publicKey, signed, signature) {
		return nil, ErrForeignKey
	}
	return c, c.checkRoot(int64(size-count), hashes)
}

// checkRoot makes the edge and checks that edge and tail give the root.
func (c *cell) checkRoot(start int64, hashes []tlog.Hash) error {
	if start < 0 || bits.OnesCount64(uint64(start)) != len(hashes) || start%feed.SegmentSize != 0 {
		return errCell
	}
	var err error
	if c.edge, err = feed.ParseEdge(start, hashes); err != nil {
		return err
	}
	if e := c.fullEdge(); e.Root() != c.root {
		return fmt.Errorf("%w: edge and tail do not give the root", errCell)
	}
	return nil
}

// cellReader takes bytes off the front and remembers whether any were missing.
type cellReader struct {
	rest   []byte
	failed bool
}

func (r *cellReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return make([]byte, min(n, 1<<16))
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

func (r *cellReader) uint(size uint64) uint64 {
	var n uint64
	for _, b := range r.take(size) {
		n = n<<8 | uint64(b)
	}
	return n
}

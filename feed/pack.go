package feed

import (
	"encoding/binary"
	"iter"
	"maps"

	"airlock/storage"
)

// Bounds of a pack, in bytes.
const (
	MaxPacked = 64 << 10 // an object above this is fetched alone
	MaxPack   = 48 << 20
)

const packHeader = "airlock-pack 1\n"

// Pack holds the small objects that a segment speaks of, so that a newcomer
// needs two requests for 256 entries. It is a rewritable cache and proves
// nothing: each object is checked against the digest it was asked for by.
//
// The bytes are the line "airlock-pack 1", and then for each object its
// SHA-256 (32 bytes), its length (four bytes, big-endian) and its bytes.
type Pack struct {
	objects map[storage.Digest][]byte
	out     []byte
}

// NewPack returns an empty pack.
func NewPack() *Pack {
	return &Pack{objects: map[storage.Digest][]byte{}, out: []byte(packHeader)}
}

// Add adds an object, and reports whether there was room for it.
func (p *Pack) Add(d storage.Digest, b []byte) bool {
	if len(b) > MaxPacked || len(p.out)+len(d)+4+len(b) > MaxPack {
		return false
	}
	if _, ok := p.objects[d]; ok {
		return true
	}
	p.objects[d] = b
	p.out = append(p.out, d[:]...)
	p.out = binary.BigEndian.AppendUint32(p.out, uint32(len(b)))
	p.out = append(p.out, b...)
	return true
}

// Format returns the pack's bytes.
func (p *Pack) Format() []byte { return p.out }

// ParsePack reads a pack and keeps only what matches its digest.
func ParsePack(b []byte) (*Pack, error) {
	if len(b) > MaxPack {
		return nil, malformed("pack: %d bytes, at most %d are allowed", len(b), MaxPack)
	}
	if len(b) < len(packHeader) || string(b[:len(packHeader)]) != packHeader {
		return nil, malformed("pack: begins with %.20q, want %q", b, packHeader)
	}
	p := &Pack{objects: map[storage.Digest][]byte{}, out: b}
	for rest := b[len(packHeader):]; len(rest) > 0; {
		const head = len(storage.Digest{}) + 4
		if len(rest) < head {
			return nil, malformed("pack: cut off at byte %d", len(b)-len(rest))
		}
		d := storage.Digest(rest[:len(storage.Digest{})])
		n := int64(binary.BigEndian.Uint32(rest[head-4:]))
		if rest = rest[head:]; n > MaxPacked || n > int64(len(rest)) {
			return nil, malformed("pack: object %s of %d bytes, %d are left and at most %d are allowed", d, n, len(rest), MaxPacked)
		}
		if content := rest[:n:n]; storage.DigestOf(content) == d {
			p.objects[d] = content
		}
		rest = rest[n:]
	}
	return p, nil
}

// Object returns an object of the pack.
func (p *Pack) Object(d storage.Digest) ([]byte, bool) {
	b, ok := p.objects[d]
	return b, ok
}

// Objects yields the objects of the pack, in no order.
func (p *Pack) Objects() iter.Seq2[storage.Digest, []byte] { return maps.All(p.objects) }

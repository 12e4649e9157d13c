package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds of a delta, in bytes: with them, whoever applies one needs to hold no
// more than a dictionary and a run.
const (
	MaxDeltaRun  = 4 << 20 // what one frame decodes to
	MaxDeltaDict = 8 << 20 // of a base, as a dictionary
	MaxDeltaHead = 64 << 20
	// MaxDelta bounds a delta that is kept in a store.
	MaxDelta = 256 << 20
	maxBases = 16
)

const (
	deltaHeader = "airlock-delta 1\n"
	deltaFixed  = len(deltaHeader) + refSize + 1 + 4
	deltaRecord = 1 + 2*(8+sha256Size) + 8 + 4
	refSize     = sha256Size + 8
	noBase      = 0xff
)

// DeltaHead says how a payload comes out of others that its reader has, the
// bases, and out of the frames that follow the head:
//
//	"airlock-delta 1\n"
//	SHA-256 (32 bytes) and size (8) of the payload
//	number of bases (1), SHA-256 (32) and size (8) of each
//	number of operations (4), and for each
//	    number of the base (1), 255 for none
//	    offset in the base (8), bytes of it (8), their SHA-256 (32)
//	    bytes that come out (8), their SHA-256 (32)
//	    size of the frame (4), 0 for none
//	the frames (RFC 8878), one after the other
//
// Numbers are big-endian; what is not there is zero. An operation without a
// frame copies from a base; one with a frame decodes it, with the bytes of the
// base as a raw dictionary where it names one. A wrong dictionary may decode
// silently, so the bytes of the base are checked before they are used, and what
// comes out after.
type DeltaHead struct {
	Payload Ref
	Bases   []Ref
	Ops     []DeltaOp
}

// DeltaOp makes the next bytes of a payload.
type DeltaOp struct {
	Base   int   // -1 for none
	Offset int64 // in the base, in bytes
	From   Ref   // the bytes of the base there
	Out    Ref   // what comes out
	Frame  int   // bytes of its frame, 0 for a copy
}

// Copies reports whether the operation takes the bytes of the base as they are.
func (o DeltaOp) Copies() bool { return o.Frame == 0 }

// Format checks h and returns its bytes.
func (h *DeltaHead) Format() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	out := appendRef([]byte(deltaHeader), h.Payload)
	out = append(out, byte(len(h.Bases)))
	for _, b := range h.Bases {
		out = appendRef(out, b)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(h.Ops)))
	for _, o := range h.Ops {
		base := byte(o.Base)
		if o.Base < 0 {
			base = noBase
		}
		out = binary.BigEndian.AppendUint64(append(out, base), uint64(o.Offset))
		out = appendSized(out, o.From)
		out = appendSized(out, o.Out)
		out = binary.BigEndian.AppendUint32(out, uint32(o.Frame))
	}
	return out, nil
}

func appendRef(b []byte, r Ref) []byte {
	return binary.BigEndian.AppendUint64(append(b, r.Digest[:]...), uint64(r.Size))
}

// appendSized is appendRef with the size first, as operations have it.
func appendSized(b []byte, r Ref) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(r.Size)), r.Digest[:]...)
}

// ReadDeltaHead reads the head of a delta and leaves r at the first frame.
func ReadDeltaHead(r io.Reader) (*DeltaHead, error) {
	fixed := make([]byte, deltaFixed-4)
	if _, err := io.ReadFull(r, fixed); err != nil {
		return nil, fmt.Errorf("delta: %w", noEOF(err))
	}
	rest, ok := bytes.CutPrefix(fixed, []byte(deltaHeader))
	if !ok {
		return nil, &FormatError{Where: "delta", Got: fmt.Sprintf("%.20s", fixed), Want: deltaHeader}
	}
	h := &DeltaHead{Payload: refOf(rest)}
	n := int(rest[refSize])
	if n > maxBases {
		return nil, fmt.Errorf("delta: %d bases, at most %d are allowed", n, maxBases)
	}
	bases := make([]byte, n*refSize+4)
	if _, err := io.ReadFull(r, bases); err != nil {
		return nil, fmt.Errorf("delta: bases: %w", noEOF(err))
	}
	for i := range n {
		h.Bases = append(h.Bases, refOf(bases[i*refSize:]))
	}
	ops := int64(binary.BigEndian.Uint32(bases[n*refSize:]))
	if ops*int64(deltaRecord) > MaxDeltaHead {
		return nil, fmt.Errorf("delta: %d operations, at most %d are allowed", ops, MaxDeltaHead/deltaRecord)
	}
	record := make([]byte, deltaRecord)
	for i := range ops {
		if _, err := io.ReadFull(r, record); err != nil {
			return nil, fmt.Errorf("delta: operation %d: %w", i, noEOF(err))
		}
		h.Ops = append(h.Ops, parseOp(record))
	}
	return h, h.check()
}

func refOf(b []byte) Ref {
	return Ref{Digest: Digest(b[:sha256Size]), Size: int64(binary.BigEndian.Uint64(b[sha256Size:]))}
}

func sizedOf(b []byte) Ref {
	return Ref{Size: int64(binary.BigEndian.Uint64(b)), Digest: Digest(b[8 : 8+sha256Size])}
}

func parseOp(b []byte) DeltaOp {
	o := DeltaOp{Base: int(b[0]), Offset: int64(binary.BigEndian.Uint64(b[1:])),
		From: sizedOf(b[9:]), Out: sizedOf(b[9+8+sha256Size:]), Frame: int(binary.BigEndian.Uint32(b[deltaRecord-4:]))}
	if o.Base == noBase {
		o.Base = -1
	}
	return o
}

func (h *DeltaHead) check() error {
	if len(h.Bases) > maxBases || len(h.Ops)*deltaRecord > MaxDeltaHead {
		return errors.New("delta: too many bases or operations")
	}
	var size int64
	for i, o := range h.Ops {
		if err := h.checkOp(o); err != nil {
			return fmt.Errorf("delta: operation %d: %w", i, err)
		}
		if size += o.Out.Size; size > h.Payload.Size {
			break
		}
	}
	if size != h.Payload.Size {
		return fmt.Errorf("delta: operations for %d bytes or more, the payload has %d", size, h.Payload.Size)
	}
	return nil
}

func (h *DeltaHead) checkOp(o DeltaOp) error {
	switch {
	case o.Base < 0 && (o.Offset != 0 || o.From != Ref{} || o.Copies()):
		return errors.New("takes bytes of no base")
	case o.Base >= len(h.Bases):
		return fmt.Errorf("takes bytes of base %d, there are %d", o.Base, len(h.Bases))
	case o.Base >= 0 && (o.Offset < 0 || o.From.Size < 1 || o.Offset > h.Bases[o.Base].Size-o.From.Size):
		return errors.New("takes bytes that the base does not have")
	case o.Copies() && o.From != o.Out:
		return errors.New("copies and changes")
	case !o.Copies() && (o.From.Size > MaxDeltaDict || o.Out.Size > MaxDeltaRun || o.Frame < 1 || o.Frame > MaxDeltaRun+1<<10):
		return fmt.Errorf("a frame of %d bytes for %d, with %d of a base", o.Frame, o.Out.Size, o.From.Size)
	case o.Out.Size < 1:
		return errors.New("makes nothing")
	}
	return nil
}

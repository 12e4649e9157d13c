package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Pointer leads from a payload to an object that helps to read it: the index
// of its chunks, or a delta that makes it. It is the value of a cell:
//
//	"airlock-<kind> 1 <digest of the object> <its size> <size of the payload>\n"
//
// A pointer may be replaced. It is signed by nobody and needs not be: what it
// leads to gives the payload or is refused.
type Pointer struct {
	Kind    PointerKind
	To      Ref
	Payload int64 // size of the payload, in bytes
}

// PointerKind says what a pointer leads to.
type PointerKind string

// The kinds of pointer.
const (
	ToChunks PointerKind = "chunks" // a ChunkIndex
	ToDelta  PointerKind = "delta"  // a DeltaHead with its frames
)

// MaxPointer bounds a pointer, in bytes.
const MaxPointer = 256

// Format returns the bytes of p.
func (p Pointer) Format() []byte {
	return fmt.Appendf(nil, "airlock-%s 1 %s %d %d\n", p.Kind, p.To.Digest, p.To.Size, p.Payload)
}

// ParsePointer reads what Format writes for a pointer of that kind. One to
// more than MaxChunkIndex or MaxDelta bytes is refused.
func ParsePointer(kind PointerKind, b []byte) (Pointer, error) {
	p, limit := Pointer{Kind: kind}, int64(MaxDelta)
	if kind == ToChunks {
		limit = MaxChunkIndex
	}
	var text string
	_, err := fmt.Sscanf(string(b), "airlock-"+string(kind)+" 1 %s %d %d\n", &text, &p.To.Size, &p.Payload)
	if err == nil {
		p.To.Digest, err = ParseDigest(text)
	}
	if err != nil || string(p.Format()) != string(b) || p.To.Size < 0 || p.To.Size > limit || p.Payload < 0 {
		return Pointer{}, &FormatError{Where: "pointer", Got: fmt.Sprintf("%.100s", b), Want: "airlock-" + string(kind) + " 1"}
	}
	return p, nil
}

// pointerTries bounds how often others may write the same pointer at the same
// time.
const pointerTries = 5

// lead makes the cell at key the pointer p.
func lead(ctx context.Context, cells Cells, key string, p Pointer) error {
	value := p.Format()
	for range pointerTries {
		have, tag, err := cells.Load(ctx, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && string(have) == string(value) {
			return nil
		}
		_, err = cells.Swap(ctx, key, tag, value)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnclear) {
			return err
		}
	}
	return ErrConflict
}

// pointer returns the pointer of a payload at key; where there is none, the
// payload's absence.
func (o *chunkedObjects) pointer(ctx context.Context, kind PointerKind, key string, d Digest) (Pointer, error) {
	value, _, err := o.cells.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return Pointer{}, noObject(o.space, d)
	}
	if err != nil {
		return Pointer{}, err
	}
	p, err := ParsePointer(kind, value)
	if err != nil {
		return Pointer{}, fmt.Errorf("object %s of %s: %w", d, o.space, err)
	}
	return p, nil
}

package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Differ is an Objects that keeps deltas between payloads, as objects, each
// with a [Pointer] that leads to it:
//
//	deltas/<organisation>/<space>/<64 digits of the base>/<64 digits of the payload>
type Differ interface {
	// Delta returns where the delta from base to target is; fs.ErrNotExist
	// where none is kept.
	Delta(ctx context.Context, base, target Digest) (Pointer, error)
	// KeepDelta makes the delta from base to target, both kept in chunks, where
	// there is none yet, and keeps it. One that saves too little gives
	// ErrNoGain. Its frames are held in a temporary file meanwhile.
	KeepDelta(ctx context.Context, base, target Digest) (Pointer, error)
}

// ErrNoGain reports a delta that is not worth keeping: it would take more than
// three quarters of the frames that who has the base lacks, or over MaxDelta.
var ErrNoGain = errors.New("a delta saves too little")

var _ Differ = (*chunkedObjects)(nil)

func (o *chunkedObjects) deltaKey(base, target Digest) string {
	return "deltas/" + o.space + "/" + base.Hex() + "/" + target.Hex()
}

// Delta implements Differ.
func (o *chunkedObjects) Delta(ctx context.Context, base, target Digest) (Pointer, error) {
	return o.pointer(ctx, ToDelta, o.deltaKey(base, target), target)
}

// KeepDelta implements Differ.
func (o *chunkedObjects) KeepDelta(ctx context.Context, base, target Digest) (Pointer, error) {
	if p, err := o.Delta(ctx, base, target); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	from, err := o.cutPayload(ctx, base)
	if err != nil {
		return Pointer{}, err
	}
	defer from.close()
	to, err := o.cutPayload(ctx, target)
	if err != nil {
		return Pointer{}, err
	}
	defer to.close()
	limit := min(lacking(to.Index, from.Index)/4*3, MaxDelta)
	ref, err := PutStream(ctx, o.Objects, func(w io.Writer) error {
		temp, err := os.CreateTemp("", "airlock-")
		if err != nil {
			return NoteFull(err)
		}
		defer func() { _ = errors.Join(temp.Close(), os.Remove(temp.Name())) }()
		frames := struct {
			io.Writer
			io.ReadSeeker
		}{&gaining{&fullNoting{temp}, limit}, temp}
		return MakeDelta(ctx, &gaining{w, limit}, to.CutPayload, from.CutPayload, frames)
	})
	if err != nil {
		return Pointer{}, err
	}
	p := Pointer{ToDelta, ref, to.Index.Payload.Size}
	return p, lead(ctx, o.cells, o.deltaKey(base, target), p)
}

// lacking is how many bytes of frames of a payload somebody needs who has
// another.
func lacking(x, have *ChunkIndex) (n int64) {
	known := map[Digest]bool{}
	for _, c := range have.Chunks {
		known[c.Digest] = true
	}
	for _, c := range x.Chunks {
		if !known[c.Digest] {
			n += int64(c.Frame)
		}
	}
	return n
}

// gaining refuses more than left bytes.
type gaining struct {
	w    io.Writer
	left int64
}

func (g *gaining) Write(p []byte) (int, error) {
	if g.left -= int64(len(p)); g.left < 0 {
		return 0, ErrNoGain
	}
	return g.w.Write(p)
}

// openCut is a payload that is read while a delta is made.
type openCut struct {
	CutPayload
	close func()
}

func (o *chunkedObjects) cutPayload(ctx context.Context, d Digest) (openCut, error) {
	x, err := o.Chunks(ctx, d)
	if err != nil {
		return openCut{}, err
	}
	r := &readerAt{stretches: stretches{open: func(off int64) (io.ReadCloser, error) { return o.Get(ctx, d, off) }}}
	return openCut{CutPayload{Index: x, Bytes: r}, r.close}, nil
}

// readerAt reads an object at any offset; to go on where the last read ended
// costs nothing.
type readerAt struct {
	mu sync.Mutex
	stretches
}

func (r *readerAt) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = off
	if err := r.read(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// ErrBase reports a base that is not the one that a delta was made from.
var ErrBase = errors.New("is not the base that the delta was made from")

// Apply writes the payload to w: from the frames, which begin where
// ReadDeltaHead ended, and from the bases, of which base returns the one with
// that number. Each base is checked where it is used and each piece before it
// is written; the payload is what w got only if Apply returns nil.
func (h *DeltaHead) Apply(ctx context.Context, w io.Writer, frames io.Reader, base func(int) (io.ReaderAt, error)) error {
	sum := newSumming(w)
	bases := make([]io.ReaderAt, len(h.Bases))
	for i := range bases {
		var err error
		if bases[i], err = base(i); err != nil {
			return err
		}
	}
	a := &applying{head: h, w: sum, frames: frames, bases: bases}
	for i, o := range h.Ops {
		err := ctx.Err()
		if err == nil {
			err = a.apply(o)
		}
		if err != nil {
			return fmt.Errorf("delta: operation %d: %w", i, err)
		}
	}
	if got := sum.ref(); got != h.Payload {
		return &DigestError{Want: h.Payload.Digest, Got: got.Digest}
	}
	return nil
}

// Open reads what Apply writes. Reading goes on ahead of the reader until
// Close, which closes the frames too. Whoever reads must not believe a byte of
// it before the end, where all of it is the payload.
func (h *DeltaHead) Open(ctx context.Context, frames io.ReadCloser, base func(int) (io.ReaderAt, error)) io.ReadCloser {
	body := piped(ctx, func(ctx context.Context, w io.Writer) error { return h.Apply(ctx, w, frames, base) })
	return &closingBoth{body, frames}
}

// closingBoth closes what it reads from, then what that reads from.
type closingBoth struct {
	io.ReadCloser
	under io.Closer
}

func (c *closingBoth) Close() error { return errors.Join(c.ReadCloser.Close(), c.under.Close()) }

type applying struct {
	head             *DeltaHead
	w                io.Writer
	frames           io.Reader
	bases            []io.ReaderAt
	dict, frame, out []byte
}

func (a *applying) apply(o DeltaOp) error {
	if o.Copies() {
		return a.copy(o)
	}
	a.frame = grown(a.frame, o.Frame)
	if _, err := io.ReadFull(a.frames, a.frame); err != nil {
		return fmt.Errorf("frame: %w", noEOF(err))
	}
	a.dict = a.dict[:0]
	if o.Base >= 0 {
		a.dict = grown(a.dict, int(o.From.Size))
		if err := a.readBase(o, a.dict); err != nil {
			return err
		}
	}
	out, err := decodeRun(a.frame, a.dict, a.out[:0])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFrame, err)
	}
	a.out = out
	if got := RefOf(out); got != o.Out {
		return fmt.Errorf("%w: %d bytes %s come out, want %d bytes %s", ErrFrame, got.Size, got.Digest, o.Out.Size, o.Out.Digest)
	}
	_, err = a.w.Write(out)
	return err
}

// readBase reads the bytes that an operation takes, whole, and checks them.
func (a *applying) readBase(o DeltaOp, into []byte) error {
	if _, err := io.ReadFull(io.NewSectionReader(a.bases[o.Base], o.Offset, o.From.Size), into); err != nil {
		return fmt.Errorf("%s %w: %w", a.head.Bases[o.Base].Digest, ErrBase, noEOF(err))
	}
	if DigestOf(into) != o.From.Digest {
		return fmt.Errorf("%s %w", a.head.Bases[o.Base].Digest, ErrBase)
	}
	return nil
}

// copy copies from a base, of which it may be all.
func (a *applying) copy(o DeltaOp) error {
	h := sha256.New()
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(a.w, h)}, io.NewSectionReader(a.bases[o.Base], o.Offset, o.From.Size), *buf)
	if err != nil {
		return err
	}
	if n != o.From.Size || Digest(h.Sum(nil)) != o.From.Digest {
		return fmt.Errorf("%s %w", a.head.Bases[o.Base].Digest, ErrBase)
	}
	return nil
}

// decodeRun decodes a frame to at most MaxDeltaRun bytes.
func decodeRun(frame, dict, buf []byte) ([]byte, error) {
	options := []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxDeltaRun), zstd.WithDecoderMaxWindow(deltaWindow)}
	if len(dict) > 0 {
		options = append(options, zstd.WithDecoderDictRaw(deltaDictID, dict))
	}
	decoder, err := zstd.NewReader(nil, options...)
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	return decoder.DecodeAll(frame, buf)
}

func grown(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

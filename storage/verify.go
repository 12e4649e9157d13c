package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// checkedReader passes an object's bytes on and compares their digest at the
// end: the last Read gives *DigestError instead of io.EOF.
type checkedReader struct {
	body io.ReadCloser
	want Digest
	size int64 // of the whole object, in bytes
	hash hash.Hash
	end  error // sticky
}

func newChecked(body io.ReadCloser, want Digest, size int64) *checkedReader {
	return &checkedReader{body: body, want: want, size: size, hash: sha256.New()}
}

// Size returns the size of the whole object in bytes.
func (c *checkedReader) Size() int64 { return c.size }

// Close releases the object. It says nothing about bytes that were not read.
func (c *checkedReader) Close() error { return c.body.Close() }

func (c *checkedReader) Read(p []byte) (int, error) {
	if c.end != nil {
		return 0, c.end
	}
	n, err := c.body.Read(p)
	c.hash.Write(p[:n])
	if errors.Is(err, io.EOF) {
		err = c.atEnd()
	}
	c.end = err
	return n, err
}

func (c *checkedReader) atEnd() error {
	if got := Digest(c.hash.Sum(nil)); got != c.want {
		return &DigestError{Want: c.want, Got: got}
	}
	return io.EOF
}

// WriteTo copies in large pieces; io.Copy uses it.
func (c *checkedReader) WriteTo(w io.Writer) (int64, error) {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{c}, *buf)
}

// exactReader passes on the bytes of a Put. The last piece is handed out only
// when everything matched, so whoever needs all bytes to finish cannot finish
// with wrong ones.
type exactReader struct {
	ctx  context.Context // of the one Put that this reader serves
	body io.Reader
	ref  Ref
	hash hash.Hash
	n    int64
	end  error // sticky
}

// newExact checks a body that a store checks for the same digest in the place of
// the store: what is read is hashed once. An object of another size is left to
// the store, which says what it is instead.
func newExact(ctx context.Context, ref Ref, body io.Reader) *exactReader {
	if c, ok := body.(*checkedReader); ok && ref == (Ref{Digest: c.want, Size: c.size}) {
		body = c.body
	}
	return &exactReader{ctx: ctx, body: body, ref: ref, hash: sha256.New()}
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.end != nil {
		return 0, e.end
	}
	if err := e.ctx.Err(); err != nil {
		e.end = err
		return 0, err
	}
	var n int
	var err error
	if left := e.ref.Size - e.n; left > 0 {
		n, err = e.body.Read(p[:min(int64(len(p)), left)])
		e.hash.Write(p[:n])
		e.n += int64(n)
	}
	if e.n >= e.ref.Size {
		e.end = checkEnd(e.ref, Digest(e.hash.Sum(nil)), e.body)
		if !errors.Is(e.end, io.EOF) {
			return 0, e.end
		}
		return n, e.end
	}
	if errors.Is(err, io.EOF) {
		err = &SizeError{Digest: e.ref.Digest, Want: e.ref.Size, Got: e.n}
	}
	e.end = err
	return n, err
}

// checkEnd returns io.EOF where ref.Size bytes with digest got have come and
// body holds no more, otherwise the error that Put reports.
func checkEnd(ref Ref, got Digest, body io.Reader) error {
	if ref.Size < 0 {
		return &SizeError{Digest: ref.Digest, Want: ref.Size}
	}
	var more [1]byte
	switch n, err := io.ReadFull(body, more[:]); {
	case n > 0:
		return &SizeError{Digest: ref.Digest, Want: ref.Size, Got: ref.Size + 1}
	case !errors.Is(err, io.EOF):
		return err
	case got != ref.Digest:
		return &DigestError{Want: ref.Digest, Got: got}
	}
	return io.EOF
}

// Read returns the whole of a small object, checked against ref. An object of
// another size gives *SizeError before more than ref.Size bytes are held.
func Read(ctx context.Context, o Objects, ref Ref) ([]byte, error) {
	body, err := o.Get(ctx, ref.Digest, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if sized, ok := body.(interface{ Size() int64 }); ok && sized.Size() != ref.Size {
		return nil, &SizeError{Digest: ref.Digest, Want: ref.Size, Got: sized.Size()}
	}
	data, err := io.ReadAll(newExact(ctx, ref, body))
	if err != nil {
		return nil, fmt.Errorf("reading object: %w", err)
	}
	return data, nil
}

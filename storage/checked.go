package storage

import (
	"context"
	"io"
)

// Checked returns the bytes of r, which must be exactly those of ref: anything
// else ends in *SizeError or *DigestError instead of io.EOF. Never more than
// ref.Size bytes are passed on, and the last of them only once all matched.
func Checked(ctx context.Context, r io.ReadCloser, ref Ref) io.ReadCloser {
	return checkedBody{newExact(ctx, ref, r), r}
}

type checkedBody struct {
	io.Reader
	io.Closer
}

// Counted returns r, and tells of the bytes that are read of it: how many more.
func Counted(r io.ReadCloser, tell func(n int)) io.ReadCloser { return &counted{r, tell} }

type counted struct {
	io.ReadCloser
	tell func(n int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.tell(n)
	return n, err
}

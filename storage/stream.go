package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
)

// Streamer is an Objects that stores bytes whose digest nobody knows before
// they are written. What PutStream promises, it does without a copy.
type Streamer interface {
	PutStream(ctx context.Context, fill func(w io.Writer) error) (Ref, error)
}

// PutStream stores what fill writes and returns its reference. As with Put it
// is durable on return, and nothing becomes visible where fill fails.
func PutStream(ctx context.Context, o Objects, fill func(w io.Writer) error) (Ref, error) {
	if s, ok := o.(Streamer); ok {
		return s.PutStream(ctx, fill)
	}
	f, err := os.CreateTemp("", "airlock-")
	if err != nil {
		return Ref{}, NoteFull(err)
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	w := newSumming(&fullNoting{f})
	if err := fill(w); err != nil {
		return Ref{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Ref{}, err
	}
	return w.ref(), o.Put(ctx, w.ref(), f)
}

// summing passes on what is written, and knows what it was.
type summing struct {
	w    io.Writer
	hash hash.Hash
	n    int64
}

func newSumming(w io.Writer) *summing { return &summing{w: w, hash: sha256.New()} }

func (s *summing) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	return n, err
}

func (s *summing) ref() Ref { return Ref{Digest: Digest(s.hash.Sum(nil)), Size: s.n} }

// fullNoting makes a full disk match ErrNoSpace.
type fullNoting struct{ w io.Writer }

func (f *fullNoting) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	return n, NoteFull(err)
}

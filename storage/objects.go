package storage

import (
	"context"
	"io"
	"time"
)

// Objects keeps immutable bytes by digest for one Space. There is no reading
// across Spaces: the same bytes put by two Spaces are two objects.
//
// All methods may be called by any number of goroutines and processes at once.
// An object that does not exist gives an error that matches fs.ErrNotExist.
type Objects interface {
	// Get returns the bytes from offset off to the end. Read from offset 0 the
	// content is checked: where it does not match d the last Read returns a
	// *DigestError instead of io.EOF. From another offset the caller checks.
	// An offset beyond the size is an error that matches ErrRange; an offset
	// equal to the size yields no bytes.
	Get(ctx context.Context, d Digest, off int64) (io.ReadCloser, error)

	// Put stores the bytes of r under ref. Exactly ref.Size bytes that hash to
	// ref.Digest must come (else *DigestError or *SizeError, and nothing
	// becomes visible). On return the object is durable, also where it existed
	// before: putting again is harmless, and renews the object's date.
	Put(ctx context.Context, ref Ref, r io.Reader) error

	// Stat returns size and date without reading the content.
	Stat(ctx context.Context, d Digest) (Info, error)
}

// Info says what is known about an object without reading it.
type Info struct {
	Size     int64     // in bytes
	Modified time.Time // when it was last put; retention counts from here
}

package storage

import (
	"context"
	"iter"
)

// MaxFile bounds a file and a cell's value, in bytes.
const MaxFile = 64 << 20

// Files keeps create-once bytes by key: what is a pure function of its key,
// such as tiles, segments and index pages.
//
// A key is one or more segments of [a-z0-9._-]+ joined by "/", at most 512
// bytes, none of them "." or ".." or longer than 255 bytes. Another key gives
// *KeyError. So may a key that is the folder of another ("a" and "a/b"): a
// directory cannot hold both.
type Files interface {
	// Get returns the whole file, fs.ErrNotExist where there is none.
	Get(ctx context.Context, key string) ([]byte, error)

	// Create stores value, durable on return. Where the key already holds the
	// same bytes that is fine (and durable on return too); other bytes give
	// ErrExists, and the file stays as it is.
	Create(ctx context.Context, key string, value []byte) error

	// List yields the keys that start with prefix and sort after after, in
	// ascending byte order. Iteration ends with the first error.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

package storage

import "context"

// Cells is the only mutable state. Keys are as in Files.
//
// A tag changes with every successful Swap, also when the value returns to an
// earlier one. Tags are opaque, compare them for equality only.
type Cells interface {
	// Load returns the value and its tag, fs.ErrNotExist where there is none.
	// Nobody reads a value that is not durable yet.
	Load(ctx context.Context, key string) (value []byte, tag string, err error)

	// Swap stores value if the cell still has tag, and returns the new tag;
	// durable on return. An empty tag creates a cell that must not exist. In
	// any other case the error matches ErrConflict and nothing changed. Where
	// the outcome is not known (an answer was lost and reading back did not
	// settle it) the error matches ErrUnclear: the caller loads the cell and
	// looks for its own change.
	Swap(ctx context.Context, key, tag string, value []byte) (newTag string, err error)
}

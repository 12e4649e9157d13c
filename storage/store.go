package storage

import "context"

// Store is one place that keeps feeds: the three ports together.
type Store struct {
	// Name is how people named the store, without credentials.
	Name string
	// Objects returns the objects of one Space, "<organisation>/<space>".
	// Both parts are DNS labels; the caller has checked that.
	Objects func(space string) Objects
	Files   Files
	Cells   Cells
	// Exclusive holds the reason why only one server may write here: the probe
	// found that conditional writes are not honoured. Empty where several may.
	Exclusive string
	// Untried holds the reason why the probe could not find out. Several servers may
	// write where that is known of the store otherwise.
	Untried string
	// Close releases what the store holds open.
	Close func() error

	raise func(context.Context) error // see OpenEarlier
}

// Item is a small object in memory, for PutAll.
type Item struct {
	Ref  Ref
	Data []byte
}

// PutAll makes many small objects durable. An Objects that can do it for less
// than the sum of single puts implements Batcher.
func PutAll(ctx context.Context, o Objects, items []Item) error {
	return putAll(ctx, o, items)
}

// Batcher is an Objects that makes a batch durable together: on return all are
// durable; on error any of them may be.
type Batcher interface {
	PutBatch(ctx context.Context, items []Item) error
}

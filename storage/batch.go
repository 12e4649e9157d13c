package storage

import (
	"bytes"
	"context"

	"golang.org/x/sync/errgroup"
)

// batchWorkers is how many small objects are written at once. More writers
// share one journal commit of the file system; past 16 nothing is gained.
const batchWorkers = 16

func putAll(ctx context.Context, o Objects, items []Item) error {
	if b, ok := o.(Batcher); ok {
		return b.PutBatch(ctx, items)
	}
	return each(ctx, len(items), func(ctx context.Context, i int) error {
		return o.Put(ctx, items[i].Ref, bytes.NewReader(items[i].Data))
	})
}

// each calls do for 0 to n-1 with batchWorkers goroutines and returns the
// first error; what has not begun by then is left out.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	if n == 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		return do(ctx, 0)
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(batchWorkers)
	for i := range n {
		if inner.Err() != nil {
			group.Go(ctx.Err) // nil where a failure ended the others
			break
		}
		group.Go(func() error { return do(inner, i) })
	}
	return group.Wait()
}

// checkItem reports data that is not what its reference says.
func checkItem(it Item) error {
	if size := int64(len(it.Data)); size != it.Ref.Size {
		return &SizeError{Digest: it.Ref.Digest, Want: it.Ref.Size, Got: size}
	}
	if got := DigestOf(it.Data); got != it.Ref.Digest {
		return &DigestError{Want: it.Ref.Digest, Got: got}
	}
	return nil
}

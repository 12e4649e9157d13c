package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync"

	"airlock/storage"
)

// Errors that a plan may give; any other will do as well.
var (
	ErrLost   = errors.New("answer lost")
	ErrServer = errors.New("store answers 500 Internal Server Error")
)

// Call is one operation on a store.
type Call struct {
	Port string // "objects", "files" or "cells"
	Op   string // the method, such as "Put"; a batch is "PutBatch"
	Key  string // "<space> <digest>" for objects, else the key or prefix
}

// Fault is what happens to a call. The zero Fault lets it pass.
type Fault struct {
	// Before is returned instead of doing anything.
	Before error
	// After is returned although the operation took effect: the answer was
	// lost. From Swap it comes wrapped in storage.ErrUnclear, as the contract
	// of Cells wants it.
	After error
	// Hang waits until the context ends, does nothing and returns its error.
	Hang bool
}

// WithFaults returns s with a plan that decides on each call. It is called by
// one goroutine at a time.
func WithFaults(s *storage.Store, plan func(Call) Fault) *storage.Store {
	f := &faulty{plan: plan}
	faulted := *s
	faulted.Objects = func(space string) storage.Objects {
		return &faultyObjects{faulty: f, space: space, inner: s.Objects(space)}
	}
	faulted.Files = &faultyFiles{f, s.Files}
	faulted.Cells = &faultyCells{f, s.Cells}
	return &faulted
}

// Share gives a fault to a share of all calls, from 0 to 1, the same for a seed.
func Share(seed uint64, share float64, fault Fault) func(Call) Fault {
	draw := rand.New(rand.NewPCG(seed, seed))
	return func(Call) Fault {
		if draw.Float64() < share {
			return fault
		}
		return Fault{}
	}
}

type faulty struct {
	mu   sync.Mutex
	plan func(Call) Fault
}

// do runs an operation as the plan has it.
func (f *faulty) do(ctx context.Context, call Call, op func() error) error {
	f.mu.Lock()
	fault := f.plan(call)
	f.mu.Unlock()
	switch {
	case fault.Hang:
		<-ctx.Done()
		return ctx.Err()
	case fault.Before != nil:
		return fmt.Errorf("%s %s %q: %w", call.Port, call.Op, call.Key, fault.Before)
	}
	if err := op(); err != nil {
		return err
	}
	if fault.After != nil {
		return fmt.Errorf("%s %s %q: %w", call.Port, call.Op, call.Key, fault.After)
	}
	return nil
}

type faultyObjects struct {
	*faulty
	space string
	inner storage.Objects
}

var _ storage.Batcher = (*faultyObjects)(nil)

func (o *faultyObjects) call(op string, d storage.Digest) Call {
	return Call{Port: "objects", Op: op, Key: o.space + " " + d.String()}
}

func (o *faultyObjects) Get(ctx context.Context, d storage.Digest, off int64) (body io.ReadCloser, err error) {
	err = o.do(ctx, o.call("Get", d), func() error {
		body, err = o.inner.Get(ctx, d, off)
		return err
	})
	if err != nil && body != nil {
		_ = body.Close()
		body = nil
	}
	return body, err
}

func (o *faultyObjects) Put(ctx context.Context, ref storage.Ref, r io.Reader) error {
	return o.do(ctx, o.call("Put", ref.Digest), func() error { return o.inner.Put(ctx, ref, r) })
}

func (o *faultyObjects) PutBatch(ctx context.Context, items []storage.Item) error {
	var first storage.Digest
	if len(items) > 0 {
		first = items[0].Ref.Digest
	}
	return o.do(ctx, o.call("PutBatch", first), func() error { return storage.PutAll(ctx, o.inner, items) })
}

func (o *faultyObjects) Stat(ctx context.Context, d storage.Digest) (info storage.Info, err error) {
	err = o.do(ctx, o.call("Stat", d), func() error {
		info, err = o.inner.Stat(ctx, d)
		return err
	})
	return info, err
}

type faultyFiles struct {
	*faulty
	inner storage.Files
}

func (f *faultyFiles) Get(ctx context.Context, key string) (value []byte, err error) {
	err = f.do(ctx, Call{"files", "Get", key}, func() error {
		value, err = f.inner.Get(ctx, key)
		return err
	})
	return value, err
}

func (f *faultyFiles) Create(ctx context.Context, key string, value []byte) error {
	return f.do(ctx, Call{"files", "Create", key}, func() error { return f.inner.Create(ctx, key, value) })
}

func (f *faultyFiles) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := f.do(ctx, Call{"files", "List", prefix}, func() error { return nil }); err != nil {
			yield("", err)
			return
		}
		f.inner.List(ctx, prefix, after)(yield)
	}
}

type faultyCells struct {
	*faulty
	inner storage.Cells
}

func (c *faultyCells) Load(ctx context.Context, key string) (value []byte, tag string, err error) {
	err = c.do(ctx, Call{"cells", "Load", key}, func() error {
		value, tag, err = c.inner.Load(ctx, key)
		return err
	})
	return value, tag, err
}

func (c *faultyCells) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	done := false
	err := c.do(ctx, Call{"cells", "Swap", key}, func() error {
		got, err := c.inner.Swap(ctx, key, tag, value)
		tag, done = got, err == nil
		return err
	})
	switch {
	case err == nil:
		return tag, nil
	case done:
		return "", fmt.Errorf("%w: %w", storage.ErrUnclear, err)
	}
	return "", err
}

package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

// NewMem returns an empty store in memory, for tests and for trying things. It
// keeps every promise of the ports but durability, and is less forgiving than
// the others: it keeps copies, hands out objects in odd pieces, and refuses a
// key that would be the folder of another.
func NewMem() *Store {
	m := &memStore{
		objects: map[string]map[Digest]memObject{},
		files:   map[string][]byte{},
		cells:   map[string]memCell{},
	}
	return &Store{
		Name:    "memory",
		Objects: func(space string) Objects { return &memObjects{store: m, space: space} },
		Files:   (*memFiles)(m),
		Cells:   (*memCells)(m),
		Close:   func() error { return nil },
	}
}

type memStore struct {
	mu      sync.RWMutex
	objects map[string]map[Digest]memObject // by Space
	files   map[string][]byte
	cells   map[string]memCell
}

type memObject struct {
	data     []byte
	modified time.Time
}

type memObjects struct {
	store *memStore
	space string
}

var _ Objects = (*memObjects)(nil)

func (o *memObjects) find(ctx context.Context, d Digest) (memObject, error) {
	if err := firstErr(ctx.Err(), checkSpace(o.space)); err != nil {
		return memObject{}, err
	}
	o.store.mu.RLock()
	defer o.store.mu.RUnlock()
	object, ok := o.store.objects[o.space][d]
	if !ok {
		return memObject{}, noObject(o.space, d)
	}
	return object, nil
}

func (o *memObjects) Get(ctx context.Context, d Digest, off int64) (io.ReadCloser, error) {
	object, err := o.find(ctx, d)
	if err != nil {
		return nil, err
	}
	size := int64(len(object.data))
	if err := checkOffset(d, off, size); err != nil {
		return nil, err
	}
	body := io.NopCloser(&oddReader{bytes.NewReader(object.data[off:])})
	if off > 0 {
		return body, nil
	}
	return newChecked(body, d, size), nil
}

func (o *memObjects) Put(ctx context.Context, ref Ref, r io.Reader) error {
	if err := checkSpace(o.space); err != nil {
		return err
	}
	data, err := io.ReadAll(newExact(ctx, ref, r))
	if err != nil {
		return fmt.Errorf("object %s: %w", ref.Digest, err)
	}
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	if o.store.objects[o.space] == nil {
		o.store.objects[o.space] = map[Digest]memObject{}
	}
	o.store.objects[o.space][ref.Digest] = memObject{data: data, modified: time.Now()}
	return nil
}

func (o *memObjects) Stat(ctx context.Context, d Digest) (Info, error) {
	object, err := o.find(ctx, d)
	if err != nil {
		return Info{}, err
	}
	return Info{Size: int64(len(object.data)), Modified: object.modified}, nil
}

// oddReader hands out at most 4,093 bytes at a time, so that nobody relies on
// a Read that fills its buffer.
type oddReader struct{ io.Reader }

func (o *oddReader) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(len(p), 4093)]) }

// noObject says that a Space has no such object.
func noObject(space string, d Digest) error {
	return fmt.Errorf("object %s of %s: %w", d, space, fs.ErrNotExist)
}

// checkOffset reports an offset outside an object of size bytes.
func checkOffset(d Digest, off, size int64) error {
	if off < 0 || off > size {
		return fmt.Errorf("object %s has %d bytes, offset %d: %w", d, size, off, ErrRange)
	}
	return nil
}

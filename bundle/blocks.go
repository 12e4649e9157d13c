package bundle

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"airlock/storage"
)

// blockCache keeps a few blocks that match their digests. Who reads on finds
// the next one read already.
type blockCache struct {
	bundle *Bundle
	mu     sync.Mutex
	kept   map[int64]*keptBlock
	uses   int64
	most   int
	ahead  sync.WaitGroup // blocks that are read before they are asked for
}

type keptBlock struct {
	once  sync.Once
	data  []byte
	err   error
	used  int64 // when, by uses
	asked bool
}

// cacheBytes is what is kept of blocks, in bytes.
const cacheBytes = 16 << 20

func newBlockCache(b *Bundle) *blockCache {
	return &blockCache{bundle: b, kept: map[int64]*keptBlock{}, most: int(max(4, cacheBytes/b.manifest.doc.Block))}
}

// get returns block i of the data, checked.
func (c *blockCache) get(i int64) ([]byte, error) {
	c.mu.Lock()
	k := c.keep(i)
	if !k.asked && i > 0 && c.kept[i-1] != nil && i+1 < c.bundle.layout.dataBlocks() {
		next := c.keep(i + 1)
		c.ahead.Go(func() { c.load(next, i+1) })
	}
	k.asked = true
	c.mu.Unlock()
	c.load(k, i)
	return k.data, k.err
}

func (c *blockCache) load(k *keptBlock, i int64) {
	k.once.Do(func() { k.data, k.err = c.bundle.readBlock(i, nil) })
}

// keep returns the place of a block; mu is held.
func (c *blockCache) keep(i int64) *keptBlock {
	k := c.kept[i]
	if k == nil {
		c.drop()
		k = &keptBlock{}
		c.kept[i] = k
	}
	c.uses++
	k.used = c.uses
	return k
}

// drop makes room for one block; mu is held.
func (c *blockCache) drop() {
	for len(c.kept) >= c.most {
		oldest := int64(-1)
		for i, k := range c.kept {
			if oldest < 0 || k.used < c.kept[oldest].used {
				oldest = i
			}
		}
		delete(c.kept, oldest)
	}
}

// readBlock reads a block into buf, or into new memory, and checks it: what does
// not match is a *DamagedError, what is not here a *MissingVolumeError. A medium
// that fails gives its own error.
func (b *Bundle) readBlock(i int64, buf []byte) ([]byte, error) {
	p := b.layout.block(i)
	f := b.files[p.volume]
	if f == nil {
		return nil, &MissingVolumeError{ID: b.id, Volumes: []int{p.volume + 1}, Count: len(b.files)}
	}
	if int64(cap(buf)) < p.size {
		buf = make([]byte, p.size)
	}
	buf = buf[:p.size]
	_, err := f.ReadAt(buf, p.offset)
	if err == nil && storage.DigestOf(buf) == b.tables.Blocks[i] {
		return buf, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("bundle %s: %w", b.id.Short(), err)
	}
	return nil, &DamagedError{ID: b.id, Volumes: []Damage{{Volume: p.volume + 1, File: b.set.Volumes[p.volume], Blocks: []int64{p.number}}},
		Repairable: b.manifest.doc.Parity != nil}
}

// readRun reads from the run of parts; every byte was checked.
func (b *Bundle) readRun(p []byte, at int64) error {
	block := b.manifest.doc.Block
	for len(p) > 0 {
		data, err := b.blocks.get(at / block)
		if err != nil {
			return err
		}
		n := copy(p, data[at%block:])
		p, at = p[n:], at+int64(n)
	}
	return nil
}

// partReader reads the bytes of a part as they lie on the medium.
type partReader struct {
	b     *Bundle
	parts []slice
	size  int64
}

func (b *Bundle) stored(i int) *partReader {
	r := &partReader{b: b, size: b.layout.stored(i)}
	for s := range b.layout.slices(i) {
		r.parts = append(r.parts, s)
	}
	return r
}

// ReadAt implements io.ReaderAt.
func (r *partReader) ReadAt(p []byte, off int64) (int, error) {
	n, begin := 0, int64(0)
	for _, s := range r.parts {
		if len(p) > 0 && off < begin+s.size {
			in := off - begin
			m := int(min(int64(len(p)), s.size-in))
			if err := r.b.readRun(p[:m], s.at+tarBlock+in); err != nil {
				return n, err
			}
			n, p, off = n+m, p[m:], off+int64(m)
		}
		begin += s.size
	}
	if len(p) > 0 {
		return n, io.EOF
	}
	return n, nil
}

// part returns the content of part i.
func (b *Bundle) part(i int) (*io.SectionReader, error) {
	r := b.stored(i)
	if b.key == nil {
		return io.NewSectionReader(r, 0, r.size), nil
	}
	key, err := b.key()
	if err != nil {
		return nil, err
	}
	plain, err := decrypt(r, r.size, key)
	if err == nil && plain.Size() != b.tables.Parts[i].Size {
		err = malformed("bundle %s: part %d: %d bytes, want %d", b.id.Short(), i, plain.Size(), b.tables.Parts[i].Size)
	}
	return plain, err
}

package bundle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"airlock/storage"
)

// parity writes the volumes with parity, from the data as it lies there.
func (w *writer) parity() (err error) {
	if w.layout.doc.Parity == nil || w.parityDone() {
		return nil
	}
	v := &volumeFiles{layout: w.layout, files: make([]File, w.layout.doc.Volumes.Count)}
	defer func() { err = errors.Join(err, v.close()) }()
	for n := range v.files {
		if n < w.layout.dataVolumes() {
			v.files[n], err = w.openVolume(n)
		} else {
			v.files[n], err = w.beginParity(n)
		}
		if err != nil {
			return err
		}
	}
	data := w.layout.dataBlocks()
	w.blocks = append(w.blocks[:data], make([]storage.Digest, w.layout.parityBlocks())...)
	sums := newBlockSums(w.layout)
	c, err := newCoder(w.layout)
	if err != nil {
		return err
	}
	c.read = v.read
	c.write = func(i, off int64, p []byte) error {
		if sum, done := sums.add(i, p); done {
			w.blocks[i] = sum
		}
		w.step(int64(len(p)))
		return v.write(i, off, p)
	}
	isData := func(i int64) bool { return i < data }
	if err := c.run(w.ctx, numbersTo(w.layout.doc.Parity.Groups), func(i int64) bool { return i >= data }, isData); err != nil {
		return fmt.Errorf("parity: %w", err)
	}
	for n := w.layout.dataVolumes(); n < len(v.files); n++ {
		if err := v.files[n].Sync(); err != nil {
			return err
		}
		from, to := w.layout.blocksOf(n)
		if err := w.note(n, w.blocks[from:to]); err != nil {
			return err
		}
	}
	return nil
}

// parityDone reports whether an earlier run wrote all parity.
func (w *writer) parityDone() bool {
	blocks := w.blocks
	for n := w.layout.dataVolumes(); n < w.layout.doc.Volumes.Count; n++ {
		noted, ok := w.noted(n)
		if !ok || w.first < w.layout.dataVolumes() { // data was written again
			return false
		}
		blocks = append(blocks, noted...)
	}
	w.blocks = blocks
	return true
}

// openVolume opens a volume of data, which an earlier run may have named.
func (w *writer) openVolume(n int) (File, error) {
	if id, ok := w.signed(); ok && w.named(n) {
		return w.folder.Open(fileName(w.layout.doc, id, n))
	}
	return w.folder.Open(w.temporary(n))
}

// beginParity makes a volume of parity with all but its blocks and frames.
func (w *writer) beginParity(n int) (File, error) {
	f, err := w.folder.Create(w.temporary(n))
	if err != nil {
		return nil, err
	}
	return f, writeAround(f, w.layout, n, w.modified())
}

func numbersTo(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// volumeFiles reads and writes blocks of files.
type volumeFiles struct {
	layout *layout
	files  []File
}

// read implements coder.read.
func (v *volumeFiles) read(i, off int64, p []byte) error {
	at := v.layout.block(i)
	n := max(0, min(int64(len(p)), at.size-off))
	if n > 0 {
		if _, err := v.files[at.volume].ReadAt(p[:n], at.offset+off); err != nil {
			return cutOff(err)
		}
	}
	clear(p[n:])
	return nil
}

// write implements coder.write. What a block's last piece has behind its end is
// zeros that nobody wrote.
func (v *volumeFiles) write(i, off int64, p []byte) error {
	at := v.layout.block(i)
	if n := max(0, min(int64(len(p)), at.size-off)); n > 0 {
		_, err := v.files[at.volume].WriteAt(p[:n], at.offset+off)
		return err
	}
	return nil
}

func (v *volumeFiles) close() error {
	var all error
	for _, f := range v.files {
		if f != nil {
			all = errors.Join(all, f.Close())
		}
	}
	return all
}

// blockSums hashes blocks that come in pieces, several at a time.
type blockSums struct {
	layout *layout
	open   map[int64]*openSum
}

type openSum struct {
	hash.Hash
	left int64
}

func newBlockSums(l *layout) *blockSums { return &blockSums{layout: l, open: map[int64]*openSum{}} }

// add takes the next piece of block i, and returns its digest at the end.
func (b *blockSums) add(i int64, p []byte) (sum storage.Digest, done bool) {
	o := b.open[i]
	if o == nil {
		o = &openSum{sha256.New(), b.layout.block(i).size}
		b.open[i] = o
	}
	n := min(int64(len(p)), o.left)
	_, _ = o.Write(p[:n]) // a hash cannot fail
	if o.left -= n; o.left > 0 {
		return sum, false
	}
	delete(b.open, i)
	return storage.Digest(o.Sum(nil)), true
}

package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"airlock/storage"
)

// Repair makes the volumes anew that are missing or damaged, by what Verify found,
// and returns the names of the files that it wrote to a folder. Of a volume's
// good blocks it takes what is there, the others come out of the parity; each is
// held against the document. The medium is written to only if it is that folder.
// A bundle that parity does not suffice for gives h.Err().
//
// The Bundle is of no further use; open what there is now.
func (b *Bundle) Repair(ctx context.Context, h *Health, to Folder, progress func(done, total int64)) ([]string, error) {
	if !h.Repairable {
		return nil, h.Err()
	}
	r := &repair{b: b, h: h, folder: to, progress: progress, made: map[int]File{}, sums: newBlockSums(b.layout)}
	for _, v := range h.Missing {
		r.volumes = append(r.volumes, v-1)
	}
	for _, d := range h.Damaged {
		r.volumes = append(r.volumes, d.Volume-1)
	}
	slices.Sort(r.volumes)
	for _, v := range r.volumes {
		r.total += b.layout.size(v)
	}
	if free, known := to.Free(); known && free < r.total {
		return nil, fmt.Errorf("%w: the volumes take %d bytes, %d are free", storage.ErrNoSpace, r.total, free)
	}
	if err := r.write(ctx); err != nil {
		return nil, errors.Join(err, r.abort())
	}
	return r.finish()
}

type repair struct {
	b        *Bundle
	h        *Health
	folder   Folder
	progress func(done, total int64)
	total    int64
	done     int64
	volumes  []int // counted from 0
	made     map[int]File
	sums     *blockSums
}

func (r *repair) temporary(v int) string { return fileName(r.b.manifest.doc, r.b.id, v) + ".part" }

// write writes the volumes under other names.
func (r *repair) write(ctx context.Context) error {
	for _, v := range r.volumes {
		f, err := r.folder.Create(r.temporary(v))
		if err != nil {
			return err
		}
		r.made[v] = f
		if err := writeAround(f, r.b.layout, v, r.b.manifest.modified); err != nil {
			return err
		}
		if err := writeFrames(f, r.b.manifest, r.b.layout, v); err != nil {
			return err
		}
		if err := r.copyGood(ctx, v, f); err != nil {
			return err
		}
	}
	return r.rebuild(ctx)
}

// copyGood copies the blocks of a volume that need no parity.
func (r *repair) copyGood(ctx context.Context, v int, f File) error {
	buf := make([]byte, r.b.manifest.doc.Block)
	from, to := r.b.layout.blocksOf(v)
	for i := from; i < to; i++ {
		if r.h.bad[i] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := r.b.readBlock(i, buf)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data, r.b.layout.block(i).offset); err != nil {
			return err
		}
		r.step(int64(len(data)))
	}
	return nil
}

// rebuild makes the other blocks.
func (r *repair) rebuild(ctx context.Context) error {
	if len(r.h.bad) == 0 {
		return nil
	}
	seen := map[int64]bool{}
	var groups []int64
	for i := range r.h.bad {
		if g, _ := r.b.layout.group(i); !seen[g] {
			seen[g] = true
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	c, err := newCoder(r.b.layout)
	if err != nil {
		return err
	}
	out := &volumeFiles{layout: r.b.layout, files: make([]File, len(r.b.files))}
	for v, f := range r.made {
		out.files[v] = f
	}
	c.read = r.read
	c.write = func(i, off int64, p []byte) error {
		if sum, done := r.sums.add(i, p); done && sum != r.b.tables.Blocks[i] {
			return fmt.Errorf("block %d, made anew: %w", i, &storage.DigestError{Want: r.b.tables.Blocks[i], Got: sum})
		}
		r.step(int64(len(p)))
		return out.write(i, off, p)
	}
	isBad := func(i int64) bool { return r.h.bad[i] }
	return c.run(ctx, groups, isBad, func(i int64) bool { return !r.h.bad[i] })
}

// read implements coder.read, from what is here.
func (r *repair) read(i, off int64, p []byte) error {
	at := r.b.layout.block(i)
	n := max(0, min(int64(len(p)), at.size-off))
	if n > 0 {
		if _, err := r.b.files[at.volume].ReadAt(p[:n], at.offset+off); err != nil {
			return fmt.Errorf("%s: %w", r.b.set.Volumes[at.volume], cutOff(err))
		}
	}
	clear(p[n:])
	return nil
}

// finish makes the volumes durable, gives them their names and renews
// SHA256SUMS.
func (r *repair) finish() ([]string, error) {
	var names []string
	sums := map[string]storage.Digest{}
	for _, v := range r.volumes {
		if err := errors.Join(r.made[v].Sync(), r.made[v].Close()); err != nil {
			return nil, err
		}
		if f := r.b.files[v]; f != nil { // Windows keeps what is open
			r.b.files[v] = nil
			if err := f.Close(); err != nil {
				return nil, err
			}
		}
		name := fileName(r.b.manifest.doc, r.b.id, v)
		if err := r.folder.Rename(r.temporary(v), name); err != nil {
			return nil, err
		}
		sum, err := hashFile(r.folder, name)
		if err != nil {
			return nil, err
		}
		sums[name] = sum
		names = append(names, name)
	}
	if err := r.folder.Sync(); err != nil {
		return nil, err
	}
	return names, writeSums(r.folder, sums)
}

func (r *repair) abort() error {
	var all error
	for v, f := range r.made {
		all = errors.Join(all, f.Close(), removeFile(r.folder, r.temporary(v)))
	}
	return all
}

func (r *repair) step(n int64) {
	if r.done += n; r.progress != nil {
		r.progress(r.done, r.total)
	}
}

// writeAround writes all of a volume but its blocks and frames: the headers
// between blocks of parity, and the zeros at the end, so that the file has its
// size.
func writeAround(f io.WriterAt, l *layout, v int, modified time.Time) error {
	for _, h := range l.parityHeaders(v, modified) {
		if _, err := f.WriteAt(h.header, l.frame+h.at); err != nil {
			return err
		}
	}
	_, err := f.WriteAt(make([]byte, tarEnd), l.size(v)-tarEnd)
	return err
}

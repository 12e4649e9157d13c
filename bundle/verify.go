package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"time"
)

// Health is the state of a bundle's volumes, as Verify found it.
type Health struct {
	Missing []int // volumes, counted from 1
	Damaged []Damage
	// Blocks is how many blocks there are, Bad how many of them are damaged or
	// missing.
	Blocks, Bad int64
	// Repairable reports that parity suffices for all that is bad.
	Repairable bool

	id    ID
	count int
	bad   map[int64]bool
}

// Whole reports that nothing is missing and nothing damaged.
func (h *Health) Whole() bool { return len(h.Missing) == 0 && len(h.Damaged) == 0 }

// Err returns nil for a whole bundle, else a *DamagedError where there is damage,
// or where parity can bring missing volumes back, else a *MissingVolumeError.
func (h *Health) Err() error {
	switch {
	case h.Whole():
		return nil
	case len(h.Damaged) > 0:
		err := error(&DamagedError{ID: h.id, Volumes: h.Damaged, Repairable: h.Repairable})
		if len(h.Missing) > 0 {
			err = errors.Join(err, &MissingVolumeError{ID: h.id, Volumes: h.Missing, Count: h.count})
		}
		return err
	}
	return &MissingVolumeError{ID: h.id, Volumes: h.Missing, Count: h.count, Repairable: h.Repairable}
}

// Verify reads every byte of the volumes that are here and holds it against the
// document. What is wrong is in the Health that it returns; an error is for
// what kept it from looking, such as a medium that is gone. Blocks that cannot be
// read are damaged where parity makes them good. progress, where set, is told the
// bytes that were read, of how many.
func (b *Bundle) Verify(ctx context.Context, progress func(done, total int64)) (*Health, error) {
	h := &Health{id: b.id, count: len(b.files), Blocks: b.layout.blocks(), bad: map[int64]bool{}}
	var done, total int64
	var unread error // the first
	for v := range b.files {
		total += b.layout.size(v)
	}
	buf := make([]byte, b.manifest.doc.Block)
	headers := b.layout.headers(b.manifest.modified)
	defer headers.stop()
	for v, f := range b.files {
		from, to := b.layout.blocksOf(v)
		if f == nil {
			h.Missing = append(h.Missing, v+1)
			for i := from; i < to; i++ {
				h.bad[i] = true
			}
			continue
		}
		damage := Damage{Volume: v + 1, File: b.set.Volumes[v]}
		frame, err := b.checkFrames(v, f)
		if err != nil {
			return nil, err
		}
		damage.Frame = frame
		for i := from; i < to; i++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			data, err := b.readBlock(i, buf)
			if err != nil {
				if unread == nil && unreadable(err) {
					unread = err
				}
				h.bad[i] = true
				damage.Blocks = append(damage.Blocks, b.layout.block(i).number)
			} else if at, ok := headers.check(i*b.manifest.doc.Block, data); !ok {
				return nil, malformed("bundle %s: the tar header at byte %d of the data is none that a program of ours writes", b.id.Short(), at)
			}
			if progress != nil {
				done += b.layout.block(i).size
				progress(done, total)
			}
		}
		if damage.Frame || len(damage.Blocks) > 0 {
			h.Damaged = append(h.Damaged, damage)
		}
	}
	h.Bad = int64(len(h.bad))
	h.Repairable = b.layout.repairable(h.bad)
	if unread != nil && !h.Repairable {
		return nil, unread
	}
	return h, nil
}

// checkFrames reports whether what lies around the blocks of a volume is not as
// it must be: both frames, the headers between blocks of parity, the end, and
// nothing behind it.
func (b *Bundle) checkFrames(v int, f *os.File) (damaged bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() != b.layout.size(v) {
		return true, nil
	}
	own, err := readHead(f, info.Size())
	if err != nil || own.volume != v || own.id != b.id {
		return true, nil //nolint:nilerr // what is wrong with it is that it is damaged
	}
	// Each volume has the creator's statement; where a run was ended while it
	// gave names, two of them may carry two signatures.
	own.tables = b.manifest.tables
	l := b.layout
	after := l.frame + l.area(v)
	for _, want := range []struct {
		at int64
		r  io.Reader
	}{{0, own.manifest.frame("", v)}, {after, own.manifest.frame(copyPrefix, v)}, {after + l.frame, io.LimitReader(zeros{}, tarEnd)}} {
		if !sameBytes(io.NewSectionReader(f, want.at, info.Size()-want.at), want.r) {
			return true, nil
		}
	}
	for _, h := range l.parityHeaders(v, b.manifest.modified) {
		if !sameBytes(io.NewSectionReader(f, l.frame+h.at, tarBlock), bytes.NewReader(h.header)) {
			return true, nil
		}
	}
	return false, nil
}

// sameBytes reports whether r begins with all that want has.
func sameBytes(r, want io.Reader) bool {
	a, b := make([]byte, 8<<10), make([]byte, 8<<10)
	for {
		n, err := io.ReadFull(want, b)
		if n > 0 {
			if _, err := io.ReadFull(r, a[:n]); err != nil || !bytes.Equal(a[:n], b[:n]) {
				return false
			}
		}
		if err != nil {
			return true
		}
	}
}

// headerCheck compares the headers between parts with what they must be: they
// lead no reader of ours anywhere, but other tools follow them.
type headerCheck struct {
	next func() (int64, []byte, bool)
	stop func()
	at   int64
	want []byte
	more bool
}

func (l *layout) headers(modified time.Time) *headerCheck {
	c := &headerCheck{}
	c.next, c.stop = iter.Pull2(func(yield func(int64, []byte) bool) {
		for i := range l.parts {
			for s := range l.slices(i) {
				if !yield(s.at, tarHeader(partName(i, s.number), s.size, modified)) {
					return
				}
			}
		}
	})
	c.at, c.want, c.more = c.next()
	return c
}

// check looks at the headers in a piece of the run, which begins and ends where
// blocks do. Pieces come in order; some may be left out.
func (c *headerCheck) check(begin int64, piece []byte) (at int64, ok bool) {
	for c.more && c.at < begin+int64(len(piece)) {
		if c.at >= begin && !bytes.Equal(piece[c.at-begin:][:tarBlock], c.want) {
			return c.at, false
		}
		c.at, c.want, c.more = c.next()
	}
	return 0, true
}

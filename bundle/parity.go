package bundle

import (
	"context"
	"time"

	"github.com/klauspost/reedsolomon"
	"golang.org/x/sync/errgroup"
)

// runHeader is a tar header in an area of parity.
type runHeader struct {
	at     int64 // in the area
	header []byte
}

// parityHeaders returns the headers between the blocks of a volume of parity;
// none for one of data, where they lie within blocks.
func (l *layout) parityHeaders(v int, modified time.Time) []runHeader {
	if v < l.dataVolumes() {
		return nil
	}
	from, to := l.blocksOf(v)
	run := parityRun(l.doc.Block)
	var out []runHeader
	for n := int64(0); n < to-from; n += run {
		size := min(run, to-from-n) * l.doc.Block
		out = append(out, runHeader{parityOffset(n, l.doc.Block) - tarBlock, tarHeader(parityName(n/run), size, modified)})
	}
	return out
}

// group returns the group of block i, and the block's place in it: below
// Parity.Data for data.
func (l *layout) group(i int64) (group int64, shard int) {
	p, data := l.doc.Parity, l.dataBlocks()
	if i < data {
		return i % int64(p.Groups), int(i / int64(p.Groups))
	}
	i -= data
	return i % int64(p.Groups), p.Data + int(i/int64(p.Groups))
}

// member returns the block at a place of a group; false for one that is not
// there and counts as zeros.
func (l *layout) member(group int64, shard int) (i int64, ok bool) {
	p, data := l.doc.Parity, l.dataBlocks()
	if shard < p.Data {
		i = int64(shard)*int64(p.Groups) + group
		return i, i < data
	}
	return data + int64(shard-p.Data)*int64(p.Groups) + group, true
}

// repairable reports whether parity brings back all blocks that are bad: no
// group has lost more than it has parity blocks.
func (l *layout) repairable(bad map[int64]bool) bool {
	if l.doc.Parity == nil {
		return len(bad) == 0
	}
	lost := map[int64]int{}
	for i := range bad {
		group, _ := l.group(i)
		if lost[group]++; lost[group] > l.doc.Parity.Shards {
			return false
		}
	}
	return true
}

// coder makes blocks out of others of their group, in columns: pieces from the
// same place of every block, so that memory stays bounded whatever the sizes.
type coder struct {
	layout *layout
	code   reedsolomon.Encoder
	// read fills p with a block's bytes from an offset on, zeros behind its end.
	read func(i, off int64, p []byte) error
	// write takes the pieces of a block that is made, in order.
	write func(i, off int64, p []byte) error
}

// columnBytes bounds what one column holds of all blocks of a group. Two are
// under way, one read while the other is worked on.
const columnBytes = 12 << 20

func newCoder(l *layout) (*coder, error) {
	code, err := reedsolomon.New(l.doc.Parity.Data, l.doc.Parity.Shards)
	return &coder{layout: l, code: code}, err
}

// column is a piece of every block of a group. Shards that are to be made have
// no bytes yet.
type column struct {
	group, off int64
	shards     [][]byte
	memory     []byte
}

// width is how many bytes of a block a column has.
func (c *coder) width() int64 {
	p := c.layout.doc.Parity
	w := columnBytes / int64(p.Data+p.Shards) / tarBlock * tarBlock
	return min(max(w, tarBlock), 256<<10, c.layout.doc.Block)
}

// run makes the blocks for which wanted says so, of the groups for which there
// are any. Of each other block of the group have says whether it may be used.
func (c *coder) run(ctx context.Context, groups []int64, wanted, have func(i int64) bool) error {
	g, ctx := errgroup.WithContext(ctx)
	full, free := make(chan *column), make(chan *column, 2)
	p := c.layout.doc.Parity
	for range 2 {
		free <- &column{shards: make([][]byte, p.Data+p.Shards), memory: make([]byte, int64(p.Data+p.Shards)*c.width())}
	}
	g.Go(func() error {
		defer close(full)
		for _, group := range groups {
			for off := int64(0); off < c.layout.doc.Block; off += c.width() {
				var col *column
				select {
				case col = <-free:
				case <-ctx.Done():
					return ctx.Err()
				}
				col.group, col.off = group, off
				if err := c.fill(col, have); err != nil {
					return err
				}
				select {
				case full <- col:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	g.Go(func() error {
		for col := range full {
			if err := c.make(col, wanted); err != nil {
				return err
			}
			free <- col
		}
		return nil
	})
	return g.Wait()
}

// fill reads as many blocks of a column as are needed to make the others.
func (c *coder) fill(col *column, have func(i int64) bool) error {
	width := min(c.width(), c.layout.doc.Block-col.off)
	for s, left := 0, c.layout.doc.Parity.Data; s < len(col.shards); s++ {
		piece := col.memory[int64(s)*c.width():][:width]
		i, there := c.layout.member(col.group, s)
		switch {
		case left == 0 || there && !have(i):
			col.shards[s] = piece[:0]
			continue
		case !there:
			clear(piece)
		default:
			if err := c.read(i, col.off, piece); err != nil {
				return err
			}
		}
		col.shards[s] = piece
		left--
	}
	return nil
}

// make computes what is wanted of a column.
func (c *coder) make(col *column, wanted func(i int64) bool) error {
	required := make([]bool, len(col.shards))
	for s := range required {
		i, there := c.layout.member(col.group, s)
		required[s] = there && len(col.shards[s]) == 0 && wanted(i)
	}
	if err := c.code.ReconstructSome(col.shards, required); err != nil {
		return err
	}
	for s, made := range required {
		if !made {
			continue
		}
		i, _ := c.layout.member(col.group, s)
		if err := c.write(i, col.off, col.shards[s]); err != nil {
			return err
		}
	}
	return nil
}

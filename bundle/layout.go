package bundle

import (
	"fmt"
	"iter"
)

// Bounds of the layout, in bytes.
const (
	maxBlock = 64 << 20
	maxArea  = 1 << 42
	// maxEntry bounds a tar entry: every tool reads sizes below 8 GiB.
	maxEntry = 1 << 30
	// maxShards is what the code over GF(2^8) can tell apart.
	maxShards = 256
)

// layout says where in the volumes everything lies. It follows from document
// and parts alone, so nothing that a medium says of itself is asked.
//
// The data is one run of tar entries, cut into areas of Volumes.Area bytes, one
// a volume. A part is one entry or, where an area or maxEntry ends, several.
// Blocks are cut from the run; Area is a multiple of them, so none lies in two
// volumes. Parity lies in volumes behind them, entries of whole blocks.
type layout struct {
	doc    *Document
	parts  []Part
	starts []int64 // of each part's first header, in the run
	total  int64   // bytes of the run
	frame  int64   // bytes of the frame before and behind each area
}

func newLayout(d *Document, parts []Part, frame int64) (*layout, error) {
	l := &layout{doc: d, parts: parts, frame: frame, starts: make([]int64, len(parts))}
	room := int64(d.Volumes.Count-d.Volumes.Parity) * d.Volumes.Area
	for i := range parts {
		l.starts[i] = l.total
		if parts[i].Size > room-l.total {
			return nil, fmt.Errorf("parts are larger than %d volumes", d.Volumes.Count-d.Volumes.Parity)
		}
		for s := range l.slices(i) {
			l.total = s.at + tarBlock + padded(s.size)
		}
	}
	if n := max(1, ceil(l.total, d.Volumes.Area)); n != int64(d.Volumes.Count-d.Volumes.Parity) {
		return nil, fmt.Errorf("parts fill %d volumes, the document says %d", n, d.Volumes.Count-d.Volumes.Parity)
	}
	return l, l.checkParity()
}

// checkParity holds the parity's figures against the number of blocks.
func (l *layout) checkParity() error {
	p := l.doc.Parity
	if p == nil {
		return nil
	}
	if n := ceil(l.dataBlocks(), int64(p.Groups)); n != int64(p.Data) {
		return fmt.Errorf("parity groups of %d blocks, the document says %d", n, p.Data)
	}
	if n := ceil(l.parityBlocks(), l.perVolume()); n != int64(l.doc.Volumes.Parity) {
		return fmt.Errorf("parity fills %d volumes, the document says %d", n, l.doc.Volumes.Parity)
	}
	return nil
}

// slice is a part's bytes in one tar entry.
type slice struct {
	number int
	at     int64 // of the header in the run; the bytes follow
	size   int64
}

// slices yields the entries of a part. starts[i] must be known.
func (l *layout) slices(i int) iter.Seq[slice] {
	return func(yield func(slice) bool) {
		at, left := l.starts[i], l.stored(i)
		for n := 0; left > 0; n++ {
			room := l.doc.Volumes.Area - at%l.doc.Volumes.Area - tarBlock
			size := min(left, room, maxEntry)
			if !yield(slice{n, at, size}) {
				return
			}
			at += tarBlock + padded(size)
			left -= size
		}
	}
}

// stored is how many bytes of the medium a part takes; what is held takes none.
func (l *layout) stored(i int) int64 {
	if l.doc.Encryption == nil || l.parts[i].Size == 0 {
		return l.parts[i].Size
	}
	return l.doc.Encryption.size(l.parts[i].Size)
}

// dataBlocks is the number of blocks of data; the last may be short.
func (l *layout) dataBlocks() int64 { return ceil(l.total, l.doc.Block) }

func (l *layout) parityBlocks() int64 {
	if l.doc.Parity == nil {
		return 0
	}
	return int64(l.doc.Parity.Groups) * int64(l.doc.Parity.Shards)
}

func (l *layout) blocks() int64 { return l.dataBlocks() + l.parityBlocks() }

// perVolume is how many blocks a full volume has.
func (l *layout) perVolume() int64 { return l.doc.Volumes.Area / l.doc.Block }

// dataVolumes is the number of volumes with data.
func (l *layout) dataVolumes() int { return l.doc.Volumes.Count - l.doc.Volumes.Parity }

// place is where a block lies.
type place struct {
	volume int   // counted from 0
	number int64 // of the block in its volume
	offset int64 // in the volume's file
	size   int64
}

// block returns where block i lies.
func (l *layout) block(i int64) place {
	if data := l.dataBlocks(); i >= data {
		i -= data
		p := place{volume: l.dataVolumes() + int(i/l.perVolume()), number: i % l.perVolume(), size: l.doc.Block}
		p.offset = l.frame + parityOffset(p.number, l.doc.Block)
		return p
	}
	p := place{volume: int(i / l.perVolume()), number: i % l.perVolume()}
	p.offset = l.frame + p.number*l.doc.Block
	p.size = min(l.doc.Block, l.total-i*l.doc.Block)
	return p
}

// blocksOf returns the blocks of volume v, counted from 0: from and up to.
func (l *layout) blocksOf(v int) (from, to int64) {
	if v < l.dataVolumes() {
		return int64(v) * l.perVolume(), min(int64(v+1)*l.perVolume(), l.dataBlocks())
	}
	from = l.dataBlocks() + int64(v-l.dataVolumes())*l.perVolume()
	return from, min(from+l.perVolume(), l.blocks())
}

// area is how many bytes lie between the frames of volume v.
func (l *layout) area(v int) int64 {
	if v < l.dataVolumes() {
		return min(l.doc.Volumes.Area, l.total-int64(v)*l.doc.Volumes.Area)
	}
	from, to := l.blocksOf(v)
	return parityOffset(to-from-1, l.doc.Block) + l.doc.Block
}

// size is the size of volume v's file.
func (l *layout) size(v int) int64 { return 2*l.frame + l.area(v) + tarEnd }

// parityOffset is where in an area of parity block n begins: headers stand
// before every parityRun blocks.
func parityOffset(n, block int64) int64 {
	return (n/parityRun(block)+1)*tarBlock + n*block
}

// parityRun is how many blocks of parity are one tar entry.
func parityRun(block int64) int64 { return maxEntry / block }

func ceil(n, by int64) int64 { return (n + by - 1) / by }

// padded is what n bytes take in a tar file.
func padded(n int64) int64 { return ceil(n, tarBlock) * tarBlock }

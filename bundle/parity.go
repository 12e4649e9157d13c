package bundle

import "time"

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

// repairable reports whether parity brings back all blocks that are bad: no
// group has lost more than it has parity blocks.
func (b *Bundle) repairable(bad map[int64]bool) bool {
	p, data := b.manifest.doc.Parity, b.layout.dataBlocks()
	lost := map[int64]int{}
	for i := range bad {
		if p == nil {
			return false
		}
		group := i % int64(p.Groups)
		if i >= data {
			group = (i - data) % int64(p.Groups)
		}
		if lost[group]++; lost[group] > p.Shards {
			return false
		}
	}
	return true
}

package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
)

// ErrNotYet reports a part of the log that does not exist at this size.
var ErrNotYet = errors.New("the feed is not that long")

// maxSegments bounds the number of a segment, so that the index of its last
// entry is a number.
const maxSegments = 1 << 54

// Segment returns the entries from up to width of segment n. Full segments are the
// stored bytes; a shorter one is put together from what waits for its segment.
func (l *Log) Segment(ctx context.Context, n int64, from, width int) ([]byte, error) {
	h, err := l.reaching(ctx, n, width)
	if err != nil {
		return nil, err
	}
	if from == 0 && width == feed.SegmentSize {
		if b, err := l.config.Store.Files.Get(ctx, l.partKey(h.Epoch, "segment", n)); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	s, err := l.segment(ctx, h, n, from, width)
	if err != nil {
		return nil, err
	}
	return s.Format(), nil
}

// reaching returns a head at which segment n has width entries.
func (l *Log) reaching(ctx context.Context, n int64, width int) (*Head, error) {
	if n < 0 || n > maxSegments || width < 1 || width > feed.SegmentSize {
		return nil, ErrNotYet
	}
	end := n*feed.SegmentSize + int64(width)
	h, err := l.Head(ctx, end)
	if err != nil {
		return nil, err
	}
	if h.cell.size() < end {
		return nil, fmt.Errorf("%w: %d entries, asked for %d", ErrNotYet, h.cell.size(), end)
	}
	return h, nil
}

// segment reads the entries from up to width of segment n at a head.
func (l *Log) segment(ctx context.Context, h *Head, n int64, from, width int) (feed.Segment, error) {
	if from < 0 || from >= width {
		return feed.Segment{}, ErrNotYet
	}
	start := n * feed.SegmentSize
	statements, err := l.statements(ctx, h, start+int64(from), start+int64(width))
	return feed.Segment{Start: start + int64(from), Statements: statements}, err
}

// statements reads the entries from index from up to to, which are of one segment,
// at a head: from the segment's file or from the tail.
func (l *Log) statements(ctx context.Context, h *Head, from, to int64) ([][]byte, error) {
	start := h.cell.start()
	if from >= start {
		statements, err := l.readStatements(ctx, h.cell.tail[from-start:to-start])
		if err != nil {
			return nil, fmt.Errorf("feed %s: statements from %d on: %w", l.id, from, damaged(err))
		}
		return statements, nil
	}
	n := from / feed.SegmentSize
	b, err := l.config.Store.Files.Get(ctx, l.partKey(h.Epoch, "segment", n))
	if err != nil {
		return nil, fmt.Errorf("feed %s: segment %d: %w", l.id, n, damaged(err))
	}
	s, err := feed.ParseSegment(b, n*feed.SegmentSize, feed.SegmentSize)
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w: %w", l.id, ErrDamaged, err)
	}
	return s.Statements[from-s.Start : to-s.Start], nil
}

// damaged marks the absence of what must be there: fs.ErrNotExist would say
// that there is no such feed.
func damaged(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return err
}

// Pack returns the small objects that the entries from up to width of segment n
// speak of.
func (l *Log) Pack(ctx context.Context, n int64, from, width int) ([]byte, error) {
	h, err := l.reaching(ctx, n, width)
	if err != nil {
		return nil, err
	}
	if from == 0 && width == feed.SegmentSize {
		b, _, err := l.config.Store.Cells.Load(ctx, l.packKey(h.Epoch, n))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	s, err := l.segment(ctx, h, n, from, width)
	if err != nil {
		return nil, err
	}
	pack := feed.NewPack()
	if _, err := l.speak(ctx, s.Statements, pack); err != nil {
		return nil, err
	}
	return pack.Format(), nil
}

// Entries returns the entry bundle of tile n (C2SP tlog-tiles, "Log Entries"):
// width log entries, each with its length as two bytes. It is derived from the
// segment.
func (l *Log) Entries(ctx context.Context, n int64, width int) ([]byte, error) {
	h, err := l.reaching(ctx, n, width)
	if err != nil {
		return nil, err
	}
	s, err := l.segment(ctx, h, n, 0, width)
	if err != nil {
		return nil, err
	}
	var out []byte
	for i, raw := range s.Statements {
		a, err := feed.Logged(raw)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", s.Start+int64(i), err)
		}
		entry := feed.LogEntry(a)
		out = append(out, byte(len(entry)>>8), byte(len(entry)))
		out = append(out, entry...)
	}
	return out, nil
}

// Tile returns a hash tile of height 8 (C2SP tlog-tiles, "Merkle Tree").
// Partial tiles are prefixes of what is known now; they are never stored.
func (l *Log) Tile(ctx context.Context, level int, n int64, width int) ([]byte, error) {
	if level < 0 || level > 6 || n < 0 || n > maxSegments>>(8*level) || width < 1 || width > feed.SegmentSize {
		return nil, ErrNotYet
	}
	// The entries that the tile's last hash covers must all be there.
	end := (n*feed.SegmentSize + int64(width)) << (8 * level)
	h, err := l.reaching(ctx, (end-1)/feed.SegmentSize, int((end-1)%feed.SegmentSize)+1)
	if err != nil {
		return nil, err
	}
	hashes, err := l.tile(ctx, h, level, n, width)
	if err != nil {
		return nil, err
	}
	return tileBytes(hashes), nil
}

// tile returns the first width hashes of a tile.
func (l *Log) tile(ctx context.Context, h *Head, level int, n int64, width int) ([]tlog.Hash, error) {
	if level == 0 {
		if start := n * feed.SegmentSize; start >= h.cell.start() {
			at := start - h.cell.start()
			hashes := make([]tlog.Hash, width)
			for i := range hashes {
				hashes[i] = h.cell.tail[at+int64(i)].leaf
			}
			return hashes, nil
		}
	}
	b, err := l.config.Store.Files.Get(ctx, l.tileKey(h.Epoch, level, n))
	if err == nil {
		return parseTile(b, width)
	}
	if level == 0 || !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("feed %s: tile %d/%d: %w", l.id, level, n, damaged(err))
	}
	hashes := make([]tlog.Hash, width)
	for i := range hashes {
		below, err := l.tile(ctx, h, level-1, n*feed.SegmentSize+int64(i), feed.SegmentSize)
		if err != nil {
			return nil, err
		}
		hashes[i] = rootOf(below)
	}
	return hashes, nil
}

// tileRoots returns the roots of count full tiles, the hashes one level up.
func (l *Log) tileRoots(ctx context.Context, epoch uint64, level int, first int64, count int) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, count)
	for i := range out {
		b, err := l.config.Store.Files.Get(ctx, l.tileKey(epoch, level, first+int64(i)))
		if err != nil {
			return nil, fmt.Errorf("tile %d/%d: %w", level, first+int64(i), err)
		}
		hashes, err := parseTile(b, feed.SegmentSize)
		if err != nil {
			return nil, err
		}
		out[i] = rootOf(hashes)
	}
	return out, nil
}

// rootOf returns the root of the perfect tree over a full tile's hashes.
func rootOf(hashes []tlog.Hash) tlog.Hash {
	level := append([]tlog.Hash(nil), hashes...)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

func tileBytes(hashes []tlog.Hash) []byte {
	out := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

func parseTile(b []byte, width int) ([]tlog.Hash, error) {
	if len(b) != feed.SegmentSize*tlog.HashSize || width > feed.SegmentSize {
		return nil, fmt.Errorf("tile: %d bytes, want %d", len(b), feed.SegmentSize*tlog.HashSize)
	}
	hashes := make([]tlog.Hash, width)
	for i := range hashes {
		copy(hashes[i][:], b[i*tlog.HashSize:])
	}
	return hashes, nil
}

func (l *Log) tileKey(epoch uint64, level int, n int64) string {
	return l.partKey(epoch, fmt.Sprintf("tile/%d", level), n)
}

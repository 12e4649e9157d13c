package storage

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/buildbarn/go-cdc"
	"github.com/klauspost/compress/zstd"
)

// Chunks are cut by RepMaxCDC, which of the kept libraries finds most again
// after an edit (docs/benchmarks.md): of minChunk to nearly twice minChunk
// bytes, cut where the best place within chunkHorizon is.
const (
	minChunk     = 48 << 10
	chunkHorizon = 8 * minChunk
)

var chunker = sync.OnceValue(func() cdc.ContentDefinedChunker {
	return cdc.NewRepMaxContentDefinedChunker(&cdc.FastContentDefinedChunkerGearTable, minChunk, chunkHorizon)
})

// frameEncoder makes frames without a checksum of their own: the payload's
// digest is checked. The fastest level takes six parts in a hundred more room
// than the next, and three quarters of its time. It may be used by several
// goroutines.
var frameEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(Workers()), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(MaxChunk))
})

// framing is a chunk on its way to be a frame.
type framing struct {
	chunk Chunk
	data  []byte // the chunk, then the frame where there is one
	frame []byte
}

var framings = sync.Pool{New: func() any {
	return &framing{data: make([]byte, 0, 2*minChunk), frame: make([]byte, 0, 2*minChunk)}
}}

// ahead lends readers that look as far ahead as the chunker wants to.
var ahead = sync.Pool{New: func() any {
	return bufio.NewReaderSize(nil, chunker().GetMaximumPeekSizeBytes())
}}

// cut yields the chunks of r, each in a framing of its own. done gives back
// what it needs meanwhile.
func cut(r io.Reader) (next func() (*framing, error), done func()) {
	buffered := ahead.Get().(*bufio.Reader)
	buffered.Reset(r)
	chunks := chunker().NewChunkReader(buffered)
	next = func() (*framing, error) {
		chunk, err := chunks.ReadNextChunk()
		if err != nil {
			return nil, err
		}
		f := framings.Get().(*framing)
		f.data = append(f.data[:0], chunk...)
		return f, nil
	}
	return next, func() { buffered.Reset(nil); ahead.Put(buffered) }
}

// writeFrames cuts r into chunks, writes the frame of each to w, and returns
// the chunks. A reader that fails fails it, so one that checks what it reads
// keeps wrong bytes from being kept.
func writeFrames(ctx context.Context, w io.Writer, r io.Reader) ([]Chunk, error) {
	encoder, err := frameEncoder()
	if err != nil {
		return nil, err
	}
	next, done := cut(r)
	defer done()
	var chunks []Chunk
	err = inOrder(ctx, next, func(f *framing) error {
		f.frame = encoder.EncodeAll(f.data, f.frame[:0])
		f.chunk = Chunk{Digest: DigestOf(f.data), Size: len(f.data), Frame: len(f.frame)}
		return nil
	}, func(f *framing) error {
		chunks = append(chunks, f.chunk)
		_, err := w.Write(f.frame)
		framings.Put(f)
		return err
	})
	return chunks, err
}

// readChunks cuts r into chunks that are their own frames.
func readChunks(ctx context.Context, r io.Reader) ([]Chunk, error) {
	next, done := cut(r)
	defer done()
	var chunks []Chunk
	err := inOrder(ctx, next, func(f *framing) error {
		f.chunk = Chunk{Digest: DigestOf(f.data), Size: len(f.data), Frame: len(f.data)}
		return nil
	}, func(f *framing) error {
		chunks = append(chunks, f.chunk)
		framings.Put(f)
		return nil
	})
	return chunks, err
}

// Whether a payload is worth compressing is tried on pieces from its beginning.
const (
	sampleSize   = 1 << 20
	samplePieces = 8
)

// compresses reports whether zstd makes at least a twentieth less of what a
// payload begins with. Archives and images that are compressed already do not.
func compresses(sample []byte) (bool, error) {
	encoder, err := frameEncoder()
	if err != nil {
		return false, err
	}
	step := len(sample) / samplePieces
	tried, got := 0, 0
	var buf []byte
	for i := range samplePieces {
		piece := sample[i*step : i*step+min(step, minChunk)]
		buf = encoder.EncodeAll(piece, buf[:0])
		tried, got = tried+len(piece), got+len(buf)
	}
	return got*20 <= tried*19, nil
}

// peekSample returns what a payload begins with, without taking it from r.
func peekSample(r *bufio.Reader) ([]byte, error) {
	sample, err := r.Peek(r.Size())
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return sample, err
}

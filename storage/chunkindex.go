package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Bounds of payloads that are kept in chunks, in bytes.
const (
	// ChunkAbove is the largest payload that is kept as it comes.
	ChunkAbove = 1 << 20
	// MaxChunk bounds a chunk, and so what one frame may decode to.
	MaxChunk = 256 << 10
	// MaxChunkIndex bounds an index; a payload that would need a larger one is
	// kept as it comes.
	MaxChunkIndex = 64 << 20
	// maxFrame bounds a frame: zstd adds a little to what it cannot compress.
	maxFrame = MaxChunk + 1<<10
)

const (
	chunksHeader = "airlock-chunks 1\n"
	chunkRecord  = sha256Size + 4 + 4
	chunksFixed  = len(chunksHeader) + 2*(sha256Size+8) + 4
	sha256Size   = len(Digest{})

	// maxChunks is how many chunks an index has room for.
	maxChunks = (MaxChunkIndex - chunksFixed) / chunkRecord
)

// ChunkIndex says how a payload is cut into chunks, and where the frame of each
// lies. A frame is a chunk compressed on its own (RFC 8878), so the frames one
// after the other are the payload compressed: zstd -dc gives it back. Where
// compressing gains nothing the frames are plain: the chunks themselves, and
// Frames is the payload.
//
// An index is an object of its own:
//
//	"airlock-chunks 1\n"
//	SHA-256 (32 bytes) and size (8) of the payload
//	SHA-256 (32) and size (8) of the frames
//	number of chunks (4)
//	for each: SHA-256 of the chunk (32), its size (4), size of its frame (4)
//
// Numbers are big-endian. Nothing in it is believed: what comes out of the
// frames is the payload only if it has the payload's digest. Where the cuts are
// is up to whoever makes an index.
type ChunkIndex struct {
	Payload, Frames Ref
	Chunks          []Chunk
}

// Chunk is a piece of a payload.
type Chunk struct {
	Digest Digest
	Size   int // bytes, 1 to MaxChunk
	Frame  int // bytes of its frame
}

// Plain reports whether the frames are the payload itself.
func (x *ChunkIndex) Plain() bool { return x.Frames == x.Payload }

// Format checks x and returns its bytes.
func (x *ChunkIndex) Format() ([]byte, error) {
	if err := x.check(); err != nil {
		return nil, err
	}
	out := make([]byte, 0, chunksFixed+len(x.Chunks)*chunkRecord)
	out = append(out, chunksHeader...)
	for _, ref := range []Ref{x.Payload, x.Frames} {
		out = append(out, ref.Digest[:]...)
		out = binary.BigEndian.AppendUint64(out, uint64(ref.Size))
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(x.Chunks)))
	for _, c := range x.Chunks {
		out = append(out, c.Digest[:]...)
		out = binary.BigEndian.AppendUint32(out, uint32(c.Size))
		out = binary.BigEndian.AppendUint32(out, uint32(c.Frame))
	}
	return out, nil
}

// ParseChunkIndex reads what Format writes, of at most MaxChunkIndex bytes.
func ParseChunkIndex(b []byte) (*ChunkIndex, error) {
	rest, ok := bytes.CutPrefix(b, []byte(chunksHeader))
	if !ok {
		return nil, &FormatError{Where: "chunk index", Got: fmt.Sprintf("%.20s", b), Want: chunksHeader}
	}
	if len(b) < chunksFixed || len(b) > MaxChunkIndex {
		return nil, fmt.Errorf("chunk index: %d bytes, want %d to %d", len(b), chunksFixed, MaxChunkIndex)
	}
	x := &ChunkIndex{}
	for _, ref := range []*Ref{&x.Payload, &x.Frames} {
		ref.Digest, rest = Digest(rest[:sha256Size]), rest[sha256Size:]
		ref.Size, rest = int64(binary.BigEndian.Uint64(rest)), rest[8:]
	}
	n := int(binary.BigEndian.Uint32(rest))
	if rest = rest[4:]; len(rest) != n*chunkRecord {
		return nil, fmt.Errorf("chunk index: %d bytes for %d chunks, want %d", len(rest), n, n*chunkRecord)
	}
	x.Chunks = make([]Chunk, n)
	for i, r := range slices.Collect(slices.Chunk(rest, chunkRecord)) {
		x.Chunks[i] = Chunk{Digest: Digest(r[:sha256Size]),
			Size: int(binary.BigEndian.Uint32(r[sha256Size:])), Frame: int(binary.BigEndian.Uint32(r[sha256Size+4:]))}
	}
	return x, x.check()
}

func (x *ChunkIndex) check() error {
	if len(x.Chunks) == 0 || len(x.Chunks) > maxChunks {
		return fmt.Errorf("chunk index: %d chunks, want 1 to %d", len(x.Chunks), maxChunks)
	}
	var size, frames int64
	for i, c := range x.Chunks {
		if c.Size < 1 || c.Size > MaxChunk || c.Frame < 1 || c.Frame > maxFrame || x.Plain() && c.Frame != c.Size {
			return fmt.Errorf("chunk index: chunk %d has %d bytes, its frame %d", i, c.Size, c.Frame)
		}
		size += int64(c.Size)
		frames += int64(c.Frame)
	}
	if size != x.Payload.Size || frames != x.Frames.Size {
		return fmt.Errorf("chunk index: chunks of %d bytes in frames of %d, want %d and %d", size, frames, x.Payload.Size, x.Frames.Size)
	}
	if x.Payload.Digest == x.Frames.Digest && !x.Plain() {
		return errors.New("chunk index: one digest for payload and frames, and two sizes")
	}
	return nil
}

// at returns the chunk that holds the payload's byte off, where that chunk
// begins in the payload, and where its frame begins. For an offset at the end
// it returns the number of chunks.
func (x *ChunkIndex) at(off int64) (i int, start, frame int64) {
	for i < len(x.Chunks) && start+int64(x.Chunks[i].Size) <= off {
		start += int64(x.Chunks[i].Size)
		frame += int64(x.Chunks[i].Frame)
		i++
	}
	return i, start, frame
}

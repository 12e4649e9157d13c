package feedhttp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// BatchMediaType is the media type of a batch:
//
//	"airlock-batch 1\n"
//	epoch (8 bytes), number of statements (4)
//	statements, each its length (4) and its stored form (signing.Attestation)
//	objects until the end, each its SHA-256 (32), its length (8) and its bytes
//
// Numbers are big-endian. At most MaxStatements statements, MaxInline bytes an
// object, MaxBatch bytes in all; no object twice.
const BatchMediaType = "application/vnd.airlock.batch.v1"

const (
	batchHeader  = "airlock-batch 1\n"
	inlineHeader = len(storage.Digest{}) + 8
)

// appendStatements writes a batch up to its objects.
func appendStatements(out []byte, epoch uint64, statements []signing.Attestation) []byte {
	out = append(out, batchHeader...)
	out = binary.BigEndian.AppendUint64(out, epoch)
	out = binary.BigEndian.AppendUint32(out, uint32(len(statements)))
	for _, st := range statements {
		out = binary.BigEndian.AppendUint32(out, uint32(len(st.Bytes())))
		out = append(out, st.Bytes()...)
	}
	return out
}

// appendInlineHeader writes what stands before an object's bytes.
func appendInlineHeader(out []byte, ref storage.Ref) []byte {
	out = append(out, ref.Digest[:]...)
	return binary.BigEndian.AppendUint64(out, uint64(ref.Size))
}

// FormatBatch writes a batch with all its objects, for who hands it to somebody else
// than a server. *LimitError where that is more than limit bytes.
func FormatBatch(b feed.Batch, limit int64) ([]byte, error) {
	rq := batchRequest(b, "", b.Objects, 0)
	if rq.length > limit {
		return nil, &LimitError{"batch", limit}
	}
	body, err := rq.body()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// ParseBatch reads a batch for a feed. The objects share the memory of b.
// Whether they match their digests is for the store that takes them.
func ParseBatch(b []byte, id feed.ID) (feed.Batch, error) {
	batch := feed.Batch{Feed: id}
	if len(b) > MaxBatch {
		return batch, &LimitError{"batch", MaxBatch}
	}
	if len(b) < len(batchHeader)+12 || string(b[:len(batchHeader)]) != batchHeader {
		return batch, badRequest("batch: begins with %.20q, want %q, the epoch and the number of statements", b, batchHeader)
	}
	rest := b[len(batchHeader):]
	batch.Epoch = binary.BigEndian.Uint64(rest)
	count := binary.BigEndian.Uint32(rest[8:])
	if count < 1 || count > MaxStatements {
		return batch, badRequest("batch: %d statements, want 1 to %d", count, MaxStatements)
	}
	rest = rest[12:]
	var err error
	for i := range int(count) {
		var st signing.Attestation
		if st, rest, err = cutStatement(rest); err != nil {
			return batch, badRequest("batch: statement %d: %s", i, err)
		}
		batch.Statements = append(batch.Statements, st)
	}
	batch.Objects, err = parseObjects(rest, len(b)-len(rest))
	return batch, err
}

func cutStatement(b []byte) (st signing.Attestation, rest []byte, err error) {
	if len(b) < 4 {
		return st, nil, io.ErrUnexpectedEOF
	}
	n := int64(binary.BigEndian.Uint32(b))
	if b = b[4:]; n > signing.MaxAttestation || n > int64(len(b)) {
		return st, nil, fmt.Errorf("length %d, %d bytes are left and at most %d are allowed", n, len(b), signing.MaxAttestation)
	}
	st, err = signing.ParseAttestation(b[:n:n])
	return st, b[n:], err
}

// parseObjects reads the objects of a batch; at is where they begin in it.
func parseObjects(rest []byte, at int) ([]feed.Content, error) {
	var out []feed.Content
	seen := map[storage.Digest]bool{}
	for end := at + len(rest); len(rest) > 0; {
		if len(rest) < inlineHeader {
			return nil, badRequest("batch: cut off at byte %d, inside the header of object %d", end, len(out))
		}
		ref := storage.Ref{Digest: storage.Digest(rest[:len(storage.Digest{})])}
		size := binary.BigEndian.Uint64(rest[len(storage.Digest{}):])
		rest = rest[inlineHeader:]
		if size > MaxInline || size > uint64(len(rest)) {
			return nil, badRequest("batch: object %s of %d bytes at byte %d: %d are left and at most %d are allowed", ref.Digest, size, end-len(rest), len(rest), MaxInline)
		}
		if seen[ref.Digest] {
			return nil, badRequest("batch: object %s is there twice", ref.Digest)
		}
		seen[ref.Digest] = true
		ref.Size = int64(size)
		out = append(out, inMemory(ref, rest[:size:size]))
		rest = rest[size:]
	}
	return out, nil
}

// memoryReader reads bytes that are in memory already.
type memoryReader struct {
	*bytes.Reader
	all []byte
}

func (memoryReader) Close() error { return nil }

func inMemory(ref storage.Ref, b []byte) feed.Content {
	return feed.Content{Ref: ref, Open: func(off int64) (io.ReadCloser, error) {
		if off < 0 || off > int64(len(b)) {
			return nil, fmt.Errorf("object %s: %w", ref.Digest, storage.ErrRange)
		}
		return memoryReader{bytes.NewReader(b[off:]), b}, nil
	}}
}

// Inline returns the bytes of an object that came inside a batch, without
// copying them. They keep the whole batch in memory, so who wants them for
// longer than the request copies them.
func Inline(c feed.Content) ([]byte, bool) {
	r, err := c.Open(0)
	if err != nil {
		return nil, false
	}
	m, ok := r.(memoryReader)
	if !ok {
		r.Close()
	}
	return m.all, ok
}

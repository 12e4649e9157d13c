package log

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/storage"
)

// Statements wait for their segment as objects of the Space: one alone as it is,
// those that came at the same time together. Such an object is
//
//	"airlock-statements 1\n"
//	number of statements (2 bytes, big-endian), 2 to 256
//	the statements, framed as in a segment (feed.Segment)
//
// A statement begins with "{", so the one is never taken for the other.
const stagedHeader = "airlock-statements 1\n"

// maxStaged bounds an object with statements.
const maxStaged = int64(len(stagedHeader)) + 2 + feed.MaxSegment

// stageTimeout bounds the writing of one.
const stageTimeout = time.Minute

// Stage makes the statements of submissions durable, for Append, and those of
// callers who wait at the same time together: in a bucket each object costs a
// request, however small it is. It changes nothing that anybody sees. Append takes
// submissions too whose statements are objects of their own already.
func (l *Log) Stage(ctx context.Context, subs []Submission) error {
	l = l.logs.keep(l)
	for len(subs) > 0 {
		some := subs[:min(len(subs), feed.SegmentSize)]
		statements := make([][]byte, len(some))
		for i, s := range some {
			statements[i] = s.Attestation.Bytes()
		}
		object, err := l.stage(ctx, statements)
		if err != nil {
			return fmt.Errorf("feed %s: statements: %w", l.id, err)
		}
		for i := range some {
			some[i].stored = object
		}
		subs = subs[len(some):]
	}
	return nil
}

// stages collects the statements of callers while others are being written, and
// gives the object that they lie in.
type stages = feed.Turns[[][]byte, storage.Digest]

func newStages() *stages { return feed.NewTurns[[][]byte, storage.Digest]() }

// stage adds statements to the object that is written next, and returns it.
func (l *Log) stage(ctx context.Context, statements [][]byte) (storage.Digest, error) {
	return l.stages.Do(ctx, func(all *[][]byte) bool {
		if len(*all)+len(statements) > feed.SegmentSize {
			return false
		}
		*all = append(*all, statements...)
		return true
	}, func(ctx context.Context, all [][]byte) (storage.Digest, error) {
		ctx, cancel := context.WithTimeout(ctx, stageTimeout)
		defer cancel()
		return writeStaged(ctx, l.objects, all)
	})
}

// writeStaged stores statements as one object, durable on return.
func writeStaged(ctx context.Context, to storage.Objects, statements [][]byte) (storage.Digest, error) {
	content := statements[0]
	if len(statements) > 1 {
		content = formatStaged(statements)
	}
	ref := storage.RefOf(content)
	return ref.Digest, to.Put(ctx, ref, bytes.NewReader(content))
}

func formatStaged(statements [][]byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte(stagedHeader), uint16(len(statements)))
	return append(out, feed.Segment{Statements: statements}.Format()...)
}

// parseStaged reads an object with statements, or with one.
func parseStaged(b []byte) ([][]byte, error) {
	rest, together := bytes.CutPrefix(b, []byte(stagedHeader))
	if !together {
		return [][]byte{b}, nil
	}
	if len(rest) < 2 {
		return nil, fmt.Errorf("%w: statements: cut off inside their number", ErrDamaged)
	}
	n := int(binary.BigEndian.Uint16(rest))
	if n < 2 {
		return nil, fmt.Errorf("%w: statements: %d together, want 2 to %d", ErrDamaged, n, feed.SegmentSize)
	}
	s, err := feed.ParseSegment(rest[2:], 0, n)
	if err != nil {
		return nil, fmt.Errorf("%w: statements: %w", ErrDamaged, err)
	}
	return s.Statements, nil
}

// readStaged reads an object with statements and returns them by their leaf hashes.
// An id would not do: two people of a Space may sign the same statement at the same
// time, and of both attestations one became the entry.
func readStaged(ctx context.Context, from storage.Objects, d storage.Digest) (map[tlog.Hash][]byte, error) {
	b, err := feed.ReadWhole(ctx, from.Get, d, maxStaged)
	if err != nil {
		return nil, err
	}
	statements, err := parseStaged(b)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", d, err)
	}
	out := make(map[tlog.Hash][]byte, len(statements))
	for _, raw := range statements {
		a, err := feed.Logged(raw)
		if err != nil {
			return nil, fmt.Errorf("object %s: %w: %w", d, ErrDamaged, err)
		}
		out[feed.LeafHash(a)] = raw
	}
	return out, nil
}

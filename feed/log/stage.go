package log

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"airlock/feed"
	"airlock/signing"
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
		object, err := l.stages.put(ctx, l.objects, statements)
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

// stages collects the statements of callers while others are being written.
type stages struct {
	writing chan struct{} // holds one while an object is written

	mu   sync.Mutex
	next *stage // takes more; nil where nobody waits
}

// stage is a group of statements that become one object.
type stage struct {
	statements [][]byte
	written    bool // by who fills stages.writing, as is what follows
	object     storage.Digest
	err        error
}

func newStages() *stages { return &stages{writing: make(chan struct{}, 1)} }

// put adds statements to the stage that is next, writes it unless another of its
// callers was faster, and returns the object that they lie in.
func (s *stages) put(ctx context.Context, to storage.Objects, statements [][]byte) (storage.Digest, error) {
	mine := s.join(statements)
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return storage.Digest{}, ctx.Err() // who else waits, or comes next, writes it
	}
	if !mine.written {
		s.leave(mine)
		// It is written for all, so it goes on when this caller leaves.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stageTimeout)
		defer cancel()
		mine.object, mine.err = writeStaged(ctx, to, mine.statements)
		mine.written, mine.statements = true, nil
	}
	return mine.object, mine.err
}

func (s *stages) join(statements [][]byte) *stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil || len(s.next.statements)+len(statements) > feed.SegmentSize {
		s.next = &stage{}
	}
	s.next.statements = append(s.next.statements, statements...)
	return s.next
}

// leave has who comes from here on wait for another stage.
func (s *stages) leave(taken *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == taken {
		s.next = nil
	}
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

// readStaged reads an object with statements and returns them by their ids.
func readStaged(ctx context.Context, from storage.Objects, d storage.Digest) (map[signing.ID][]byte, error) {
	b, err := feed.ReadWhole(ctx, from.Get, d, maxStaged)
	if err != nil {
		return nil, err
	}
	statements, err := parseStaged(b)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", d, err)
	}
	out := make(map[signing.ID][]byte, len(statements))
	for _, raw := range statements {
		a, err := feed.Logged(raw)
		if err != nil {
			return nil, fmt.Errorf("object %s: %w: %w", d, ErrDamaged, err)
		}
		out[a.ID()] = raw
	}
	return out, nil
}

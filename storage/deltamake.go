package storage

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	// deltaWindow reaches over a dictionary and a run.
	deltaWindow = 16 << 20
	// deltaDictID is written into each frame that has a dictionary; which bytes
	// those are, the operation says.
	deltaDictID = 1
	// deltaSlack is how much of a base before and behind a gap is looked at:
	// what was moved a little is found there.
	deltaSlack = 64 << 10
	deltaTail  = 256 << 10
)

// CutPayload is a payload of which the chunks are known.
type CutPayload struct {
	Index *ChunkIndex
	Bytes io.ReaderAt
}

// MakeDelta writes the delta from base to target to w: head first, then frames,
// which are held in temp meanwhile. Chunks that both have are the anchors; each
// run of other chunks between them is compressed with what the base has in the
// same place as a dictionary.
func MakeDelta(ctx context.Context, w io.Writer, target, base CutPayload, temp io.ReadWriteSeeker) error {
	m := &deltaMaker{target: target, base: base, frames: temp,
		head: DeltaHead{Payload: target.Index.Payload, Bases: []Ref{base.Index.Payload}}}
	if err := m.run(ctx); err != nil {
		return fmt.Errorf("delta from %s: %w", base.Index.Payload.Digest, err)
	}
	head, err := m.head.Format()
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(w, temp)
	return err
}

type deltaMaker struct {
	target, base CutPayload
	head         DeltaHead
	frames       io.Writer

	at   int64 // in the target
	next int64 // in the base, behind the last anchor
}

// span is a run of chunks.
type span struct{ at, size int64 }

func (m *deltaMaker) run(ctx context.Context) error {
	known := map[Digest]int64{} // first place of each chunk in the base
	var off int64
	for _, c := range m.base.Index.Chunks {
		if _, ok := known[c.Digest]; !ok {
			known[c.Digest] = off
		}
		off += int64(c.Size)
	}
	chunks := m.target.Index.Chunks
	for i := 0; i < len(chunks); {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, isKnown := known[chunks[i].Digest]
		if isKnown {
			n, size := m.anchor(known, i, from)
			if err := m.copyFrom(span{from, size}); err != nil {
				return err
			}
			i += n
			continue
		}
		n, size := m.gap(known, i)
		until := int64(-1)
		if i+n < len(chunks) {
			if at, ok := known[chunks[i+n].Digest]; ok {
				until = at
			}
		}
		if err := m.encode(span{m.at, size}, until); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// anchor returns how many chunks from i on follow each other in the base too.
func (m *deltaMaker) anchor(known map[Digest]int64, i int, from int64) (n int, size int64) {
	for ; i+n < len(m.target.Index.Chunks); n++ {
		c := m.target.Index.Chunks[i+n]
		if at, ok := known[c.Digest]; !ok || at != from+size {
			break
		}
		size += int64(c.Size)
	}
	return n, size
}

// gap returns how many chunks from i on the base does not have, as far as a run
// goes.
func (m *deltaMaker) gap(known map[Digest]int64, i int) (n int, size int64) {
	for ; i+n < len(m.target.Index.Chunks); n++ {
		c := m.target.Index.Chunks[i+n]
		if _, ok := known[c.Digest]; ok || size+int64(c.Size) > MaxDeltaRun {
			break
		}
		size += int64(c.Size)
	}
	return n, size
}

func (m *deltaMaker) copyFrom(s span) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(m.base.Bytes, s.at, s.size)); err != nil {
		return err
	}
	ref := Ref{Digest: Digest(h.Sum(nil)), Size: s.size}
	m.head.Ops = append(m.head.Ops, DeltaOp{Offset: s.at, From: ref, Out: ref})
	m.at, m.next = m.at+s.size, s.at+s.size
	return nil
}

// encode compresses a run. until is where the chunk behind it lies in the base,
// -1 where that is not known.
func (m *deltaMaker) encode(run span, until int64) error {
	data := make([]byte, run.size)
	if _, err := m.target.Bytes.ReadAt(data, run.at); err != nil && err != io.EOF {
		return err
	}
	op := DeltaOp{Base: -1, Out: RefOf(data)}
	frame, err := encodeRun(data, nil)
	if err != nil {
		return err
	}
	for _, around := range m.around(run.size, until) {
		dict := make([]byte, around.size)
		if _, err := m.base.Bytes.ReadAt(dict, around.at); err != nil && err != io.EOF {
			return err
		}
		with, err := encodeRun(data, dict)
		if err != nil {
			return err
		}
		if len(with) < len(frame) {
			frame, op.Base, op.Offset, op.From = with, 0, around.at, RefOf(dict)
		}
	}
	op.Frame = len(frame)
	m.head.Ops = append(m.head.Ops, op)
	m.at += run.size
	m.next = min(m.next+run.size, m.base.Index.Payload.Size)
	_, err = m.frames.Write(frame)
	return err
}

// around returns where in the base a run of that size may have been: behind the
// anchor before it, and, where that is another place, before the anchor behind
// it, which begins at until.
func (m *deltaMaker) around(size, until int64) []span {
	end := m.next + size + size/2 + deltaTail
	near := until > m.next && until-m.next < deltaWindow
	if near {
		end = until
	}
	places := []span{m.place(m.next-deltaSlack, end)}
	if until >= 0 && !near {
		places = append(places, m.place(until-size-size/2-deltaTail, until+deltaSlack))
	}
	return slices.DeleteFunc(places, func(s span) bool { return s.size <= 0 })
}

// place is a part of the base that may serve as a dictionary.
func (m *deltaMaker) place(begin, end int64) span {
	begin = max(0, begin)
	end = min(end, m.base.Index.Payload.Size, begin+MaxDeltaDict)
	return span{begin, end - begin}
}

func encodeRun(data, dict []byte) ([]byte, error) {
	options := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderCRC(false)}
	if len(dict) > 0 {
		options = append(options, zstd.WithWindowSize(deltaWindow), zstd.WithEncoderDictRaw(deltaDictID, dict))
	}
	encoder, err := zstd.NewWriter(nil, options...)
	if err != nil {
		return nil, err
	}
	defer encoder.Close()
	return encoder.EncodeAll(data, nil), nil
}

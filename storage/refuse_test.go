package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func wantRefusal(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

// Each thing that an index may not say, with all else in order.
func TestChunkIndexRefuses(t *testing.T) {
	whole := example(t, "chunks.hex")
	long := make([]byte, MaxChunkIndex+1)
	copy(long, whole)
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"another version": {bytes.Replace(whole, []byte("1\n"), []byte("2\n"), 1), `this version knows "airlock-chunks 1`},
		"cut off":         {whole[:chunksFixed-1], "bytes, want"},
		"too long":        {long, "bytes, want"},
		"a byte more":     {append(bytes.Clone(whole), 0), "bytes for 2 chunks"},
	} {
		_, err := ParseChunkIndex(c.raw)
		wantRefusal(t, name, err, c.want)
	}
	one := func(size, frame int) ChunkIndex {
		return ChunkIndex{Payload: Ref{Digest{1}, int64(size)}, Frames: Ref{Digest{2}, int64(frame)}, Chunks: []Chunk{{Digest{3}, size, frame}}}
	}
	plain := one(5, 5)
	plain.Frames.Digest = plain.Payload.Digest
	for name, c := range map[string]struct {
		x    ChunkIndex
		want string
	}{
		"no chunks":             {ChunkIndex{}, "0 chunks"},
		"empty chunk":           {one(0, 5), "chunk 0 has 0 bytes"},
		"large chunk":           {one(MaxChunk+1, 5), "chunk 0 has"},
		"empty frame":           {one(5, 0), "chunk 0 has"},
		"large frame":           {one(5, maxFrame+1), "chunk 0 has"},
		"sum of the chunks":     {ChunkIndex{Ref{Digest{1}, 6}, Ref{Digest{2}, 5}, []Chunk{{Digest{3}, 5, 5}}}, "chunks of 5 bytes"},
		"sum of the frames":     {ChunkIndex{Ref{Digest{1}, 5}, Ref{Digest{2}, 6}, []Chunk{{Digest{3}, 5, 5}}}, "chunks of 5 bytes"},
		"plain, frames of less": {ChunkIndex{plain.Payload, plain.Frames, []Chunk{{Digest{3}, 2, 3}, {Digest{3}, 3, 2}}}, "chunk 0 has"},
		"one digest, two sizes": {ChunkIndex{Ref{Digest{1}, 5}, Ref{Digest{1}, 6}, []Chunk{{Digest{3}, 5, 6}}}, "one digest"},
	} {
		_, err := c.x.Format()
		wantRefusal(t, name, err, c.want)
	}
	if _, err := plain.Format(); err != nil {
		t.Errorf("a plain one: %v", err)
	}
}

// Each thing that the head of a delta may not say, with all else in order.
func TestDeltaHeadRefuses(t *testing.T) {
	whole := example(t, "delta.hex")
	bases, ops := bytes.Clone(whole), bytes.Clone(whole)
	bases[len(deltaHeader)+refSize] = maxBases + 1
	copy(ops[deltaFixed-4+refSize:], "\xff\xff\xff\xff")
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"another version":     {bytes.Replace(whole, []byte("1\n"), []byte("2\n"), 1), `this version knows "airlock-delta 1`},
		"too many bases":      {bases, "17 bases"},
		"too many operations": {ops, "4294967295 operations"},
	} {
		_, err := ReadDeltaHead(bytes.NewReader(c.raw))
		wantRefusal(t, name, err, c.want)
	}
	from := Ref{Digest{3}, 5}
	for name, c := range map[string]struct {
		op   DeltaOp
		want string
	}{
		"offset in no base":      {DeltaOp{Base: -1, Offset: 1, Out: from, Frame: 1}, "of no base"},
		"bytes of no base":       {DeltaOp{Base: -1, From: from, Out: from, Frame: 1}, "of no base"},
		"copy of no base":        {DeltaOp{Base: -1, Out: from}, "of no base"},
		"another base":           {DeltaOp{Base: 1, From: from, Out: from}, "base 1, there are 1"},
		"before the base":        {DeltaOp{Offset: -1, From: from, Out: from}, "does not have"},
		"behind the base":        {DeltaOp{Offset: 6, From: from, Out: from}, "does not have"},
		"nothing of the base":    {DeltaOp{From: Ref{}, Out: from, Frame: 1}, "does not have"},
		"copy that changes":      {DeltaOp{From: from, Out: Ref{Digest{4}, 5}}, "copies and changes"},
		"frame that is too long": {DeltaOp{Base: -1, Out: from, Frame: MaxDeltaRun + 1<<10 + 1}, "a frame of"},
		"negative frame":         {DeltaOp{Base: -1, Out: from, Frame: -1}, "a frame of"},
		"run that is too long":   {DeltaOp{Base: -1, Out: Ref{Digest{3}, MaxDeltaRun + 1}, Frame: 1}, "a frame of"},
		"nothing made":           {DeltaOp{Base: -1, Frame: 1}, "makes nothing"},
		"less than the payload":  {DeltaOp{Base: -1, Out: Ref{Digest{3}, 4}, Frame: 1}, "operations for 4 bytes"},
		"more than the payload":  {DeltaOp{Base: -1, Out: Ref{Digest{3}, 6}, Frame: 1}, "operations for 6 bytes"},
	} {
		h := DeltaHead{Payload: Ref{Digest{1}, 5}, Bases: []Ref{{Digest{2}, 10}}, Ops: []DeltaOp{c.op}}
		_, err := h.Format()
		wantRefusal(t, name, err, c.want)
	}
	dict := DeltaHead{Payload: from, Bases: []Ref{{Digest{2}, 1 << 30}}, Ops: []DeltaOp{{From: Ref{Digest{2}, MaxDeltaDict + 1}, Out: from, Frame: 1}}}
	_, err := dict.Format()
	wantRefusal(t, "large dictionary", err, "a frame of")
	many := DeltaHead{Ops: make([]DeltaOp, MaxDeltaHead/deltaRecord+1)}
	_, err = many.Format()
	wantRefusal(t, "many operations", err, "too many")
	many = DeltaHead{Bases: make([]Ref, maxBases+1)}
	_, err = many.Format()
	wantRefusal(t, "many bases", err, "too many")
}

// What goes wrong while a delta is applied, each thing alone.
func TestApplyRefuses(t *testing.T) {
	apply := func(h *DeltaHead, frames, base string) error {
		return h.Apply(context.Background(), io.Discard, strings.NewReader(frames), func(int) (io.ReaderAt, error) { return strings.NewReader(base), nil })
	}
	old, made := RefOf([]byte("old bytes")), RefOf([]byte("new bytes"))
	frame, err := encodeRun([]byte("new bytes"), []byte("old bytes"))
	if err != nil {
		t.Fatal(err)
	}
	copies := &DeltaHead{Payload: old, Bases: []Ref{old}, Ops: []DeltaOp{{From: old, Out: old}}}
	makes := &DeltaHead{Payload: made, Bases: []Ref{old}, Ops: []DeltaOp{{From: old, Out: made, Frame: len(frame)}}}
	for _, h := range []*DeltaHead{copies, makes} {
		if err := apply(h, string(frame), "old bytes"); err != nil {
			t.Fatal(err)
		}
		for name, base := range map[string]string{"changed": "odd bytes", "cut off": "old byte"} {
			if err := apply(h, string(frame), base); !errors.Is(err, ErrBase) {
				t.Errorf("base %s: %v", name, err)
			}
		}
	}
	wrong := *makes
	wrong.Ops = []DeltaOp{{From: old, Out: RefOf([]byte("odd bytes")), Frame: len(frame)}}
	if err := apply(&wrong, string(frame), "old bytes"); !errors.Is(err, ErrFrame) {
		t.Errorf("a run that is another: %v", err)
	}
	wrong = *makes
	wrong.Payload.Digest = Digest{1}
	if _, ok := errors.AsType[*DigestError](apply(&wrong, string(frame), "old bytes")); !ok {
		t.Error("another payload than the head says")
	}
	bomb, err := encodeRun(make([]byte, 8<<20), nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong = DeltaHead{Payload: made, Ops: []DeltaOp{{Base: -1, Out: made, Frame: len(bomb)}}}
	if err := apply(&wrong, string(bomb), ""); !errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		t.Errorf("a bomb: %v", err)
	}
	for _, size := range []int{6, 8, MaxChunk} {
		encoder, err := frameEncoder()
		if err != nil {
			t.Fatal(err)
		}
		if out, err := DecodeFrame(encoder.EncodeAll([]byte("a chunk"), nil), Chunk{Size: size}, nil); !errors.Is(err, ErrFrame) {
			t.Errorf("a frame of 7 bytes for a chunk of %d: %q, %v", size, out, err)
		}
	}
}

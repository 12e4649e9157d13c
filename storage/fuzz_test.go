package storage

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzParseDigest(f *testing.F) {
	f.Add(DigestOf(nil).String())
	f.Add("sha256:")
	f.Add(DigestOf(nil).Hex())
	f.Add("sha512:" + DigestOf(nil).Hex())
	f.Add("sha256:" + strings.ToUpper(DigestOf(nil).Hex()))
	f.Add("sha256:" + strings.Repeat("é", 32))
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDigest(text)
		if err == nil && d.String() != text {
			t.Errorf("%q is written %q", text, d)
		}
		var read Digest
		if again := read.UnmarshalText([]byte(text)); (again == nil) != (err == nil) || read != d {
			t.Errorf("%q: ParseDigest %v, UnmarshalText %v", text, err, again)
		}
	})
}

func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"a", "e1/tile/0/x000/001", "", "/", "a/../b", "a//b", "A", "ä", "a\x00", strings.Repeat("a/", 256)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := CheckKey(key)
		var keyErr *KeyError
		if err != nil && !errors.As(err, &keyErr) {
			t.Fatalf("%q: %v is not a KeyError", key, err)
		}
		if err != nil {
			return
		}
		s := newDirStore("/store", nil, nil)
		path := s.path(filesPrefix + key)
		if rel, err := filepath.Rel("/store/files", path); err != nil || filepath.ToSlash(rel) != key {
			t.Errorf("%q lies at %q", key, path)
		}
		if len(key) > 512 || strings.ToLower(key) != key || !filepath.IsLocal(key) {
			t.Errorf("%q was accepted", key)
		}
	})
}

func FuzzParseCell(f *testing.F) {
	whole := formatCell(nonce{1, 2, 3}, []byte("value"))
	f.Add(whole)
	f.Add(formatCell(nonce{}, nil))
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:cellHeader])
	f.Add(bytes.ToUpper(whole))
	f.Add(bytes.Replace(formatCell(nonce{0xab}, nil), []byte("ab"), []byte("AB"), 1))
	f.Add(bytes.Replace(whole, []byte("1"), []byte("2"), 1))
	f.Fuzz(func(t *testing.T, stored []byte) {
		n, value, err := parseCell("cell", stored)
		if err == nil && !bytes.Equal(formatCell(n, value), stored) {
			t.Errorf("%q is written %q", stored, formatCell(n, value))
		}
	})
}

func FuzzParseChunkIndex(f *testing.F) {
	x := ChunkIndex{Payload: Ref{Digest{1}, 5}, Frames: Ref{Digest{2}, 30}, Chunks: []Chunk{{Digest{3}, 2, 10}, {Digest{4}, 3, 20}}}
	whole, err := x.Format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0))
	f.Add([]byte(chunksHeader))
	f.Add(bytes.Replace(whole, []byte("1\n"), []byte("2\n"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseChunkIndex(b)
		if err != nil {
			return
		}
		if again, err := x.Format(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is written %x, %v", b, again, err)
		}
		for off := int64(0); off <= x.Payload.Size && off < 100; off++ {
			i, start, frame := x.at(off)
			if i < len(x.Chunks) && (start > off || start+int64(x.Chunks[i].Size) <= off) || frame > x.Frames.Size {
				t.Errorf("byte %d is in chunk %d from %d, frame at %d", off, i, start, frame)
			}
		}
	})
}

func FuzzDecodeFrame(f *testing.F) {
	encoder, err := frameEncoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoder.EncodeAll([]byte("a chunk"), nil), 7)
	f.Add(encoder.EncodeAll([]byte("a chunk"), nil), 8)
	f.Add(encoder.EncodeAll(make([]byte, 1<<20), nil), MaxChunk)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, frame []byte, size int) {
		size = min(max(size, 1), MaxChunk)
		out, err := DecodeFrame(frame, Chunk{Size: size}, nil)
		if err == nil && len(out) != size || err != nil && !errors.Is(err, ErrFrame) {
			t.Errorf("%d bytes, %v", len(out), err)
		}
	})
}

// The format of a cell, byte for byte.
func TestCellFormat(t *testing.T) {
	const want = "airlock-cell 1 000102030405060708090a0b0c0d0e0f " +
		"cd42404d52ad55ccfa9aca4adc828aa5800ad9d385a0671fbcbf724118320619\nvalue"
	n := nonce{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	if got := formatCell(n, []byte("value")); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range want {
		changed := []byte(want)
		changed[i] ^= 1
		got, value, err := parseCell("cell", changed)
		if err == nil && (got == n || string(value) != "value") {
			t.Errorf("byte %d changed and nobody saw", i)
		}
		if _, _, err := parseCell("cell", []byte(want)[:i]); err == nil {
			t.Errorf("cut after %d bytes and nobody saw", i)
		}
	}
}

func FuzzParsePointer(f *testing.F) {
	whole := string(Pointer{ToChunks, RefOf([]byte("value")), 70000}.Format())
	f.Add(whole)
	f.Add(string(Pointer{ToDelta, RefOf(nil), 0}.Format()))
	f.Add(whole[:len(whole)-1])
	f.Add(whole + "\n")
	f.Add(strings.Replace(whole, " 5 ", " +5 ", 1))
	f.Add(strings.Replace(whole, " 5 ", " 67108865 ", 1))
	f.Add(strings.Replace(whole, " 1 ", " 2 ", 1))
	f.Fuzz(func(t *testing.T, text string) {
		for kind, limit := range map[PointerKind]int64{ToChunks: MaxChunkIndex, ToDelta: MaxDelta} {
			p, err := ParsePointer(kind, []byte(text))
			if err == nil && (string(p.Format()) != text || p.To.Size > limit || p.To.Size < 0 || p.Payload < 0 || len(text) > MaxPointer) {
				t.Errorf("%q is taken for %+v", text, p)
			}
		}
	})
}

func FuzzReadDelta(f *testing.F) {
	whole := example(f, "delta.hex")
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:deltaFixed])
	f.Add([]byte(deltaHeader))
	f.Add(bytes.Replace(whole, []byte("1\n"), []byte("2\n"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := ReadDeltaHead(r)
		if err != nil {
			return
		}
		if again, err := h.Format(); err != nil || !bytes.Equal(again, b[:len(b)-r.Len()]) {
			t.Errorf("%x is written %x, %v", b, again, err)
		}
		var out bytes.Buffer
		err = h.Apply(t.Context(), &out, r, func(int) (io.ReaderAt, error) { return strings.NewReader(exampleBase), nil })
		if err == nil && RefOf(out.Bytes()) != h.Payload {
			t.Errorf("%x gives another payload than it says", b)
		}
	})
}

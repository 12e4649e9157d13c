package storage

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"
)

// What the examples in testdata hold, and are made from.
var (
	exampleBase    = strings.Repeat("A line that stays as it was.\n", 3) + "A line that is edited here.\n"
	examplePayload = strings.Repeat("A line that stays as it was.\n", 3) + "A line that was edited here.\nA new one.\n"
)

func example(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The chunk index and its frames, byte for byte.
func TestChunkExample(t *testing.T) {
	raw, frames := example(t, "chunks.hex"), example(t, "frames.hex")
	x, err := ParseChunkIndex(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := x.Format(); err != nil || !bytes.Equal(again, raw) {
		t.Errorf("written %x, %v", again, err)
	}
	if x.Payload != RefOf([]byte(examplePayload)) || x.Frames != RefOf(frames) {
		t.Errorf("the index is of %v in %v", x.Payload, x.Frames)
	}
	body := x.Open(t.Context(), 0, ChunkSource{Frames: func(off int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(frames[off:])), nil
	}})
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || string(got) != examplePayload {
		t.Errorf("%q, %v", got, err)
	}
}

// The delta, byte for byte: a copy, a frame with a dictionary, and one without.
func TestDeltaExample(t *testing.T) {
	raw := example(t, "delta.hex")
	r := bytes.NewReader(raw)
	h, err := ReadDeltaHead(r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.Format(); err != nil || !bytes.Equal(again, raw[:len(raw)-r.Len()]) {
		t.Errorf("written %x, %v", again, err)
	}
	var out bytes.Buffer
	err = h.Apply(t.Context(), &out, r, func(int) (io.ReaderAt, error) { return strings.NewReader(exampleBase), nil })
	if err != nil || out.String() != examplePayload || r.Len() > 0 {
		t.Errorf("%q, %v, %d bytes left", out.String(), err, r.Len())
	}
}

// The pointers, byte for byte.
func TestPointerExample(t *testing.T) {
	for kind, want := range map[PointerKind]string{
		ToChunks: "airlock-chunks 1 sha256:cd42404d52ad55ccfa9aca4adc828aa5800ad9d385a0671fbcbf724118320619 5 70000\n",
		ToDelta:  "airlock-delta 1 sha256:cd42404d52ad55ccfa9aca4adc828aa5800ad9d385a0671fbcbf724118320619 5 70000\n",
	} {
		p := Pointer{kind, RefOf([]byte("value")), 70000}
		if got := p.Format(); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, err := ParsePointer(kind, []byte(want)); err != nil || got != p {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

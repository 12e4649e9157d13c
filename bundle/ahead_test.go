package bundle

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// failingWriter takes so many bytes.
type failingWriter struct{ left int }

var errFull = errors.New("full")

func (w *failingWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	if w.left -= n; n < len(p) {
		return n, errFull
	}
	return n, nil
}

// TestCopyAhead copies pieces and what is no whole piece, and says where it
// ended when either side fails.
func TestCopyAhead(t *testing.T) {
	data := make([]byte, 3*pieceBytes+4711)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	w := &writer{}
	for _, n := range []int64{1, 512, pieceBytes, 2 * pieceBytes, int64(len(data))} {
		var out bytes.Buffer
		got, err := w.copyAhead(&out, bytes.NewReader(data), n)
		if got != n || err != nil || !bytes.Equal(out.Bytes(), data[:n]) {
			t.Errorf("%d bytes: %d, %v", n, got, err)
		}
	}
	for n := range 4 {
		limit := n*pieceBytes + 100
		if got, err := w.copyAhead(&failingWriter{limit}, bytes.NewReader(data), int64(len(data))); got != int64(limit) || !errors.Is(err, errFull) {
			t.Errorf("full after %d bytes: %d, %v", limit, got, err)
		}
		var out bytes.Buffer
		broken := io.MultiReader(bytes.NewReader(data[:limit]), iotest.ErrReader(io.ErrClosedPipe))
		if got, err := w.copyAhead(&out, broken, int64(len(data))); got != int64(limit) || !errors.Is(err, io.ErrClosedPipe) || !bytes.Equal(out.Bytes(), data[:limit]) {
			t.Errorf("broken after %d bytes: %d, %v", limit, got, err)
		}
	}
	if _, err := w.copyAhead(io.Discard, bytes.NewReader(data), int64(len(data))+1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that ends early gives %v", err)
	}
}

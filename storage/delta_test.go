package storage_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"airlock/storage"
	"airlock/storage/storetest"
)

// cutOf cuts a payload.
func cutOf(t testing.TB, data []byte) storage.CutPayload {
	t.Helper()
	o := storage.Chunked(storage.NewMem()).Objects(chunkSpace)
	ref := storage.RefOf(data)
	err := o.Put(t.Context(), ref, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	x, err := o.(storage.Chunker).Chunks(t.Context(), ref.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return storage.CutPayload{Index: x, Bytes: bytes.NewReader(data)}
}

func deltaOf(t testing.TB, target, base []byte) []byte {
	t.Helper()
	temp, err := os.Create(filepath.Join(t.TempDir(), "frames"))
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Close()
	var out bytes.Buffer
	if err := storage.MakeDelta(t.Context(), &out, cutOf(t, target), cutOf(t, base), temp); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func applyDelta(t testing.TB, delta, base []byte) ([]byte, error) {
	t.Helper()
	r := bytes.NewReader(delta)
	h, err := storage.ReadDeltaHead(r)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = h.Apply(t.Context(), &out, r, func(int) (io.ReaderAt, error) { return bytes.NewReader(base), nil })
	return out.Bytes(), err
}

func TestDelta(t *testing.T) {
	base := storetest.Text(1, 6<<20)
	for name, target := range map[string][]byte{
		"the same":   base,
		"edited":     bytes.Join([][]byte{base[:1<<20], base[1<<20 : 3<<20], base[3<<20+100:]}, []byte("an edit")),
		"beginning":  base[:2<<20],
		"moved":      append(bytes.Clone(base[3<<20:]), base[:3<<20]...),
		"unlike":     storetest.Text(2, 2<<20),
		"not packed": storetest.Random(3, 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			delta := deltaOf(t, target, base)
			got, err := applyDelta(t, delta, base)
			if err != nil || !bytes.Equal(got, target) {
				t.Fatalf("%d bytes came out, %v", len(got), err)
			}
			t.Logf("%d bytes for %d", len(delta), len(target))
			if (name == "the same" || name == "edited" || name == "beginning" || name == "moved") && len(delta) > 20_000 {
				t.Errorf("delta of %d bytes", len(delta))
			}
		})
	}
}

// A base that only looks right, and a delta with any byte changed, give an
// error and never another payload.
func TestDeltaRefuses(t *testing.T) {
	base := storetest.Text(1, 3<<20)
	target := bytes.Join([][]byte{base[:1<<20], base[1<<20:]}, []byte("an edit"))
	delta := deltaOf(t, target, base)
	rapid.Check(t, func(rt *rapid.T) {
		changed := bytes.Clone(base)
		changed[rapid.IntRange(0, len(base)-1).Draw(rt, "byte of the base")] ^= 1
		if got, err := applyDelta(t, delta, changed); err == nil && !bytes.Equal(got, target) {
			rt.Fatal("another payload came out")
		}
		lie := bytes.Clone(delta)
		lie[rapid.IntRange(0, len(delta)-1).Draw(rt, "byte of the delta")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
		if got, err := applyDelta(t, lie, base); err == nil && !bytes.Equal(got, target) {
			rt.Fatal("another payload came out of a changed delta")
		}
	})
	if _, err := applyDelta(t, delta, storetest.Text(2, 3<<20)); !errors.Is(err, storage.ErrBase) {
		t.Errorf("another base: %v, want ErrBase", err)
	}
	if _, err := applyDelta(t, delta, base[:1<<20]); !errors.Is(err, storage.ErrBase) {
		t.Errorf("a base cut off: %v, want ErrBase", err)
	}
	for _, n := range []int{0, 10, len(delta) / 2, len(delta) - 1} {
		if _, err := applyDelta(t, delta[:n], base); err == nil {
			t.Errorf("a delta cut off after %d bytes was applied", n)
		}
	}
}

// BenchmarkDelta makes the delta between two files: AIRLOCK_BENCH_BASE and
// AIRLOCK_BENCH_FILE.
func BenchmarkDelta(b *testing.B) {
	base, err := os.ReadFile(os.Getenv("AIRLOCK_BENCH_BASE"))
	if err != nil {
		b.Skip("no AIRLOCK_BENCH_BASE")
	}
	target, err := os.ReadFile(os.Getenv("AIRLOCK_BENCH_FILE"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(target)))
	for b.Loop() {
		b.ReportMetric(float64(len(deltaOf(b, target, base))), "delta-bytes")
	}
}

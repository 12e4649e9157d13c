package storage_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"airlock/storage"
	"airlock/storage/storetest"
)

// BenchmarkPutBatch stores 600 objects of 4 KiB at a time, each time in a new
// Space.
func BenchmarkPutBatch(b *testing.B) {
	s, err := storage.OpenDir(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	items := make([]storage.Item, 600)
	seed := uint64(0)
	for b.Loop() {
		b.StopTimer()
		for i := range items {
			seed++
			data := storetest.Random(seed, 4096)
			items[i] = storage.Item{Ref: storage.RefOf(data), Data: data}
		}
		b.StartTimer()
		if err := storage.PutAll(b.Context(), s.Objects("acme/bench"), items); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(items))/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkPutBig stores a file of 1 GiB, and reports the time as a ratio to
// that of cp, sync and openssl dgst of the same file in the same run.
func BenchmarkPutBig(b *testing.B) {
	const size = 1 << 30
	dir := b.TempDir()
	source := filepath.Join(dir, "source")
	ref := writeRandom(b, source, size)
	s, err := storage.OpenDir(b.Context(), filepath.Join(dir, "store"))
	if err != nil {
		b.Fatal(err)
	}
	var put, others time.Duration
	for b.Loop() {
		others += timed(b, func() error { return copyAndDigest(source, filepath.Join(dir, "copy")) })
		put += timed(b, func() error {
			f, err := os.Open(source)
			if err != nil {
				return err
			}
			defer f.Close()
			return s.Objects("acme/bench").Put(b.Context(), ref, f)
		})
		digits := ref.Digest.Hex()
		if err := os.Remove(filepath.Join(dir, "store", "objects", "acme", "bench", digits[:2], digits)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(put.Seconds()/float64(b.N), "s/put")
	b.ReportMetric(others.Seconds()/float64(b.N), "s/cp+sync+openssl")
	b.ReportMetric(put.Seconds()/others.Seconds(), "ratio")
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func copyAndDigest(source, target string) error {
	for _, args := range [][]string{
		{"cp", source, target}, {"sync", target}, {"openssl", "dgst", "-sha256", source},
	} {
		if err := exec.Command(args[0], args[1:]...).Run(); err != nil {
			return err
		}
	}
	return os.Remove(target)
}

func writeRandom(b *testing.B, name string, size int) storage.Ref {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	h := sha256.New()
	for seed := range size >> 20 {
		_, err = io.MultiWriter(f, h).Write(storetest.Random(uint64(seed), 1<<20))
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return storage.Ref{Digest: storage.Digest(h.Sum(nil)), Size: int64(size)}
}

func BenchmarkGet(b *testing.B) {
	s, err := storage.OpenDir(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{2 << 10, 64 << 20} {
		data := storetest.Random(1, size)
		ref := storage.RefOf(data)
		o := s.Objects("acme/bench")
		if err := o.Put(b.Context(), ref, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
		name := map[bool]string{true: "2KiB", false: "64MiB"}[size == 2<<10]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				body, err := o.Get(b.Context(), ref.Digest, 0)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				_ = body.Close()
			}
		})
	}
}

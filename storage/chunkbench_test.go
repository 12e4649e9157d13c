package storage

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
)

// BenchmarkFrames cuts and compresses the file that AIRLOCK_BENCH_FILE names.
func BenchmarkFrames(b *testing.B) {
	name := os.Getenv("AIRLOCK_BENCH_FILE")
	if name == "" {
		b.Skip("no AIRLOCK_BENCH_FILE")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		chunks, err := writeFrames(context.Background(), io.Discard, bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		frames := 0
		for _, c := range chunks {
			frames += c.Frame
		}
		b.ReportMetric(float64(len(chunks)), "chunks")
		b.ReportMetric(float64(len(data))/float64(frames), "ratio")
	}
}

package kind

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkCorpus reads the 600 step templates as publishing them does.
func BenchmarkCorpus(b *testing.B) {
	files, _ := filepath.Glob("../../../shared/data/step-templates/*.json")
	if len(files) == 0 {
		b.Skip("skipped: no folder shared/data/step-templates beside the project")
	}
	var all [][]byte
	size := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		all, size = append(all, data), size+len(data)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for i, data := range all {
			Detect(files[i], data)
			_, _ = Inspect("step-template", files[i], data)
		}
	}
}

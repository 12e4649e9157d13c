package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// probeFiles is how many files the probe of the disk makes.
const probeFiles = 500

// fileCost is what making an empty file takes in a new folder, in microseconds,
// without any sync. It is 10 to 30 on a quiet ext4, and up to a thousand for
// some minutes after many files were removed (see folder): the page says it, so
// that nobody takes such a run for a good one.
func (b *bench) fileCost() (float64, error) {
	dir, err := b.folder()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	for i := range probeFiles {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(i)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, err
		}
		if err := f.Close(); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(begin).Microseconds()) / probeFiles, nil
}

package peers

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
)

// CopySync measures cp of a file into a folder, and the sync of both.
func CopySync(ctx context.Context, file, dir string) (Cost, error) {
	target := filepath.Join(dir, filepath.Base(file))
	copied, _, err := Run(ctx, "cp", file, target)
	if err != nil {
		return Cost{}, err
	}
	synced, _, err := Run(ctx, "sync", target, dir)
	return Sum(copied, synced), err
}

// Unzstd measures what unpacks a file, keeps it and knows its digest in one
// pass, and the sync of what it writes, which is removed again.
func Unzstd(ctx context.Context, pressed, dir string) (Cost, error) {
	target := filepath.Join(dir, "unpacked")
	defer os.Remove(target)
	read, _, err := Run(ctx, "sh", "-c", `zstd -q -dc "$1" | tee "$2" | openssl dgst -sha256`, "sh", pressed, target)
	if err != nil {
		return Cost{}, err
	}
	synced, _, err := Run(ctx, "sync", target, dir)
	return Sum(read, synced), err
}

// par2Index is the file that stands for a set of recovery files.
const par2Index = "data.par2"

// Par2Create measures par2 making recovery files for files of a folder, in it,
// and their sync: so many percent of the files' blocks.
func Par2Create(ctx context.Context, dir string, percent int, files []string) (Cost, error) {
	args := []string{"create", "-q", "-q", "-r" + strconv.Itoa(percent), filepath.Join(dir, par2Index)}
	made, _, err := Run(ctx, "par2", append(args, files...)...)
	if err != nil {
		return Cost{}, err
	}
	synced, err := syncFolder(ctx, dir)
	return Sum(made, synced), err
}

// Par2Repair measures par2 making files of a folder anew, and their sync.
func Par2Repair(ctx context.Context, dir string) (Cost, error) {
	repaired, _, err := Run(ctx, "par2", "repair", "-q", "-q", filepath.Join(dir, par2Index))
	if err != nil {
		return Cost{}, err
	}
	synced, err := syncFolder(ctx, dir)
	return Sum(repaired, synced), err
}

// syncFolder syncs a folder and all files in it.
func syncFolder(ctx context.Context, dir string) (Cost, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return Cost{}, err
	}
	cost, _, err := Run(ctx, "sync", append(files, dir)...)
	return cost, err
}

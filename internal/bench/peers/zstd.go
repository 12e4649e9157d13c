package peers

import (
	"context"
	"os"
	"path/filepath"
)

// Zstd measures zstd -3 -T2 of a file and the sync of what it writes: target.
func Zstd(ctx context.Context, file, target string) (Cost, error) {
	pressed, _, err := Run(ctx, "zstd", "-q", "-3", "-T2", file, "-o", target)
	if err != nil {
		return Cost{}, err
	}
	synced, _, err := Run(ctx, "sync", target, filepath.Dir(target))
	return Sum(pressed, synced), err
}

// Patch measures zstd --patch-from and returns the bytes of the patch, which is
// removed again.
func Patch(ctx context.Context, from, to, dir string) (int64, Cost, error) {
	target := filepath.Join(dir, "patch")
	defer os.Remove(target)
	// Without a window over all of it, zstd finds what it can reach.
	cost, _, err := Run(ctx, "zstd", "-q", "--long=31", "--patch-from="+from, to, "-o", target)
	if err != nil {
		return 0, Cost{}, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return 0, Cost{}, err
	}
	return info.Size(), cost, nil
}

// Restic backs up two files, one after the other, into a new repository in dir,
// and returns by how many bytes the second made it grow.
func Restic(ctx context.Context, from, to, dir string) (int64, Cost, error) {
	repo := filepath.Join(dir, "restic")
	defer os.RemoveAll(repo)
	restic := func(args ...string) (Cost, error) {
		cost, _, err := Run(ctx, "restic", append([]string{"-q", "-r", repo, "--no-cache", "--password-command", "echo bench"}, args...)...)
		return cost, err
	}
	if _, err := restic("init"); err != nil {
		return 0, Cost{}, err
	}
	if _, err := restic("backup", from); err != nil {
		return 0, Cost{}, err
	}
	before, err := folderSize(repo)
	if err != nil {
		return 0, Cost{}, err
	}
	cost, err := restic("backup", to)
	if err != nil {
		return 0, Cost{}, err
	}
	after, err := folderSize(repo)
	return after - before, cost, err
}

// folderSize is how many bytes the files below a folder have.
func folderSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// Sum is the cost of programs one after the other.
func Sum(costs ...Cost) (out Cost) {
	for _, c := range costs {
		out.WallS += c.WallS
		out.CPUS += c.CPUS
		out.PeakKiB = max(out.PeakKiB, c.PeakKiB)
	}
	return out
}

package peers

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
)

// A CopyCost is what the tools at hand take to keep a file and know its digest.
type CopyCost struct {
	Bytes   int64   `json:"bytes"`
	Copy    Cost    `json:"cp"`
	Sync    Cost    `json:"sync"`    // of the copy and its folder
	Digest  Cost    `json:"openssl"` // openssl dgst -sha256
	TotalS  float64 `json:"wall_s"`
	TotalCP float64 `json:"cpu_s"`
}

// Copy measures cp, sync and openssl on a file; the copy is removed again.
func Copy(ctx context.Context, file, dir string) (CopyCost, error) {
	info, err := os.Stat(file)
	if err != nil {
		return CopyCost{}, err
	}
	c := CopyCost{Bytes: info.Size()}
	target := filepath.Join(dir, "copy")
	defer os.Remove(target)
	for _, step := range []struct {
		cost *Cost
		args []string
	}{
		{&c.Copy, []string{"cp", file, target}},
		{&c.Sync, []string{"sync", target, dir}},
		{&c.Digest, []string{"openssl", "dgst", "-sha256", file}},
	} {
		cost, _, err := Run(ctx, step.args[0], step.args[1:]...)
		if err != nil {
			return CopyCost{}, err
		}
		*step.cost = cost
		c.TotalS += cost.WallS
		c.TotalCP += cost.CPUS
	}
	return c, nil
}

// RandomFile writes n bytes that do not compress, durable, so that no write of
// ours is left over when the clock starts.
func RandomFile(name string, n int64) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	if _, err := io.CopyN(f, rand.Reader, n); err != nil {
		return err
	}
	return f.Sync()
}

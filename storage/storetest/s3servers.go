package storetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"airlock/internal/built"
	"airlock/storage"
)

const (
	gatewayAccess = "airlock-test"
	gatewaySecret = "airlock-test-secret"
	gatewayBucket = "airlock"
)

// VersityGW starts an S3 server for one test, on a free port of this machine
// and an empty folder, and returns how to reach its one bucket. The program
// comes from .tools/bin of the module (make tools); without it the test is
// skipped.
//
// It has no fsync, so it proves how the S3 store behaves and nothing about
// durability.
func VersityGW(tb testing.TB) storage.S3Config {
	tb.Helper()
	return VersityGWAt(tb, built.FreeAddress(tb))
}

// VersityGWAt is VersityGW on an address of the caller's, HOST:PORT.
func VersityGWAt(tb testing.TB, address string) storage.S3Config {
	tb.Helper()
	return serveS3(tb, address, exec.Command(tool(tb, "versitygw"), "--access", gatewayAccess, "--secret", gatewaySecret,
		"--port", address, "--quiet", "--keep-alive", "posix", tb.TempDir()))
}

// MinIO is VersityGW with another server, which shares no code with it.
func MinIO(tb testing.TB) storage.S3Config {
	tb.Helper()
	address := built.FreeAddress(tb)
	cmd := exec.Command(tool(tb, "minio"), "server", "--quiet", "--address", address, tb.TempDir())
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+gatewayAccess, "MINIO_ROOT_PASSWORD="+gatewaySecret,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off")
	return serveS3(tb, address, cmd)
}

// serveS3 runs an S3 server until the test ends.
func serveS3(tb testing.TB, address string, cmd *exec.Cmd) storage.S3Config {
	tb.Helper()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	cfg := storage.S3Config{
		Endpoint:  "http://" + address,
		Region:    "us-east-1",
		Bucket:    gatewayBucket,
		AccessKey: gatewayAccess,
		SecretKey: gatewaySecret,
	}
	makeBucket(tb, cfg, address)
	return cfg
}

// tool finds a program that `make tools` installs.
func tool(tb testing.TB, name string) string {
	tb.Helper()
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
	program := filepath.Join(dir, ".tools", "bin", name)
	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		tb.Skipf("%s is not installed: run `make tools`", name)
	}
	return program
}

// makeBucket makes the bucket, once the server answers.
func makeBucket(tb testing.TB, cfg storage.S3Config, address string) {
	tb.Helper()
	client, err := minio.New(address, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Region: cfg.Region, MaxRetries: 1,
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := client.MakeBucket(ctx, cfg.Bucket, minio.MakeBucketOptions{Region: cfg.Region})
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("S3 server at %s: %v", address, err)
		}
	}
}

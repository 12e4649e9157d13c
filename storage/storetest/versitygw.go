package storetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

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
	program := tool(tb, "versitygw")
	address := freeAddress(tb)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--access", gatewayAccess, "--secret", gatewaySecret,
		"--port", address, "--quiet", "--keep-alive", "posix", tb.TempDir())
	if err := cmd.Start(); err != nil {
		cancel()
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
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

func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// makeBucket waits until the server answers and makes the bucket.
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
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatal(fmt.Errorf("S3 server at %s does not answer", address))
		}
	}
	if err := client.MakeBucket(ctx, cfg.Bucket, minio.MakeBucketOptions{Region: cfg.Region}); err != nil {
		tb.Fatal(err)
	}
}

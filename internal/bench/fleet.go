package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"airlock/internal/bench/peers"
)

const (
	bucket       = "feeds"
	bucketAccess = "bench"
	bucketSecret = "bench-secret"
	bucketRegion = "us-east-1"
)

// startS3 runs versitygw with one bucket, and has the environment of programs that
// are started from here on name it. Its objects lie in a folder, without fsync.
func startS3(ctx context.Context, dir string) (*peers.Server, error) {
	addr, err := peers.FreeAddr()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := peers.Start(ctx, addr, "versitygw", "--access", bucketAccess, "--secret", bucketSecret, "--port", addr, "--quiet", "--keep-alive", "posix", dir)
	if err != nil {
		return nil, err
	}
	client, err := minio.New(addr, &minio.Options{Creds: credentials.NewStaticV4(bucketAccess, bucketSecret, ""), Region: bucketRegion})
	if err == nil {
		err = client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: bucketRegion})
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	for name, value := range map[string]string{"AIRLOCK_S3_ENDPOINT": "http://" + addr, "AWS_ACCESS_KEY_ID": bucketAccess,
		"AWS_SECRET_ACCESS_KEY": bucketSecret, "AWS_REGION": bucketRegion} {
		if err := os.Setenv(name, value); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	return s, nil
}

// siteOnS3 makes a site in a folder whose store is a bucket of a new versitygw. Stop it.
func (b *bench) siteOnS3(ctx context.Context, dir string) (*site, *peers.Server, error) {
	store, err := startS3(ctx, filepath.Join(dir, "s3"))
	if err != nil {
		return nil, nil, err
	}
	s, err := newSiteOn(ctx, b.airlock, filepath.Join(dir, "site"), "s3://"+bucket+"/store")
	if err != nil {
		return nil, nil, errors.Join(err, store.Stop())
	}
	return s, store, nil
}

// fleet is a site whose store several servers keep.
type fleet struct {
	*site
	servers []*peers.Server
}

// startFleet starts n servers of the site's store. The first has the home "op",
// the others homes of their own with the same log key.
func (s *site) startFleet(ctx context.Context, n int) (*fleet, error) {
	f := &fleet{site: s}
	for i := range n {
		home := "op"
		if i > 0 {
			home = "op-" + string(rune('a'+i))
			if err := s.copyOperator(home); err != nil {
				return nil, errors.Join(err, f.stop())
			}
		}
		server, err := s.serveAs(ctx, home)
		if err != nil {
			return nil, errors.Join(err, f.stop())
		}
		f.servers = append(f.servers, server)
		if err := awaitReady(ctx, server.Addr); err != nil {
			return nil, errors.Join(err, f.stop())
		}
	}
	return f, nil
}

// addrs are where the servers listen.
func (f *fleet) addrs() []string {
	var out []string
	for _, s := range f.servers {
		out = append(out, s.Addr)
	}
	return out
}

// awaitReady waits until a server has opened its store.
func awaitReady(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("server at %s is not ready: %w", addr, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// copyOperator makes a home that holds what a further server needs: the log key.
func (s *site) copyOperator(home string) error {
	if err := os.MkdirAll(s.path(home, "keys"), 0o700); err != nil {
		return err
	}
	key, err := os.ReadFile(s.path("op", "keys", "log.key"))
	if err != nil {
		return err
	}
	return os.WriteFile(s.path(home, "keys", "log.key"), key, 0o600)
}

func (f *fleet) stop() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.Stop())
	}
	return errors.Join(errs...)
}

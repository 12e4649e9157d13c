package storage

import (
	"context"
	"strings"
)

const s3Scheme = "s3://"

// Open opens the store that people name by a folder's path or as
// "s3://bucket/prefix"; see OpenDir, OpenS3 and S3FromEnv.
func Open(ctx context.Context, spec string, getenv func(string) string) (*Store, error) {
	if !strings.HasPrefix(spec, s3Scheme) {
		return OpenDir(ctx, spec)
	}
	cfg, err := S3FromEnv(spec, getenv)
	if err != nil {
		return nil, err
	}
	return OpenS3(ctx, cfg)
}

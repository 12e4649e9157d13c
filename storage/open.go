package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

const s3Scheme = "s3://"

// ErrNoStore reports a folder or prefix in which there is nothing, where a
// store was to be opened and not made.
var ErrNoStore = errors.New("there is no store")

// Open opens the store that people name by a folder's path or as
// "s3://bucket/prefix"; see OpenDir, OpenS3 and S3FromEnv.
func Open(ctx context.Context, spec string, getenv func(string) string) (*Store, error) {
	return open(ctx, spec, getenv, opening{format: Format})
}

// OpenExisting is Open for who must not make a store by a mistyped name: where
// there is nothing it makes nothing, and gives ErrNoStore.
func OpenExisting(ctx context.Context, spec string, getenv func(string) string) (*Store, error) {
	return open(ctx, spec, getenv, opening{format: Format, existing: true})
}

// opening says what a store is opened for.
type opening struct {
	format   string // that the marker must show
	existing bool   // a store is opened where there is one, and not made
}

// CheckName checks how people name a store. What has another scheme, or that of a
// bucket in part, is no folder: as one it would be made.
func CheckName(spec string) error {
	bucket := strings.HasPrefix(strings.ToLower(spec), "s3:")
	if (bucket || strings.Contains(spec, "://")) && !strings.HasPrefix(spec, s3Scheme) {
		return &SettingError{fmt.Sprintf("store %.200q is neither a folder nor s3://bucket/prefix", spec),
			"name a folder or s3://bucket/prefix; a server is https://HOST:PORT, or http://127.0.0.1:PORT on this machine"}
	}
	return nil
}

func open(ctx context.Context, spec string, getenv func(string) string, o opening) (*Store, error) {
	if err := CheckName(spec); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(spec, s3Scheme) {
		return openDir(ctx, spec, o)
	}
	cfg, err := S3FromEnv(spec, getenv)
	if err != nil {
		return nil, err
	}
	return openS3(ctx, cfg, o)
}

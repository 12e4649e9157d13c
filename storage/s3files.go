package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
)

// s3Attempts is how often a conditional write is tried whose answer was lost.
const s3Attempts = 4

// s3Files keeps each file as an object of the bucket under files/.
type s3Files struct{ store *s3Store }

var _ Files = (*s3Files)(nil)

func (f *s3Files) Get(ctx context.Context, key string) ([]byte, error) {
	if err := firstErr(ctx.Err(), CheckKey(key)); err != nil {
		return nil, err
	}
	value, _, err := f.store.get(ctx, filesPrefix+key, MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFile(key)
	}
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", key, err)
	}
	return value, nil
}

func (f *s3Files) Create(ctx context.Context, key string, value []byte) error {
	if err := firstErr(ctx.Err(), checkValue(key, value)); err != nil {
		return err
	}
	if err := f.store.create(ctx, filesPrefix+key, value); err != nil {
		return fmt.Errorf("file %q: %w", key, err)
	}
	return nil
}

func (f *s3Files) remove(ctx context.Context, key string) error {
	return f.store.remove(ctx, filesPrefix+key)
}

// create stores value unless key holds other bytes (ErrExists). After a lost
// answer it looks: the same bytes are success, whoever wrote them.
func (s *s3Store) create(ctx context.Context, key string, value []byte) error {
	if s.alone {
		release, err := s.writers.lock(ctx, key)
		if err != nil {
			return err
		}
		defer release()
		if held, _, err := s.get(ctx, key, MaxFile); !errors.Is(err, fs.ErrNotExist) {
			return firstErr(err, sameFile(key, held, value))
		}
	}
	for attempt := 1; ; attempt++ {
		_, err := s.put(ctx, key, value, ifAbsent)
		if err == nil {
			return nil
		}
		if !isConflict(err) && !isUnclear(err) {
			return s3Error(err)
		}
		held, _, readErr := s.get(ctx, key, MaxFile)
		switch {
		case readErr == nil:
			return sameFile(key, held, value)
		case !errors.Is(readErr, fs.ErrNotExist):
			return errors.Join(err, readErr)
		case attempt == s3Attempts || !pause(ctx, attempt):
			return s3Error(err)
		}
	}
}

// List relies on the order that S3 promises for general buckets: UTF-8 bytes.
func (f *s3Files) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := firstErr(ctx.Err(), checkPrefix(prefix))
		for more := err == nil; more; {
			from := after
			err = f.store.reading(ctx, func() error {
				after, more, err = f.list(ctx, prefix, after, yield)
				return err
			})
			more = more && err != nil && after != from && isUnclear(err) // it was away in the middle of a long listing
		}
		if err != nil {
			yield("", fmt.Errorf("listing files under %q: %w", prefix, s3Error(err)))
		}
	}
}

// list yields the keys after one, and returns the last of them and whether more are
// wanted.
func (f *s3Files) list(ctx context.Context, prefix, after string, yield func(string, error) bool) (string, bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	root := f.store.prefix + filesPrefix
	options := minio.ListObjectsOptions{Prefix: root + prefix, Recursive: true}
	if after != "" {
		options.StartAfter = root + after
	}
	for object := range f.store.reader.ListObjectsIter(ctx, f.store.bucket, options) {
		if object.Err != nil {
			return after, true, object.Err
		}
		key := strings.TrimPrefix(object.Key, root)
		if key <= after || CheckKey(key) != nil {
			continue // not ours, such as the folders some tools make
		}
		if after = key; !yield(key, nil) {
			return after, false, nil
		}
	}
	return after, true, ctx.Err() // a listing that was given up ends like a whole one
}

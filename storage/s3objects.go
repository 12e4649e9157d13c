package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/minio/minio-go/v7"
)

const (
	// s3Single is the largest object, in bytes, that goes in one request, and
	// the size of the parts of larger ones.
	s3Single = 16 << 20
	// s3Buffers is how many objects over 1 MiB are sent at once. Each has a
	// buffer of s3Single bytes; others wait.
	s3Buffers = 4
)

// s3Objects keeps each object under the key that a directory has for it.
type s3Objects struct {
	store *s3Store
	space string
}

var _ Objects = (*s3Objects)(nil)

func (o *s3Objects) key(d Digest) string { return o.store.prefix + objectKey(o.space, d) }

func (o *s3Objects) Stat(ctx context.Context, d Digest) (Info, error) {
	if err := firstErr(ctx.Err(), checkSpace(o.space)); err != nil {
		return Info{}, err
	}
	var info minio.ObjectInfo
	err := o.store.reading(ctx, func() (err error) {
		info, err = o.store.reader.StatObject(ctx, o.store.bucket, o.key(d), minio.StatObjectOptions{})
		return err
	})
	if err != nil {
		return Info{}, o.fail(d, err)
	}
	return Info{Size: info.Size, Modified: info.LastModified}, nil
}

func (o *s3Objects) Get(ctx context.Context, d Digest, off int64) (io.ReadCloser, error) {
	if err := firstErr(ctx.Err(), checkSpace(o.space)); err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, checkOffset(d, off, 0)
	}
	var options minio.GetObjectOptions
	if off > 0 {
		if err := options.SetRange(off, 0); err != nil {
			return nil, err
		}
	}
	var body io.ReadCloser
	var info minio.ObjectInfo
	err := o.store.reading(ctx, func() (err error) {
		body, info, _, err = minio.Core{Client: o.store.reader}.GetObject(ctx, o.store.bucket, o.key(d), options)
		return err
	})
	if s3Status(err) == http.StatusRequestedRangeNotSatisfiable {
		return o.atEnd(ctx, d, off)
	}
	if err != nil {
		return nil, o.fail(d, err)
	}
	if off > 0 {
		return body, nil
	}
	return newChecked(body, d, info.Size), nil
}

// atEnd answers for an offset that S3 does not serve: nothing at the object's
// very end, an error past it.
func (o *s3Objects) atEnd(ctx context.Context, d Digest, off int64) (io.ReadCloser, error) {
	info, err := o.Stat(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := checkOffset(d, off, info.Size); err != nil {
		return nil, err
	}
	return http.NoBody, nil
}

// Put sends the object again where it exists: that renews its date.
func (o *s3Objects) Put(ctx context.Context, ref Ref, r io.Reader) error {
	if err := firstErr(ctx.Err(), checkSpace(o.space)); err != nil {
		return err
	}
	if ref.Size > 1<<20 {
		select {
		case o.store.large <- struct{}{}:
			defer func() { <-o.store.large }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	body := newExact(ctx, ref, r)
	var err error
	if ref.Size <= s3Single {
		err = o.putSingle(ctx, ref, body)
	} else {
		err = o.putParts(ctx, ref, body)
	}
	if err != nil {
		return fmt.Errorf("object %s of %s: %w", ref.Digest, o.space, s3Error(err))
	}
	return nil
}

// putSingle holds the object in memory, and so can send it again.
func (o *s3Objects) putSingle(ctx context.Context, ref Ref, body io.Reader) error {
	data, err := readSized(body, ref.Size)
	if err != nil {
		return err
	}
	_, err = o.store.bulk.PutObject(ctx, o.store.bucket, o.key(ref.Digest), bytes.NewReader(data), ref.Size, putOptions(ref.Digest))
	return err
}

// putParts sends one part after another, each with a CRC-32C that the store
// compares. Where the digest does not match, body fails before its last piece,
// and minio-go aborts the upload.
func (o *s3Objects) putParts(ctx context.Context, ref Ref, body *exactReader) error {
	options := minio.PutObjectOptions{DisableContentSha256: true, AutoChecksum: minio.ChecksumCRC32C}
	_, err := o.store.bulk.PutObject(ctx, o.store.bucket, o.key(ref.Digest), struct{ io.Reader }{body}, ref.Size, options)
	if body.end != nil && !errors.Is(body.end, io.EOF) {
		return body.end
	}
	return err
}

// readSized reads a body that ends after size bytes.
func readSized(body io.Reader, size int64) ([]byte, error) {
	data := bytes.NewBuffer(make([]byte, 0, max(size, 0)+bytes.MinRead))
	_, err := data.ReadFrom(body)
	return data.Bytes(), err
}

func (o *s3Objects) fail(d Digest, err error) error {
	if err := s3Error(err); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("object %s of %s: %w", d, o.space, err)
	}
	return noObject(o.space, d)
}

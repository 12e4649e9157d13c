package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Retries is how often a request that may be repeated is tried.
const s3Retries = 6

// OpenS3 opens the store in a bucket, which must exist, and makes it where
// there is nothing under the prefix. It then probes whether the bucket honours
// conditional writes, on which several servers depend; where it does not,
// Exclusive of the store says so, and Untried where that cannot be tried: then
// this process keeps its own writers apart.
func OpenS3(ctx context.Context, cfg S3Config) (*Store, error) {
	return openS3(ctx, cfg, opening{format: Format})
}

func openS3(ctx context.Context, cfg S3Config, o opening) (*Store, error) {
	s, err := newS3Store(cfg)
	if err == nil {
		s.opening = o
		err = s.open(ctx)
	}
	name := s3Scheme + cfg.Bucket + "/" + cfg.Prefix
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	store := s.ports(name)
	store.Exclusive, store.Untried = Probe(ctx, store)
	s.alone = store.Exclusive+store.Untried != ""
	return store, nil
}

// s3Store is a store in a bucket. Keys are as in a directory, and so are the
// bytes: a bucket copied to a folder is a store.
type s3Store struct {
	bulk    *minio.Client // repeats requests; for what may be repeated
	once    *minio.Client // never does: a repeated conditional write conflicts with itself
	reader  *minio.Client // never does, and waits half as long for an answer; see reading
	bucket  string
	prefix  string
	timeout time.Duration
	alone   bool          // the bucket ignores conditions, or may
	writers keyLocks      // keeps this process's writers apart where alone
	large   chan struct{} // one token for each buffer of a large object
	close   func()

	opening
}

func newS3Store(cfg S3Config) (*s3Store, error) {
	host, secure, err := cfg.check()
	if err != nil {
		return nil, err
	}
	s := &s3Store{bucket: cfg.Bucket, prefix: cfg.Prefix, timeout: cfg.Timeout, large: make(chan struct{}, s3Buffers), close: func() {}}
	reading := cfg.Transport
	if cfg.Transport == nil {
		transport, err := minio.DefaultTransport(secure)
		if err != nil {
			return nil, err
		}
		transport.MaxIdleConnsPerHost = 2 * batchWorkers
		transport.DialContext = (&net.Dialer{Timeout: cfg.Timeout / 2}).DialContext
		transport.TLSHandshakeTimeout = cfg.Timeout / 2
		transport.ReadBufferSize, transport.WriteBufferSize = pieceSize, pieceSize
		hasty := transport.Clone()
		transport.ResponseHeaderTimeout, hasty.ResponseHeaderTimeout = cfg.Timeout, cfg.Timeout/2
		cfg.Transport, reading = transport, hasty
		s.close = func() { transport.CloseIdleConnections(); hasty.CloseIdleConnections() }
	}
	options := minio.Options{
		Creds:           credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, cfg.SessionToken),
		Secure:          secure,
		Transport:       cfg.Transport,
		Region:          cfg.Region, // else each start asks for it
		TrailingHeaders: true,       // needed for checksums
		MaxRetries:      s3Retries,
	}
	if s.bulk, err = minio.New(host, &options); err != nil {
		return nil, err
	}
	options.MaxRetries = 1
	if s.once, err = minio.New(host, &options); err != nil {
		return nil, err
	}
	options.Transport = reading
	s.reader, err = minio.New(host, &options)
	return s, err
}

func (s *s3Store) ports(name string) *Store {
	return &Store{
		Name:    name,
		Objects: func(space string) Objects { return &s3Objects{store: s, space: space} },
		Files:   &s3Files{store: s},
		Cells:   &s3Cells{store: s},
		Close:   func() error { s.close(); return nil },
		raise:   s.raise,
	}
}

// open checks the marker, or makes it where there is nothing at all.
func (s *s3Store) open(ctx context.Context) error {
	err := s.checkMarker(ctx)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	options := minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true, MaxKeys: 1}
	for object := range s.bulk.ListObjectsIter(listing, s.bucket, options) {
		if object.Err != nil {
			return s3Error(object.Err)
		}
		// Another process may have made the store since we looked.
		err := s.checkMarker(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			err = &FormatError{Where: s3Scheme + s.bucket + "/" + s.prefix, Want: Format}
		}
		return err
	}
	if s.existing {
		return ErrNoStore
	}
	return s.create(ctx, formatKey, []byte(Format))
}

// checkMarker returns fs.ErrNotExist where there is no marker.
func (s *s3Store) checkMarker(ctx context.Context) error {
	marker, _, err := s.get(ctx, formatKey, 80)
	if err == nil && string(marker) != s.format {
		err = &FormatError{Where: s3Scheme + s.bucket + "/" + s.prefix, Got: string(marker), Want: s.format}
	}
	return err
}

// reading makes a request that only reads, with the client for it, and again
// where the answer was none or unclear. None begins once the timeout has passed:
// a store that hangs keeps a reader for two requests, and not for all of them.
func (s *s3Store) reading(ctx context.Context, ask func() error) error {
	end := time.Now().Add(s.timeout)
	for attempt := 1; ; attempt++ {
		err := ask()
		if err == nil || !isUnclear(err) || attempt == s3Retries || !pause(ctx, attempt) || time.Now().After(end) {
			return err
		}
	}
}

// get returns the bytes and the ETag under a key, at most limit bytes.
func (s *s3Store) get(ctx context.Context, key string, limit int64) (data []byte, etag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s3Retries*s.timeout)
	defer cancel()
	err = s.reading(ctx, func() error {
		data, etag, err = s.getOnce(ctx, key, limit)
		return err
	})
	return data, etag, s3Error(err)
}

// getOnce may lose the answer half-way, which minio-go does not repeat.
func (s *s3Store) getOnce(ctx context.Context, key string, limit int64) ([]byte, string, error) {
	body, info, _, err := minio.Core{Client: s.reader}.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	if info.Size > limit {
		return nil, "", &tooLong{size: info.Size, limit: limit}
	}
	data := make([]byte, info.Size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, "", err
	}
	return data, info.ETag, nil
}

// put writes data under a key where condition holds, once. The store compares
// the SHA-256.
func (s *s3Store) put(ctx context.Context, key string, data []byte, condition func(*minio.PutObjectOptions)) (etag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	options := putOptions(DigestOf(data))
	condition(&options)
	info, err := s.once.PutObject(ctx, s.bucket, s.prefix+key, bytes.NewReader(data), int64(len(data)), options)
	return info.ETag, err
}

func ifAbsent(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") }

func ifMatch(etag string) func(*minio.PutObjectOptions) {
	if etag == "" {
		return ifAbsent
	}
	return func(o *minio.PutObjectOptions) { o.SetMatchETag(etag) }
}

// putOptions are for one request with a body that hashes to d. Chunk signatures
// are off: with a checksum in the trailer versitygw refuses them over http.
func putOptions(d Digest) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		DisableMultipart:     true,
		DisableContentSha256: true,
		UserMetadata:         map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(d[:])},
	}
}

// remove deletes what the probe left.
func (s *s3Store) remove(ctx context.Context, key string) error {
	return s.bulk.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
}

// pause waits before the next attempt, 50 to 100 milliseconds and then twice as
// long each time, and reports whether there is still time for it.
func pause(ctx context.Context, attempt int) bool {
	base := 50 * time.Millisecond << min(attempt-1, 5)
	timer := time.NewTimer(base + rand.N(base))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

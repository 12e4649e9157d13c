package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
)

// maxCached is the largest object that a Cache keeps, in bytes.
const maxCached = 1 << 20

// Cache keeps small things from slow stores in memory, up to a number of bytes.
// It keeps what is asked for again and again even while somebody reads
// everything once (2Q), and asks the store once however many want a thing at
// the same time. No Space has more than half of it while others want the rest.
type Cache struct {
	held    *twoQueue
	large   *largeOnes
	flights flights

	hits, misses atomic.Int64
}

// CacheStats says how a Cache has done. Entries and Bytes are of now, the
// others count from its beginning.
type CacheStats struct {
	Hits, Misses   int64
	Evicted        int64
	Entries, Bytes int64
}

// cacheKey names what is cached of a Space: an object, or anything by key.
type cacheKey struct {
	space  string
	digest Digest
	key    string
}

// NewCache returns an empty cache of at most maxBytes bytes, its own records
// included.
func NewCache(maxBytes int64) *Cache {
	return &Cache{held: newTwoQueue(maxBytes), large: newLargeOnes()}
}

// Stats returns the figures for metrics.
func (c *Cache) Stats() CacheStats {
	s := c.held.stats()
	s.Hits, s.Misses = c.hits.Load(), c.misses.Load()
	return s
}

// Bytes returns what is cached for a Space under key, or else what fill returns. fill runs
// once for all who ask meanwhile, and goes on until the last of them has gone;
// what it returns with an error is not kept. Nobody may change the bytes.
func (c *Cache) Bytes(ctx context.Context, space, key string, fill func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	return c.bytes(ctx, cacheKey{space: space, key: key}, fill)
}

func (c *Cache) bytes(ctx context.Context, key cacheKey, fill func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	if value, ok := c.held.get(key); ok {
		c.hits.Add(1)
		return value, nil
	}
	c.misses.Add(1)
	return c.flights.do(ctx, key, func(ctx context.Context) ([]byte, error) {
		if value, ok := c.held.get(key); ok {
			return value, nil // another flight landed since we looked
		}
		value, err := fill(ctx)
		if err == nil {
			c.held.add(key, value)
		}
		return value, err
	})
}

// Forget drops an object of a Space, after it was deleted from the store.
func (c *Cache) Forget(space string, d Digest) { c.held.remove(cacheKey{space: space, digest: d}) }

// Object returns an object of a Space, which is read from o where it is not cached:
// ErrLarge where it is larger than what a cache keeps, 1 MiB. Nobody may change the
// bytes.
func (c *Cache) Object(ctx context.Context, space string, o Objects, d Digest) ([]byte, error) {
	key := cacheKey{space: space, digest: d}
	if c.large.has(key) {
		return nil, ErrLarge
	}
	value, err := c.bytes(ctx, key, func(ctx context.Context) ([]byte, error) { return fetch(ctx, o, d) })
	if errors.Is(err, ErrLarge) {
		c.large.add(key)
	}
	return value, err
}

// ErrLarge says that an object is not for a cache.
var ErrLarge = errors.New("larger than what is cached")

// fetch reads a whole object; it has been checked when the end comes.
func fetch(ctx context.Context, o Objects, d Digest) ([]byte, error) {
	body, err := o.Get(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if sized, ok := body.(interface{ Size() int64 }); ok && sized.Size() > maxCached {
		return nil, ErrLarge
	}
	value, err := io.ReadAll(io.LimitReader(body, maxCached+1))
	if err == nil && len(value) > maxCached {
		err = ErrLarge
	}
	return value, err
}

// Objects returns o, the objects of one Space, behind the cache. Objects up to
// 1 MiB are kept once they were read whole and checked, or put.
func (c *Cache) Objects(space string, o Objects) Objects {
	return &cachedObjects{cache: c, space: space, Objects: o}
}

type cachedObjects struct {
	Objects
	cache *Cache
	space string
}

var _ Batcher = (*cachedObjects)(nil)

func (o *cachedObjects) Get(ctx context.Context, d Digest, off int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if off != 0 {
		value, ok := o.cache.held.get(cacheKey{space: o.space, digest: d})
		if !ok {
			return o.Objects.Get(ctx, d, off)
		}
		return serve(d, value, off)
	}
	value, err := o.cache.Object(ctx, o.space, o.Objects, d)
	if errors.Is(err, ErrLarge) {
		return o.Objects.Get(ctx, d, 0)
	}
	if err != nil {
		return nil, err
	}
	return serve(d, value, 0)
}

func (o *cachedObjects) Put(ctx context.Context, ref Ref, r io.Reader) error {
	if ref.Size > maxCached {
		return o.Objects.Put(ctx, ref, r)
	}
	value, err := readSized(newExact(ctx, ref, r), ref.Size)
	if err != nil {
		return err
	}
	if err := o.Objects.Put(ctx, ref, bytes.NewReader(value)); err != nil {
		return err
	}
	o.cache.held.add(cacheKey{space: o.space, digest: ref.Digest}, value)
	return nil
}

func (o *cachedObjects) PutBatch(ctx context.Context, items []Item) error {
	return PutAll(ctx, o.Objects, items)
}

// cachedBody reads from memory; Size is that of the whole object.
type cachedBody struct{ *bytes.Reader }

func (cachedBody) Close() error { return nil }

func serve(d Digest, value []byte, off int64) (io.ReadCloser, error) {
	if err := checkOffset(d, off, int64(len(value))); err != nil {
		return nil, err
	}
	body := cachedBody{bytes.NewReader(value)}
	_, err := body.Seek(off, io.SeekStart)
	return body, err
}

package feedhttp

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/singleflight"

	"airlock/feed"
)

const (
	maxCompressed = 64 << 20 // bytes of compressed parts kept
	// packTime is how long a compressed pack is kept: packs may be purged.
	packTime = time.Minute
	// maxWindow is the largest window that content coding zstd may use
	// (RFC 9659).
	maxWindow = 8 << 20
)

// compressor keeps segments and packs in content coding zstd.
type compressor struct {
	encoder *zstd.Encoder
	flight  singleflight.Group
	now     func() time.Time

	mu    sync.Mutex // guards what follows
	parts *simplelru.LRU[partKey, compressedPart]
	bytes int
}

// partKey names a part of one epoch's log.
type partKey struct {
	origin string
	part   Part
}

type compressedPart struct {
	bytes []byte
	made  time.Time
}

func newCompressor(now func() time.Time) (*compressor, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(4<<20))
	if err != nil {
		return nil, err
	}
	z := &compressor{encoder: encoder, now: now}
	z.parts, err = simplelru.NewLRU(1<<16, func(_ partKey, p compressedPart) { z.bytes -= len(p.bytes) })
	return z, err
}

// get returns a part compressed; raw is asked for its bytes where it is not
// kept, once for all who wait for the same part.
func (z *compressor) get(key partKey, raw func() ([]byte, error)) ([]byte, error) {
	if b, ok := z.find(key); ok {
		return b, nil
	}
	v, err, _ := z.flight.Do(key.origin+"/"+key.part.path(), func() (any, error) {
		b, err := raw()
		if err != nil {
			return nil, err
		}
		out := z.encoder.EncodeAll(b, make([]byte, 0, len(b)/2))
		z.keep(key, out)
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	return v.([]byte), nil
}

func (z *compressor) find(key partKey) ([]byte, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	p, ok := z.parts.Get(key)
	if !ok || key.part.Kind == Pack && z.now().Sub(p.made) > packTime {
		return nil, false
	}
	return p.bytes, true
}

func (z *compressor) keep(key partKey, b []byte) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.parts.Remove(key)
	z.parts.Add(key, compressedPart{b, z.now()})
	for z.bytes += len(b); z.bytes > maxCompressed; {
		z.parts.RemoveOldest()
	}
}

// newDecoder returns a decoder for what a server sends. It refuses to make
// more of an answer than the largest part there is.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderMaxMemory(max(feed.MaxPack, feed.MaxSegment)),
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecodeAllCapLimit(false),
		zstd.WithDecoderConcurrency(0))
}

package feedhttp

import (
	"cmp"
	"time"

	"airlock/feed"
)

// Bounds that both ends know.
const (
	// MaxBatch bounds the body of a batch, in bytes.
	MaxBatch = 64 << 20
	// MaxInline bounds an object inside a batch, in bytes.
	MaxInline = 1 << 20
	// MaxHeads bounds the feeds that one request asks the heads of.
	MaxHeads = 16384
	// MaxStatements bounds the statements of a batch.
	MaxStatements = 1024
	// maxMissing bounds the objects that one answer lists as missing; the rest
	// is asked for next time.
	maxMissing = 16384
)

// Limits bounds what a client may send and hold. A zero field means its
// default. Of what is bounded for all, no Space gets more than was left free: where
// it is alone, half of it.
type Limits struct {
	HeaderBytes int           // of request line and header together; 16 KiB
	URLBytes    int           // 1 KiB
	BatchBytes  int64         // of one batch; MaxBatch
	UploadBytes int64         // of one upload; feed.MaxPayload
	BatchMemory int64         // of all bodies held at once; 256 MiB
	Appends     int           // batches at once, those that are still coming too; 512
	Uploads     int           // uploads at once; 128
	Waiters     int           // long polls at once; 16384
	Waited      int           // feeds that all long polls wait for; 262144
	Requests    int           // answered at once, but for long polls and uploads; 256
	Line        int           // requests of a Space that wait for that; 8192
	Lines       int           // of all that wait for it; 16384
	MaxWait     time.Duration // of a long poll; 55 s
	HeaderTime  time.Duration // for a request's header to arrive; 10 s
	IdleTime    time.Duration // of a connection between requests; 2 min
	// Grace is how long a body may take for its first Pace bytes, and again
	// for each further Pace bytes, in either direction; 20 s.
	Grace time.Duration
	Pace  int64 // bytes; 256 KiB
}

func (l Limits) withDefaults() Limits {
	l.HeaderBytes = cmp.Or(l.HeaderBytes, 16<<10)
	l.URLBytes = cmp.Or(l.URLBytes, 1<<10)
	l.BatchBytes = cmp.Or(l.BatchBytes, MaxBatch)
	l.UploadBytes = cmp.Or(l.UploadBytes, feed.MaxPayload)
	l.BatchMemory = cmp.Or(l.BatchMemory, 256<<20)
	l.Appends = cmp.Or(l.Appends, 512)
	l.Uploads = cmp.Or(l.Uploads, 128)
	l.Waiters = cmp.Or(l.Waiters, 16384)
	l.Waited = cmp.Or(l.Waited, 1<<18)
	l.Requests = cmp.Or(l.Requests, 256)
	l.Line = cmp.Or(l.Line, 8192)
	l.Lines = cmp.Or(l.Lines, 16384)
	l.MaxWait = cmp.Or(l.MaxWait, 55*time.Second)
	l.HeaderTime = cmp.Or(l.HeaderTime, 10*time.Second)
	l.IdleTime = cmp.Or(l.IdleTime, 2*time.Minute)
	l.Grace = cmp.Or(l.Grace, 20*time.Second)
	l.Pace = cmp.Or(l.Pace, 256<<10)
	return l
}

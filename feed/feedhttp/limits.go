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

// Limits bounds what a client may send and hold. A zero field means its default.
// Of what is bounded for all, no Space gets more than was left free: where it is
// alone, half of it. Fields of type int64 are bytes. The tag about says what a field bounds, also to
// operators; restart marks what SetLimits leaves as it is.
type Limits struct {
	HeaderBytes int64 `restart:"true" about:"a request's line and header together"`
	URLBytes    int64 `about:"a request's path and query"`
	BatchBytes  int64 `about:"one batch"`
	UploadBytes int64 `about:"one upload"`
	BatchMemory int64 `about:"the bodies that are held in memory at once, of all Spaces"`

	Appends  int `about:"batches at once, those that are still coming too"`
	Uploads  int `about:"uploads at once"`
	Waiters  int `about:"long polls at once"`
	Waited   int `about:"feeds that all long polls together wait for"`
	Requests int `about:"requests that are answered at once, but for long polls and uploads"`
	Line     int `about:"requests of one Space that wait for that"`
	Lines    int `about:"requests of all Spaces that wait for that"`

	MaxWait    time.Duration `about:"how long a long poll lasts"`
	HeaderTime time.Duration `restart:"true" about:"how long a request's header may take to arrive"`
	IdleTime   time.Duration `restart:"true" about:"how long a connection may rest between two requests"`
	Grace      time.Duration `about:"how long a body may take for its first pace bytes, and again for each further pace bytes, in either direction"`
	Pace       int64         `about:"how many bytes of a body have to pass within grace"`
}

// DefaultLimits returns what zero fields mean.
func DefaultLimits() Limits {
	return Limits{HeaderBytes: 16 << 10, URLBytes: 1 << 10, BatchBytes: MaxBatch, UploadBytes: feed.MaxPayload, BatchMemory: 256 << 20,
		Appends: 512, Uploads: 128, Waiters: 16384, Waited: 1 << 18, Requests: 256, Line: 8192, Lines: 16384,
		MaxWait: 55 * time.Second, HeaderTime: 10 * time.Second, IdleTime: 2 * time.Minute, Grace: 20 * time.Second, Pace: 256 << 10}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l.HeaderBytes = cmp.Or(l.HeaderBytes, d.HeaderBytes)
	l.URLBytes = cmp.Or(l.URLBytes, d.URLBytes)
	l.BatchBytes = cmp.Or(l.BatchBytes, d.BatchBytes)
	l.UploadBytes = cmp.Or(l.UploadBytes, d.UploadBytes)
	l.BatchMemory = cmp.Or(l.BatchMemory, d.BatchMemory)
	l.Appends = cmp.Or(l.Appends, d.Appends)
	l.Uploads = cmp.Or(l.Uploads, d.Uploads)
	l.Waiters = cmp.Or(l.Waiters, d.Waiters)
	l.Waited = cmp.Or(l.Waited, d.Waited)
	l.Requests = cmp.Or(l.Requests, d.Requests)
	l.Line = cmp.Or(l.Line, d.Line)
	l.Lines = cmp.Or(l.Lines, d.Lines)
	l.MaxWait = cmp.Or(l.MaxWait, d.MaxWait)
	l.HeaderTime = cmp.Or(l.HeaderTime, d.HeaderTime)
	l.IdleTime = cmp.Or(l.IdleTime, d.IdleTime)
	l.Grace = cmp.Or(l.Grace, d.Grace)
	l.Pace = cmp.Or(l.Pace, d.Pace)
	return l
}

// SetLimits puts other limits in the place of those that a handler has, for what
// comes from then on: what runs goes on by those with which it began. HeaderBytes,
// HeaderTime and IdleTime stay what they were when Server was called.
func (h *Handler) SetLimits(l Limits) {
	l = l.withDefaults()
	h.bounds.Store(&l)
	h.appends.setMax(int64(l.Appends))
	h.uploads.setMax(int64(l.Uploads))
	h.waiters.setMax(int64(l.Waiters))
	h.waited.setMax(int64(l.Waited))
	h.memory.setMax(l.BatchMemory)
	h.work.SetLimits(l.Requests, l.Line, l.Lines)
}

func (h *Handler) limits() *Limits { return h.bounds.Load() }

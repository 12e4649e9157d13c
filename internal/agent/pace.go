package agent

import (
	"context"
	"io"
	"sync"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// Pace limits how fast bytes come, over all that it is given to. It never holds
// back what is within a second's worth.
type Pace struct {
	rate int64 // bytes a second

	mu   sync.Mutex
	paid time.Time // up to when what came is paid for
}

// NewPace returns a limit of some bytes a second, more than none.
func NewPace(rate int64) *Pace { return &Pace{rate: rate} }

// Spend waits until n bytes more are within the rate, or ctx ends.
func (p *Pace) Spend(ctx context.Context, n int64) error {
	timer := time.NewTimer(p.debt(n))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pace) debt(n int64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if burst := now.Add(-time.Second); p.paid.Before(burst) {
		p.paid = burst
	}
	p.paid = p.paid.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return p.paid.Sub(now)
}

// Contents is what of a source is slowed down: all but statements.
type Contents interface {
	feed.Packs
	Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error)
}

// Paced is a source whose contents come no faster than they may.
type Paced struct {
	From Contents
	Pace *Pace
}

var _ Contents = Paced{}

// Pack is that of the source, once it may come.
func (s Paced) Pack(ctx context.Context, id feed.ID, from, to int64) (*feed.Pack, error) {
	pack, err := s.From.Pack(ctx, id, from, to)
	if err == nil {
		err = s.Pace.Spend(ctx, int64(len(pack.Format())))
	}
	return pack, err
}

// Object is that of the source, read no faster than it may.
func (s Paced) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, err := s.From.Object(ctx, id, d, off)
	if err != nil {
		return nil, err
	}
	return &pacedReader{r, min(s.Pace.rate, maxRead), func(n int) error { return s.Pace.Spend(ctx, int64(n)) }}, nil
}

// maxRead bounds one read, in bytes, so that what is slow comes evenly.
const maxRead = 32 << 10

type pacedReader struct {
	io.ReadCloser
	most  int64
	spend func(n int) error
}

func (r *pacedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.most)])
	if waiting := r.spend(n); waiting != nil && err == nil {
		err = waiting
	}
	return n, err
}

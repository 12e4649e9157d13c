package feedhttp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"time"

	"airlock/storage"
)

// Retry bounds how a client asks again: after a random time up to First,
// doubling up to Max each time (full jitter), or after what the server says in
// Retry-After, up to Max too. A zero field means its default.
type Retry struct {
	Attempts int           // in all; 6
	First    time.Duration // 200 ms
	Max      time.Duration // 10 s
	Total    time.Duration // no attempt begins after it; 2 min
}

// awayTotal is Total where the store of the servers does not answer: they have
// waited for it themselves, and who runs them has to look.
const awayTotal = 15 * time.Second

func (r Retry) withDefaults() Retry {
	r.Attempts = cmp.Or(r.Attempts, 6)
	r.First = cmp.Or(r.First, 200*time.Millisecond)
	r.Max = cmp.Or(r.Max, 10*time.Second)
	r.Total = cmp.Or(r.Total, 2*time.Minute)
	return r
}

// do calls try until it succeeds, fails for good, or the bounds are reached. It
// does not wait before the first others of the attempts after the first, which
// are made elsewhere. Everything that is tried must be harmless when it is done
// twice.
func (r Retry) do(ctx context.Context, others int, try func() error) error {
	begun := time.Now()
	end := begun.Add(r.Total)
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || ctx.Err() != nil || !mayHelp(err) || attempt >= r.Attempts {
			return orCancelled(ctx, err)
		}
		if attempt <= others {
			continue
		}
		if errors.Is(err, storage.ErrAway) {
			end = begun.Add(min(r.Total, awayTotal))
		}
		pause := r.pause(attempt-others, err)
		if time.Now().Add(pause).After(end) {
			return err
		}
		if !sleep(ctx, pause) {
			return orCancelled(ctx, err)
		}
	}
}

// pause returns how long to wait after an attempt.
func (r Retry) pause(attempt int, err error) time.Duration {
	limit := min(r.First<<min(attempt-1, 20), r.Max)
	pause := rand.N(limit + 1)
	if p, ok := errors.AsType[*ProblemError](err); ok && p.After > 0 {
		// All who were told the same must not come back at the same moment.
		pause = min(p.After, r.Max) + pause/4
	}
	return pause
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// orCancelled returns the context's own error where it has ended.
func orCancelled(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// mayHelp reports whether doing the same again may end otherwise.
func mayHelp(err error) bool {
	if p, ok := errors.AsType[*ProblemError](err); ok {
		return p.again
	}
	if _, ok := errors.AsType[*localError](err); ok || errors.Is(err, errRedirect) {
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*PinError](err); ok {
		return false
	}
	if errors.Is(err, errStalled) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	_, ok := errors.AsType[*url.Error](err)
	return ok
}

// retryAfter reads the seconds of a Retry-After field; dates are not used.
func retryAfter(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 24*3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// localError is a failure of what is to be sent, not of the way.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// localBody marks failures of reading what is to be sent.
type localBody struct{ io.ReadCloser }

func (b localBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &localError{err}
	}
	return n, err
}

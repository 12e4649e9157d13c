package feedhttp

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// pacedBody reads a request's body and gives the client Grace for each Pace
// bytes: a slow client loses its connection, a large body takes the time that
// it needs.
type pacedBody struct {
	body    io.Reader
	control *http.ResponseController
	grace   time.Duration
	pace    int64
	due     int64 // bytes until the next extension
	read    int64 // bytes so far
	max     int64 // allowed
	what    string
	ended   bool // nothing more comes, or not in time
	stopped atomic.Bool
}

// paced returns the body of a request, of which at most max bytes are read.
func (h *Handler) paced(c *call, what string, max int64) (*pacedBody, error) {
	if c.r.ContentLength > max {
		return nil, &LimitError{what, max}
	}
	b := &pacedBody{body: c.r.Body, control: http.NewResponseController(c.w), grace: h.limits().Grace,
		pace: h.limits().Pace, max: max, what: what}
	c.body = b
	return b, b.extend()
}

// lingerTime is for how long a client that was answered may go on sending.
const lingerTime = 2 * time.Second

// linger reads on, for nothing, from a client that was answered before it had sent
// all, until it has read the answer and leaves. Where it still sends, a connection that
// is closed is reset, and the client may lose the answer with it.
func (h *Handler) linger(c *call) {
	if c.body == nil || c.body.ended || c.body.read == 0 {
		return
	}
	if c.body.control.Flush() != nil || c.body.control.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, c.body.body)
}

func (b *pacedBody) extend() error {
	b.due = b.pace
	if err := ignoreUnsupported(b.control.SetReadDeadline(time.Now().Add(b.grace))); err != nil {
		return err
	}
	if b.stopped.Load() {
		b.stop() // it came in between
	}
	return nil
}

// stop makes a Read that waits, and all later ones, fail. It may be called
// from elsewhere while the request is handled.
func (b *pacedBody) stop() {
	b.stopped.Store(true)
	// Where there are no deadlines the Read under way ends with its client.
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
}

// ignoreUnsupported lets connections without deadlines pass: those of tests
// and of programs that call the handler in process.
func ignoreUnsupported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

func (b *pacedBody) Read(p []byte) (int, error) {
	// One byte more than allowed, to tell a body that ends there from one that
	// goes on.
	if left := b.max - b.read + 1; int64(len(p)) > left {
		p = p[:left]
	}
	n, err := b.body.Read(p)
	b.ended = err != nil
	b.read += int64(n)
	b.due -= int64(n)
	switch {
	case b.stopped.Load():
		return n, errSuperseded
	case b.read > b.max:
		return 0, &LimitError{b.what, b.max}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fmt.Errorf("%w: %d bytes arrived", ErrSlow, b.read)
	case errors.Is(err, io.EOF):
		// The server goes on reading to see whether the client leaves; that
		// must not end by our deadline.
		if clearErr := ignoreUnsupported(b.control.SetReadDeadline(time.Time{})); clearErr != nil {
			return n, clearErr
		}
	case err == nil && b.due <= 0:
		err = b.extend()
	}
	return n, err
}

// readAll reads a body of at most limit bytes into memory. The memory of all
// bodies is bounded; release gives this one's back.
func (h *Handler) readAll(c *call, what string, limit int64) (body []byte, release func(), err error) {
	var held int64
	who := c.sharer()
	release = func() { h.memory.leave(who, held) }
	hold := func(n int64) error {
		err := h.memory.take(who, n)
		if err == nil {
			held += n
		}
		return err
	}
	r, err := h.paced(c, what, limit)
	if err != nil {
		return nil, release, err
	}
	// What is announced is not taken on trust: memory grows with what arrives.
	body = make([]byte, 0, min(max(c.r.ContentLength+1, 4<<10), 1<<20))
	if err := hold(int64(cap(body))); err != nil {
		return nil, release, err
	}
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, release, nil
		}
		if err != nil {
			return nil, release, err
		}
		if len(body) == cap(body) {
			grown := min(2*int64(cap(body)), limit+1)
			if err := hold(grown - int64(cap(body))); err != nil {
				return nil, release, err
			}
			body = append(make([]byte, 0, grown), body...)
		}
	}
}

// checkMediaType refuses a body in another form than one of those wanted.
func checkMediaType(r *http.Request, want ...string) error {
	given := r.Header.Get("Content-Type")
	got, _, err := mime.ParseMediaType(given)
	if err == nil {
		for _, w := range want {
			if got == w {
				return nil
			}
		}
	}
	return &MediaTypeError{clean(given), want[0]}
}

// dropBody bounds what the server still reads of a body that nobody wants.
func (h *Handler) dropBody(c *call) {
	err := http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(h.limits().Grace))
	if ignoreUnsupported(err) != nil {
		h.logger.Debug("no read deadline", "request", c.caller.Request, "error", err)
	}
}

package feedhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"airlock/feed"
	"airlock/storage"
)

// Object returns the bytes of an object from an offset on, not checked. A
// connection that breaks is taken up again where it broke; the object cannot
// have become another, since it is asked for by its digest.
func (c *Client) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r := &objectReader{client: c, ctx: ctx, path: feedPath(id) + "/object/" + d.Hex(), query: c.helps.of(d).query(), tag: `"` + d.Hex() + `"`, off: off, size: -1}
	if off < 0 {
		return nil, fmt.Errorf("object %s: %w", d, storage.ErrRange)
	}
	if err := c.attempt(ctx, r.open); err != nil {
		return nil, fmt.Errorf("object %s: %w", d, err)
	}
	return r, nil
}

// Chunks returns how a payload is cut, not checked.
func (c *Client) Chunks(ctx context.Context, id feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	got, err := c.fetch(ctx, request{method: http.MethodGet, path: feedPath(id) + "/chunks/" + d.Hex(), limit: storage.MaxChunkIndex})
	if err != nil {
		return nil, err
	}
	x, err := storage.ParseChunkIndex(got.body)
	if err != nil {
		return nil, c.named(fmt.Errorf("object %s: %w: %w", d, feed.ErrMalformed, err))
	}
	if !x.Plain() {
		c.helps.add(x.Frames.Digest, Of{Payload: d})
	}
	return x, nil
}

// Delta returns the delta between two payloads, not checked.
func (c *Client) Delta(ctx context.Context, id feed.ID, base, target storage.Digest) (storage.Ref, error) {
	got, err := c.fetch(ctx, request{method: http.MethodGet, path: feedPath(id) + "/delta/" + base.Hex() + "/" + target.Hex(), limit: storage.MaxPointer})
	if err != nil {
		return storage.Ref{}, err
	}
	p, err := storage.ParsePointer(storage.ToDelta, got.body)
	if err != nil {
		return storage.Ref{}, c.named(fmt.Errorf("delta from %s to %s: %w: %w", base, target, feed.ErrMalformed, err))
	}
	c.helps.add(p.To.Digest, Of{Payload: target, Base: base})
	return p.To, nil
}

// helps remembers of objects which payload they help to read: a server that
// keeps feeds apart wants to know it.
type helps struct {
	mu sync.Mutex
	by map[storage.Digest]Of
}

// maxHelps bounds the objects that are remembered; they are asked for soon after.
const maxHelps = 1 << 12

func (h *helps) add(d storage.Digest, of Of) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil || len(h.by) >= maxHelps {
		h.by = map[storage.Digest]Of{}
	}
	h.by[d] = of
}

func (h *helps) of(d storage.Digest) Of {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.by[d]
}

// objectReader reads an object over as many connections as it takes. It keeps
// the context of the call that made it, as the body of a response does.
type objectReader struct {
	client      *Client
	ctx         context.Context
	path, query string
	tag         string
	off         int64 // of the next byte
	size        int64 // of the whole, -1 where the server has not said
	body        io.ReadCloser
	end         error // what Read returns from now on
	stuck       int   // connections in a row that brought nothing
}

// open asks for the bytes from off on.
func (r *objectReader) open() error {
	rq := request{method: http.MethodGet, path: r.path, query: r.query, header: [][2]string{{"If-Match", r.tag}}}
	if r.off > 0 {
		rq.header = append(rq.header, [2]string{"Range", "bytes=" + strconv.FormatInt(r.off, 10) + "-"})
	}
	answer, err := r.client.open(r.ctx, rq)
	if problem, ok := errors.AsType[*ProblemError](err); ok && problem.Status == http.StatusRequestedRangeNotSatisfiable {
		return r.atEnd(err)
	}
	if err != nil {
		return err
	}
	if err := r.adopt(answer); err != nil {
		answer.Body.Close()
		return err
	}
	return nil
}

// atEnd tells an offset that is the size, which has no range in HTTP, from one
// that is beyond it.
func (r *objectReader) atEnd(refused error) error {
	answer, err := r.client.open(r.ctx, request{method: http.MethodHead, path: r.path, query: r.query})
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.ContentLength != r.off {
		return refused
	}
	r.size, r.body, r.end = r.off, http.NoBody, io.EOF
	return nil
}

// adopt takes an answer's body, after looking where it begins and ends.
func (r *objectReader) adopt(answer *http.Response) error {
	if coding := answer.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return fmt.Errorf("answer in content coding %.40q, which was not asked for", coding)
	}
	size, body := answer.ContentLength, answer.Body
	if answer.StatusCode == http.StatusPartialContent {
		total, ok := parseContentRange(answer.Header.Get("Content-Range"), r.off)
		if !ok || size >= 0 && size != total-r.off {
			return fmt.Errorf("answer: Content-Range %.80q, want from byte %d to the end", answer.Header.Get("Content-Range"), r.off)
		}
		size = total
	} else if r.off > 0 {
		// Something on the way does not do ranges.
		if n, err := io.CopyN(io.Discard, body, r.off); errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the object has %d bytes", storage.ErrRange, n)
		} else if err != nil {
			return err
		}
	}
	if size > feed.MaxPayload || r.size >= 0 && size >= 0 && size != r.size {
		return fmt.Errorf("answer: the object has %d bytes, before it had %d", size, r.size)
	}
	if size >= 0 {
		r.size = size
	}
	r.body = body
	return nil
}

func (r *objectReader) Read(p []byte) (int, error) {
	for {
		if r.end != nil {
			return 0, r.end
		}
		n, err := r.body.Read(p)
		if r.off += int64(n); n > 0 {
			r.stuck = 0
		}
		switch {
		case r.off > feed.MaxPayload:
			r.end = tooMuch("object", feed.MaxPayload)
		case errors.Is(err, io.EOF) && (r.size < 0 || r.off == r.size):
			r.end = io.EOF
		case err != nil:
			r.end = r.resume(err)
		}
		if n > 0 || r.end != nil {
			return n, r.laterEnd(n)
		}
	}
}

// laterEnd lets the bytes go out first.
func (r *objectReader) laterEnd(n int) error {
	if n > 0 {
		return nil
	}
	return r.end
}

// resume takes the object up where the connection broke.
func (r *objectReader) resume(broken error) error {
	r.body.Close()
	if errors.Is(broken, io.EOF) {
		broken = io.ErrUnexpectedEOF
	}
	if r.stuck++; r.stuck >= r.client.retry.Attempts || r.ctx.Err() != nil || !mayHelp(broken) {
		return r.client.named(orCancelled(r.ctx, broken))
	}
	if r.stuck > 1 && !sleep(r.ctx, r.client.retry.pause(r.stuck, broken)) {
		return context.Cause(r.ctx)
	}
	return r.client.attempt(r.ctx, r.open)
}

func (r *objectReader) Close() error {
	if r.end == nil {
		r.end = errors.New("object: read after Close")
	}
	return r.body.Close()
}

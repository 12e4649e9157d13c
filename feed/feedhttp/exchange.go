package feedhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/zstd"
)

// request is one exchange with the server.
type request struct {
	method, path, query string
	header              [][2]string
	// body is opened for each try; length is what it gives, in bytes, or
	// unknownLength.
	body     func() (io.ReadCloser, error)
	length   int64
	limit    int64         // of the answer's body, after decoding
	patience time.Duration // beyond the client's own
}

// unknownLength is the length of a body of which it is not known.
const unknownLength = -1

// reply is an answer that was read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// fetch sends a request, again where that may help, and reads the answer.
func (c *Client) fetch(ctx context.Context, rq request) (out reply, err error) {
	err = c.attempt(ctx, func() error {
		r, err := c.open(ctx, rq)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		out = reply{status: r.StatusCode, header: r.Header}
		out.body, err = c.readAnswer(r, rq.limit)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return out, nil
}

// open sends a request. A refusal is a *ProblemError; else the body is the
// caller's to read and close. The body fails when it stalls.
//
// A certificate that the server does not take any more may have been replaced here
// meanwhile: the request is sent once again, on a new connection, which shows the
// one that is here now.
func (c *Client) open(ctx context.Context, rq request) (*http.Response, error) {
	r, err := c.exchange(ctx, rq)
	if _, ok := errors.AsType[*CertificateError](err); ok && c.server().Certificate != nil {
		return c.exchange(ctx, rq)
	}
	return r, err
}

// exchange sends a request once.
func (c *Client) exchange(ctx context.Context, rq request) (*http.Response, error) {
	ctx, guard := watch(ctx, c.patience+rq.patience)
	r, err := c.send(ctx, rq, guard)
	if err != nil {
		guard.stop()
		return nil, guard.explain(err)
	}
	r.Body = &guardedBody{body: r.Body, guard: guard, ends: true}
	if r.StatusCode >= http.StatusMultipleChoices && r.StatusCode != http.StatusNotModified {
		defer r.Body.Close()
		body, err := io.ReadAll(io.LimitReader(r.Body, maxDocument+1))
		if err != nil {
			return nil, err
		}
		problem := parseProblem(r.StatusCode, r.Header.Get("Content-Type"), body)
		problem.After = retryAfter(r.Header.Get("Retry-After"))
		return nil, problem
	}
	return r, nil
}

func (c *Client) send(ctx context.Context, rq request, guard *guard) (*http.Response, error) {
	u := *c.server().Base
	u.Path += rq.path
	u.RawQuery = rq.query
	r, err := http.NewRequestWithContext(ctx, rq.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", c.agent)
	r.Header.Set("Accept-Encoding", "identity")
	for _, f := range rq.header {
		r.Header.Set(f[0], f[1])
	}
	if rq.body != nil && rq.length != 0 {
		if err := setBody(r, rq, guard); err != nil {
			return nil, err
		}
	}
	return c.http.Do(r)
}

// bodyOf opens a body that is in memory.
func bodyOf(body []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

// setBody makes the body of a request one that can be sent again.
func setBody(r *http.Request, rq request, guard *guard) (err error) {
	r.ContentLength = rq.length
	r.GetBody = func() (io.ReadCloser, error) {
		body, err := rq.body()
		if err != nil {
			return nil, &localError{err}
		}
		return &guardedBody{body: localBody{body}, guard: guard}, nil
	}
	if rq.length > largeBody || rq.length == unknownLength {
		// A refusal shall arrive before the body is sent for nothing.
		r.Header.Set("Expect", "100-continue")
	}
	r.Body, err = r.GetBody()
	return err
}

// readAnswer reads a body up to its limit, and undoes its content coding.
func (c *Client) readAnswer(r *http.Response, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooMuch("answer", limit)
	}
	var body []byte
	if r.ContentLength >= 0 {
		body = make([]byte, 0, r.ContentLength+512)
	}
	body, err := readInto(body, io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, tooMuch("answer", limit)
	}
	switch coding := r.Header.Get("Content-Encoding"); coding {
	case "", "identity":
		return body, nil
	case "zstd":
		return c.decompress(body, limit)
	default:
		return nil, fmt.Errorf("answer in content coding %.40q, which was not asked for", coding)
	}
}

// decompress undoes zstd. An answer that would become larger than the limit is
// refused while it is decoded.
func (c *Client) decompress(body []byte, limit int64) ([]byte, error) {
	c.zstdOnce.Do(func() { c.zstd, c.zstdErr = newDecoder() })
	if c.zstdErr != nil {
		return nil, c.zstdErr
	}
	out, err := c.zstd.DecodeAll(body, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || int64(len(out)) > limit {
		return nil, tooMuch("answer, decompressed,", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("answer: zstd: %w", err)
	}
	return out, nil
}

func readInto(out []byte, r io.Reader) ([]byte, error) {
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

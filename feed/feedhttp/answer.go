package feedhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// answer is what an endpoint found. send alone writes it.
type answer struct {
	status int // 200 where it is zero
	fields [8]field
	n      int // fields in use
	// One of these, or none.
	body   []byte
	stream io.ReadCloser
	direct http.Handler
	length int64 // of stream, in bytes
}

// field is a header field. Values that are always the same are package
// variables; nobody changes them.
type field struct {
	key   string // in canonical form
	value []string
}

func (a *answer) set(key string, value []string) {
	a.fields[a.n] = field{key, value}
	a.n++
}

func (a *answer) close() {
	if a.stream != nil {
		a.stream.Close()
		a.stream = nil
	}
}

// Values of header fields.
var (
	typeOctets     = []string{"application/octet-stream"}
	typeText       = []string{"text/plain; charset=utf-8"}
	typeJSON       = []string{jsonMediaType}
	typeProblem    = []string{problemMediaType}
	noStore        = []string{"no-store"}
	noSniff        = []string{"nosniff"}
	acceptBytes    = []string{"bytes"}
	codingZstd     = []string{"zstd"}
	varyCoding     = []string{"Accept-Encoding"}
	closed         = []string{"close"}
	challenge      = []string{`Bearer realm="airlock"`}
	uploadComplete = []string{"?1"}
)

// caching holds the Cache-Control values of an answer.
type caching struct {
	forever, short, head []string
}

var (
	forAll = newCaching("public")
	forOne = newCaching("private") // a shared cache would hand it to everybody
)

func newCaching(scope string) caching {
	return caching{
		forever: []string{scope + ", max-age=31536000, immutable"},
		short:   []string{scope + ", max-age=60"},
		head:    []string{scope + ", max-age=1"},
	}
}

// caching returns the values for what this caller was given: what nobody had
// to show a credential for is for all.
func (c *call) caching() *caching {
	if c.caller.Role == Nobody {
		return &forAll
	}
	return &forOne
}

// largeBody is the size in bytes from which a body is sent in pieces, each of
// which the client must take in time.
const largeBody = 256 << 10

// send writes the answer, or the problem document for err. It returns the
// status and how many bytes of body went out, and an error that is worth
// writing down.
func (h *Handler) send(c *call, a answer, err error) (int, int64, error) {
	if err != nil {
		a.close()
		a = h.refusal(c, err)
	}
	defer a.close()
	header := c.w.Header()
	for _, f := range a.fields[:a.n] {
		header[f.key] = f.value
	}
	header["X-Request-Id"] = c.echo
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.direct != nil {
		a.direct.ServeHTTP(c.w, c.r)
		return a.status, 0, err
	}
	if c.r.Method != http.MethodGet || a.stream != nil || len(a.body) > largeBody {
		h.extendWrite(c) // the time since the request came may have been long
	}
	c.w.WriteHeader(a.status)
	if c.r.Method == http.MethodHead {
		return a.status, 0, err
	}
	sent, sendErr := h.sendBody(c, a)
	if err == nil {
		err = sendErr
	}
	return a.status, sent, err
}

func (h *Handler) sendBody(c *call, a answer) (int64, error) {
	switch {
	case a.stream != nil:
		return h.copy(c, a.stream, a.length)
	case len(a.body) > largeBody:
		return h.copy(c, bytes.NewReader(a.body), int64(len(a.body)))
	case len(a.body) > 0:
		n, _ := c.w.Write(a.body) // a client that has gone is no failure of ours
		return int64(n), nil
	}
	return 0, nil
}

// copy sends n bytes in pieces, each of which the client must take in time. It
// hands the reader itself to the ResponseWriter, so that files go out by
// sendfile.
func (h *Handler) copy(c *call, src io.Reader, n int64) (sent int64, err error) {
	for sent < n {
		k, err := io.CopyN(c.w, src, min(n-sent, h.limits().Pace))
		if sent += k; errors.Is(err, io.EOF) {
			return sent, fmt.Errorf("the store has %d of %d bytes: %w", sent, n, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return sent, err
		}
		if sent < n {
			if err := h.still(c); err != nil {
				return sent, err
			}
			h.extendWrite(c)
		}
	}
	// A store tells at the end that an object is damaged. The client finds out
	// by its own check; the operator shall hear of it too.
	var end [1]byte
	if _, err := src.Read(end[:]); damaged(err) {
		return sent, err
	}
	return sent, nil
}

// damaged reports whether the store's content is not what it should be.
func damaged(err error) bool {
	_, digest := errors.AsType[*storage.DigestError](err)
	_, size := errors.AsType[*storage.SizeError](err)
	return digest || size || errors.Is(err, io.ErrUnexpectedEOF)
}

// refusal is the problem document for an error.
func (h *Handler) refusal(c *call, err error) answer {
	r, d := describe(err, c.caller.Request)
	if r.status == http.StatusNotFound {
		// What is not for the caller and what is not there differ in nothing.
		d.Detail = c.absent()
	}
	h.metrics.refused(r.name)
	body, marshalErr := json.Marshal(d)
	if marshalErr != nil {
		body = nil // d has nothing that cannot be marshalled
	}
	a := answer{status: r.status, body: append(body, '\n')}
	a.set("Content-Type", typeProblem)
	a.set("Cache-Control", noStore)
	a.set("Content-Length", []string{strconv.Itoa(len(a.body))})
	switch r.status {
	case http.StatusUnauthorized:
		a.set("Www-Authenticate", challenge)
	case http.StatusMethodNotAllowed:
		a.set("Allow", []string{d.Want})
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		after := busyAfter
		if rate, ok := errors.AsType[*RateError](err); ok {
			after = rate.After
		}
		a.set("Retry-After", seconds(after))
	}
	if offset, ok := errors.AsType[*OffsetError](err); ok {
		a.set("Upload-Offset", []string{strconv.FormatInt(offset.Want, 10)})
	}
	if beyond, ok := errors.AsType[*rangeError](err); ok {
		a.set("Content-Range", []string{"bytes */" + strconv.FormatInt(beyond.size, 10)})
	}
	if _, ok := errors.AsType[*CertificateError](err); ok || c.r.ContentLength != 0 {
		// A certificate stays with its connection, and what is left of a body
		// would have to be read to keep it.
		a.set("Connection", closed)
	}
	if c.r.ContentLength != 0 {
		h.dropBody(c)
	}
	return a
}

// seconds writes a time for Retry-After: whole seconds, at least one.
func seconds(d time.Duration) []string {
	return []string{strconv.Itoa(int(max(d+time.Second-1, time.Second) / time.Second))}
}

// absent says what the request asked for, and nothing else.
func (c *call) absent() string {
	if c.id == (feed.ID{}) {
		return errNoRoute.Error()
	}
	return fmt.Sprintf("%s of feed %s: %v", c.route.name, c.id, fs.ErrNotExist)
}

// jsonAnswer is v as JSON, not to be cached.
func jsonAnswer(v any) (answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{}, err
	}
	a := answer{body: append(body, '\n')}
	a.set("Content-Type", typeJSON)
	a.set("Cache-Control", noStore)
	a.set("Content-Length", []string{strconv.Itoa(len(a.body))})
	return a, nil
}

package feedhttp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"airlock/storage"
)

// getObject answers with an object, or with one range of it.
func getObject(h *Handler, c *call) (answer, error) {
	d, err := storage.ParseHex(c.rest)
	if err != nil {
		return answer{}, badRequest("path: %s", err)
	}
	of, err := parseOf(c.r.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	want, partial := h.wantedRange(c)
	open := func(off int64) (Object, error) {
		return h.config.Reader.Object(c.r.Context(), c.caller, c.id, d, of, off)
	}
	o, err := open(max(want.first, 0))
	if partial && errors.Is(err, storage.ErrRange) {
		return beyond(open)
	}
	if err != nil {
		return answer{}, fromStore(err)
	}
	a := answer{stream: o.ReadCloser}
	values := objectValues(d, c.rest, o.Size)
	a.set("Etag", values[0:1:1])
	a.set("Cache-Control", c.caching().forever)
	if match := c.r.Header["If-Match"]; match != nil && !listsTag(match, values[0]) {
		a.close()
		return answer{}, fmt.Errorf("object %s: %w", d, ErrPrecondition)
	}
	if listsTag(c.r.Header["If-None-Match"], values[0]) {
		a.close()
		a.status = http.StatusNotModified
		return a, nil
	}
	a.set("Content-Type", typeOctets)
	a.set("X-Content-Type-Options", noSniff)
	a.set("Accept-Ranges", acceptBytes)
	a.set("Repr-Digest", values[1:2:2])
	if partial {
		return rangeAnswer(a, want, o, open)
	}
	a.set("Content-Length", values[2:3:3])
	a.body, a.length = o.Bytes, o.Size
	return a, nil
}

// parseOf reads the query of an object that helps to read a payload:
// "payload=<64 hex>", for a delta with "&base=<64 hex>" after it.
func parseOf(query string) (of Of, err error) {
	if query == "" {
		return of, nil
	}
	payload, base, isDelta := strings.Cut(query, "&base=")
	payload, ok := strings.CutPrefix(payload, "payload=")
	if ok {
		of.Payload, err = storage.ParseHex(payload)
	}
	if isDelta && err == nil {
		of.Base, err = storage.ParseHex(base)
	}
	if !ok || err != nil {
		return Of{}, badRequest("query %.200q: want payload=<64 hex> or payload=<64 hex>&base=<64 hex>", query)
	}
	return of, nil
}

// query is what parseOf reads.
func (of Of) query() string {
	switch {
	case of == Of{}:
		return ""
	case of.Base.IsZero():
		return "payload=" + of.Payload.Hex()
	}
	return "payload=" + of.Payload.Hex() + "&base=" + of.Base.Hex()
}

// getChunks answers with the chunk index of a payload.
func getChunks(h *Handler, c *call) (answer, error) {
	d, err := storage.ParseHex(c.rest)
	if err != nil {
		return answer{}, badRequest("path: %s", err)
	}
	b, err := h.config.Reader.Chunks(c.r.Context(), c.caller, c.id, d)
	return replaceable(c, b, err)
}

// getDelta answers with where the delta between two payloads is.
func getDelta(h *Handler, c *call) (answer, error) {
	from, to, _ := strings.Cut(c.rest, "/")
	base, err := storage.ParseHex(from)
	if err != nil {
		return answer{}, badRequest("path: base: %s", err)
	}
	target, err := storage.ParseHex(to)
	if err != nil {
		return answer{}, badRequest("path: payload: %s", err)
	}
	b, err := h.config.Reader.Delta(c.r.Context(), c.caller, c.id, base, target)
	return replaceable(c, b, err)
}

// replaceable answers with what a store may replace, or with its error.
func replaceable(c *call, b []byte, err error) (answer, error) {
	if err != nil {
		return answer{}, fromStore(err)
	}
	a := answer{body: b}
	a.set("Content-Type", typeOctets)
	a.set("Content-Length", []string{strconv.Itoa(len(b))})
	a.set("Cache-Control", c.caching().short)
	return a, nil
}

// objectValues returns an object's entity tag, Repr-Digest (RFC 9530) and
// Content-Length. They share one string, so this costs two allocations.
func objectValues(d storage.Digest, hex string, size int64) *[3]string {
	var buf [256]byte
	out := append(buf[:0], '"')
	out = append(out, hex...)
	out = append(out, '"')
	a := len(out)
	out = append(out, "sha-256=:"...)
	out = base64.StdEncoding.AppendEncode(out, d[:])
	out = append(out, ':')
	b := len(out)
	all := string(strconv.AppendInt(out, size, 10))
	return &[3]string{all[:a], all[a:b], all[b:]}
}

// wantedRange returns the range that a request asks for. If-Range with another
// tag, or with a date, asks for the whole (RFC 9110, section 13.1.5).
func (h *Handler) wantedRange(c *call) (byteRange, bool) {
	ranges := c.r.Header["Range"]
	if len(ranges) != 1 || c.r.Method != http.MethodGet {
		return byteRange{}, false
	}
	if cond := c.r.Header["If-Range"]; cond != nil && (len(cond) != 1 || cond[0] != `"`+c.rest+`"`) {
		return byteRange{}, false
	}
	return parseRange(ranges[0])
}

// rangeAnswer makes a 206 of an object that was opened at the range's offset.
func rangeAnswer(a answer, want byteRange, o Object, open func(off int64) (Object, error)) (answer, error) {
	off, n, ok := want.resolve(o.Size)
	if !ok {
		a.close()
		return answer{}, &rangeError{o.Size}
	}
	if o.Bytes != nil {
		a.body = o.Bytes[off : off+n]
	} else if want.first < 0 && off > 0 {
		// Only now is it known where the last n bytes begin.
		a.close()
		again, err := open(off)
		if err != nil {
			return answer{}, fromStore(err)
		}
		if a.stream = again.ReadCloser; again.Bytes != nil {
			a.body = again.Bytes[off : off+n]
		}
	}
	a.status, a.length = http.StatusPartialContent, n
	a.set("Content-Range", []string{contentRange(off, n, o.Size)})
	a.set("Content-Length", []string{strconv.FormatInt(n, 10)})
	return a, nil
}

// beyond answers a range that begins behind the end, for which the size must
// be told.
func beyond(open func(off int64) (Object, error)) (answer, error) {
	o, err := open(0)
	if err != nil {
		return answer{}, fromStore(err)
	}
	if o.ReadCloser != nil {
		o.Close()
	}
	return answer{}, &rangeError{o.Size}
}

// rangeError reports a range of which the object has no byte.
type rangeError struct{ size int64 }

func (e *rangeError) Error() string {
	return fmt.Sprintf("the object has %d bytes: %v", e.size, storage.ErrRange)
}

func (e *rangeError) Unwrap() error { return storage.ErrRange }

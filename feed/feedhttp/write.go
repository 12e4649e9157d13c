package feedhttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"airlock/feed"
	"airlock/storage"
)

// uploadMediaType is the media type of a part of an upload
// (draft-ietf-httpbis-resumable-upload).
const uploadMediaType = "application/partial-upload"

// postEntries commits a batch.
func postEntries(h *Handler, c *call) (answer, error) {
	return h.withBatch(c, func(b feed.Batch) (any, error) {
		accepted, err := h.config.Writer.Publish(c.r.Context(), c.caller, b)
		if err != nil {
			return nil, err
		}
		return newAcceptedDocument(accepted, len(b.Statements)), nil
	})
}

// postUploads says which objects of a batch have to be uploaded.
func postUploads(h *Handler, c *call) (answer, error) {
	return h.withBatch(c, func(b feed.Batch) (any, error) {
		var manifests [][]byte
		for _, o := range b.Objects {
			bytes, _ := Inline(o) // all objects of a parsed batch are
			manifests = append(manifests, bytes)
		}
		missing, err := h.config.Writer.Expect(c.r.Context(), c.caller, c.id, b.Statements, manifests)
		if err != nil {
			return nil, err
		}
		if missing == nil {
			missing = []storage.Ref{}
		}
		return missingList{missing[:min(len(missing), maxMissing)]}, nil
	})
}

// withBatch reads and parses a batch within the limits, and answers with what
// do makes of it.
func (h *Handler) withBatch(c *call, do func(feed.Batch) (any, error)) (answer, error) {
	if h.config.Writer == nil {
		return answer{}, errReadOnly
	}
	if err := h.config.Writer.MayAppend(c.r.Context(), c.caller, c.id); err != nil {
		return answer{}, err
	}
	return h.withBody(c, BatchMediaType, "batch", h.limits().BatchBytes, func(body []byte) (any, error) {
		batch, err := ParseBatch(body, c.id)
		if err != nil {
			return nil, err
		}
		return do(batch)
	})
}

// bodyCost is how many bytes of a body are as much work as a request.
const bodyCost = 64 << 10

// withBody reads a body of at most limit bytes into memory, within the limits for
// batches, and answers with what do makes of it.
func (h *Handler) withBody(c *call, mediaType, what string, limit int64, do func([]byte) (any, error)) (answer, error) {
	if err := checkMediaType(c.r, mediaType); err != nil {
		return answer{}, err
	}
	who := c.sharer()
	if err := h.appends.take(who, 1); err != nil {
		return answer{}, err
	}
	defer h.appends.leave(who, 1)
	body, release, err := h.readAll(c, what, limit)
	defer release()
	if err != nil {
		return answer{}, bodyError(err)
	}
	leave, err := h.work.Enter(c.r.Context(), who, 1+len(body)/bodyCost)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	v, err := do(body)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(v)
}

var errReadOnly = &ConflictError{"this server only reads"}

// bodyError makes a body that ends too early the client's fault.
func bodyError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return badRequest("the body ends before its announced length")
	}
	return err
}

// headUpload says how much of an upload has arrived.
func headUpload(h *Handler, c *call) (answer, error) {
	if h.config.Writer == nil {
		return answer{}, errReadOnly
	}
	d, err := storage.ParseHex(c.rest)
	if err != nil {
		return answer{}, badRequest("path: %s", err)
	}
	leave, err := h.turns.take(c.r.Context(), uploadKey{c.id, d}, nil)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	off, err := h.config.Writer.Offset(c.r.Context(), c.caller, c.id, d)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusNoContent}
	a.set("Upload-Offset", []string{strconv.FormatInt(off, 10)})
	a.set("Cache-Control", noStore)
	return a, nil
}

// patchUpload adds bytes to an upload. Where the request says how long the
// whole is, the answer tells when that is reached.
func patchUpload(h *Handler, c *call) (answer, error) {
	if h.config.Writer == nil {
		return answer{}, errReadOnly
	}
	d, off, length, err := parseUpload(c)
	if err != nil {
		return answer{}, err
	}
	who := c.sharer()
	if err := h.uploads.take(who, 1); err != nil {
		return answer{}, err
	}
	defer h.uploads.leave(who, 1)
	body, err := h.paced(c, "upload", h.limits().UploadBytes)
	if err != nil {
		return answer{}, err
	}
	leave, err := h.turns.take(c.r.Context(), uploadKey{c.id, d}, body.stop)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	now, err := h.config.Writer.Upload(c.r.Context(), c.caller, c.id, d, off, body)
	h.metrics.received(body.read)
	if err != nil {
		return answer{}, fmt.Errorf("upload %s: %w", d, bodyError(err))
	}
	a := answer{status: http.StatusNoContent}
	a.set("Upload-Offset", []string{strconv.FormatInt(now, 10)})
	a.set("Cache-Control", noStore)
	if now == length {
		a.status = http.StatusCreated
		a.set("Upload-Complete", uploadComplete)
		a.set("Content-Length", []string{"0"})
	}
	return a, nil
}

// parseUpload reads what an upload's request says: which object, from which
// offset on, and (-1 for unsaid) how long the object is.
func parseUpload(c *call) (d storage.Digest, off, length int64, err error) {
	if d, err = storage.ParseHex(c.rest); err != nil {
		return d, 0, 0, badRequest("path: %s", err)
	}
	if err := checkMediaType(c.r, uploadMediaType, "application/octet-stream"); err != nil {
		return d, 0, 0, err
	}
	off, ok := parseOffset(c.r.Header.Get("Upload-Offset"))
	if !ok {
		return d, 0, 0, badRequest("Upload-Offset %.40q: want the number of bytes that have arrived", c.r.Header.Get("Upload-Offset"))
	}
	length = -1
	if said := c.r.Header.Get("Upload-Length"); said != "" {
		if length, ok = parseOffset(said); !ok {
			return d, 0, 0, badRequest("Upload-Length %.40q: want a number of bytes", said)
		}
	}
	return d, off, length, nil
}

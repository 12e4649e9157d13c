package feedhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"airlock/storage"
)

// StreamMediaType is that of what a server pushes; see package bundle.
const StreamMediaType = "application/vnd.airlock.stream.v1"

const pushPath = "/v1/push"

// maxStream bounds what one request pushes, in bytes: more than any disk has.
const maxStream = 1 << 50

// inboxPatience is how long an inbox may take with what has come: it verifies all
// of it before it answers.
const inboxPatience = 15 * time.Minute

// Taken says how much of a feed an inbox has. Nothing is the zero Taken.
type Taken struct {
	Epoch uint64         `json:"epoch"`
	Root  storage.Digest `json:"root"` // of the entries
	Size  int64          `json:"size"` // entries
}

// PushAnswer is what an inbox says to a stream.
type PushAnswer struct {
	Taken
	// Receipts is a batch (see ParseBatch) for the receipts feed of the inbox's
	// Space, with what was done with what came: at most MaxPushReceipts bytes, nil
	// where nothing is to be said, or not yet.
	Receipts []byte `json:"receipts,omitempty"`
	// Behind is what the inbox has of the receipts feed of its Space, where that is
	// less than it was told. It has taken nothing of the stream then: it gives no
	// receipts before it knows which numbers it gave out.
	Behind *Taken `json:"behind,omitempty"`
}

// PushReceipts says which receipts an inbox is asked for. The zero PushReceipts asks
// for none.
type PushReceipts struct {
	// Wait is for how long the answer may wait for them, in whole seconds.
	Wait time.Duration
	// Known is how many entries the inbox has of the receipts feed of its Space,
	// unless it was put back from a backup since.
	Known int64
}

// MaxPushReceipts bounds the batch in an answer, in bytes.
const MaxPushReceipts = 4 << 20

// maxPushAnswer bounds the answer, in which the batch is in base64.
const maxPushAnswer = maxInfo + MaxPushReceipts/3*4

// Inbox takes what a server pushes. It may be used concurrently.
type Inbox interface {
	// Take takes a stream in, verified, and returns what the inbox has of its feed
	// then, durable. That may be less than the stream leads to, where it does not go
	// on from what is here, and more. Taking the same in again is harmless. Who sends
	// it the stream itself says; the caller is Nobody.
	Take(ctx context.Context, c Caller, r io.Reader, asked PushReceipts) (PushAnswer, error)
}

// inboxRoutes are the resources of a handler with an inbox.
func inboxRoutes() *routes {
	rs := &routes{unknown: &route{name: "unknown"}}
	return rs.with(
		&route{name: "push", path: pushPath, access: anyone, post: postPush},
		&route{name: "healthz", path: "/healthz", access: anyone, get: getHealth},
	)
}

func postPush(h *Handler, c *call) (answer, error) {
	if err := checkMediaType(c.r, StreamMediaType); err != nil {
		return answer{}, err
	}
	who := c.sharer()
	if err := h.uploads.take(who, 1); err != nil {
		return answer{}, err
	}
	defer h.uploads.leave(who, 1)
	body, err := h.paced(c, "stream", maxStream)
	if err != nil {
		return answer{}, err
	}
	// The answer comes when all is verified, however long that takes.
	if err := ignoreUnsupported(http.NewResponseController(c.w).SetWriteDeadline(time.Time{})); err != nil {
		return answer{}, err
	}
	got, err := h.config.Inbox.Take(c.r.Context(), c.caller, body, preferredReceipts(c.r.Header))
	h.metrics.received(body.read)
	if err != nil {
		return answer{}, bodyError(err)
	}
	return jsonAnswer(got)
}

// maxPushWait bounds the wait for receipts that a request asks for, in seconds.
const maxPushWait = 60

// What a request prefers (RFC 7240): for how long it would wait (section 4.3), and
// receipts of who knows so much, which is a preference of this API.
const (
	preferWait  = "wait"
	preferKnown = "receipts-known"
)

// preferredReceipts returns what the client asks for: none where it does not say for
// how long it would wait. Other preferences are ignored, as they are to be, and so is
// one that is said again (section 2).
func preferredReceipts(h http.Header) (asked PushReceipts) {
	said := map[string]bool{}
	for preference := range strings.SplitSeq(strings.Join(h.Values("Prefer"), ","), ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if said[name] {
			continue
		}
		said[name] = true
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil || n < 0:
		case name == preferWait:
			asked.Wait = time.Duration(min(n, maxPushWait)) * time.Second
		case name == preferKnown:
			asked.Known = n
		}
	}
	return asked
}

// Push sends a stream to an inbox, once or as the client's Retry says; open is
// called for each try. A refusal is a *ProblemError.
func (c *Client) Push(ctx context.Context, open func() (io.ReadCloser, error), asked PushReceipts) (a PushAnswer, err error) {
	header := [][2]string{{"Content-Type", StreamMediaType}}
	if asked.Wait > 0 {
		header = append(header, [2]string{"Prefer", fmt.Sprintf("%s=%d, %s=%d", preferWait, asked.Wait/time.Second, preferKnown, asked.Known)})
	}
	err = c.askJSON(ctx, request{method: http.MethodPost, path: pushPath, header: header,
		body: open, length: unknownLength, limit: maxPushAnswer, patience: inboxPatience + asked.Wait}, &a)
	if err == nil && (a.Size < 0 || a.Behind != nil && a.Behind.Size < 0) {
		err = c.named(errors.New("answer: fewer entries than none"))
	}
	return a, err
}

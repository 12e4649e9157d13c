package feedhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
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

// Inbox takes what a server pushes. It may be used concurrently.
type Inbox interface {
	// Take takes a stream in, verified, and returns what the inbox has of its feed
	// then, durable. That may be less than the stream leads to, where it does not go
	// on from what is here, and more. Taking the same in again is harmless. Who sends
	// it the stream itself says; the caller is Nobody.
	Take(ctx context.Context, c Caller, r io.Reader) (Taken, error)
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
	taken, err := h.config.Inbox.Take(c.r.Context(), c.caller, body)
	h.metrics.received(body.read)
	if err != nil {
		return answer{}, bodyError(err)
	}
	return jsonAnswer(taken)
}

// Push sends a stream to an inbox, once or as the client's Retry says; open is
// called for each try. A refusal is a *ProblemError.
func (c *Client) Push(ctx context.Context, open func() (io.ReadCloser, error)) (t Taken, err error) {
	err = c.askJSON(ctx, request{method: http.MethodPost, path: pushPath, header: [][2]string{{"Content-Type", StreamMediaType}},
		body: open, length: unknownLength, limit: maxInfo, patience: inboxPatience}, &t)
	if err == nil && t.Size < 0 {
		err = c.named(fmt.Errorf("answer: %d entries", t.Size))
	}
	return t, err
}

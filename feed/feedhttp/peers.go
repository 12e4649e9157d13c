package feedhttp

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"airlock/feed"
	"airlock/signing"
)

const (
	grownPath = "/v1/grown"
	// forwardedField marks a batch that another server passed on.
	forwardedField = "X-Airlock-Forwarded"
)

// PeerTimeout is how long a server waits for another one of its store.
const PeerTimeout = 2 * time.Second

// Peers is what other servers of the same store tell this one.
type Peers interface {
	// Grown says that feeds have at least so many entries. It is a hint: what it
	// says is read in the store before anybody is told. The caller must be a peer.
	Grown(ctx context.Context, c Caller, sizes map[feed.ID]int64) error
}

// postGrown takes the hint of another server, in the form of a request for heads
// that does not wait.
func postGrown(h *Handler, c *call) (answer, error) {
	if h.config.Peers == nil {
		return answer{}, fs.ErrNotExist
	}
	if err := checkMediaType(c.r, jsonMediaType); err != nil {
		return answer{}, err
	}
	rq, err := h.readHeadsRequest(c)
	if err != nil {
		return answer{}, err
	}
	if err := h.config.Peers.Grown(c.r.Context(), c.caller, rq.Known); err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusNoContent}
	a.set("Cache-Control", noStore)
	return a, nil
}

// Grown tells another server of the store how many entries feeds have.
func (c *Client) Grown(ctx context.Context, sizes map[feed.ID]int64) error {
	body, err := signing.MarshalCanonical(headsRequest{Known: sizes})
	if err != nil {
		return err
	}
	_, err = c.fetch(ctx, jsonRequest(grownPath, body, maxDocument))
	return err
}

// Forward passes a batch, whose objects must fit into a request, on to another
// server of the store, under the id of the request that brought it.
func (c *Client) Forward(ctx context.Context, b feed.Batch, request string) (accepted feed.Accepted, err error) {
	ctx, span, traced := c.traceForward(ctx)
	defer func() { endForward(span, err) }()
	rq := batchRequest(b, "/entries", b.Objects, maxAccepted)
	rq.header = append(append(rq.header, traced...), [2]string{forwardedField, "1"})
	if request != "" {
		rq.header = append(rq.header, [2]string{"X-Request-Id", request})
	}
	return c.sendBatch(ctx, b, rq)
}

// IsRefusal reports whether an error of a Client is the server's answer to what
// was sent, which another server of the store would give too, or should: no Space has
// its share of each. Else the server failed, or was not reached.
func IsRefusal(err error) bool {
	p, ok := errors.AsType[*ProblemError](err)
	if _, share := errors.AsType[*ShareError](err); share {
		return true
	}
	return ok && p.Name != "" && !p.again && p.Status < http.StatusInternalServerError && p.Status != http.StatusUnauthorized
}

package feedhttp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"airlock/feed"
	"airlock/signing"
)

const (
	headsPath = "/v1/heads"
	// maxHeadsBody bounds a request for heads, in bytes: MaxHeads feeds with the
	// longest names.
	maxHeadsBody = 4 << 20
	// maxHeadsAnswer bounds the heads of one answer. The others still differ
	// when the caller asks again.
	maxHeadsAnswer = 1024
	// maxWait bounds the wait that a request asks for, in seconds.
	maxWait = 3600
)

// headsRequest is the body of POST /v1/heads, in canonical JSON: the feeds that
// are asked for, 1 to MaxHeads, with the size that the caller knows of each (0
// for a feed of which it knows nothing), and how many seconds the server may wait
// for one to differ, 0 to 3600.
//
//	{"known":{"acme/dev-qa/shared":12},"wait":55}
type headsRequest struct {
	Known map[feed.ID]int64 `json:"known"`
	Wait  int64             `json:"wait"`
}

// headList is the answer: the signed notes of those feeds that are not of the
// size known, at most maxHeadsAnswer.
//
//	{"heads":{"acme/dev-qa/shared":"e1.shared.…"}}
type headList struct {
	Heads map[feed.ID]string `json:"heads"`
}

// parseHeadsRequest reads what Client.Heads sends, and nothing else.
func parseHeadsRequest(b []byte) (headsRequest, error) {
	var rq headsRequest
	if err := signing.UnmarshalCanonical(b, &rq); err != nil {
		return rq, badRequest("list of feeds: %s", err)
	}
	if len(rq.Known) < 1 || len(rq.Known) > MaxHeads || rq.Wait < 0 || rq.Wait > maxWait {
		return rq, badRequest("list of feeds: %d feeds and a wait of %d s, want 1 to %d and 0 to %d", len(rq.Known), rq.Wait, MaxHeads, maxWait)
	}
	for id, size := range rq.Known {
		if size < 0 {
			return rq, badRequest("list of feeds: %s is of size %d", id, size)
		}
	}
	return rq, nil
}

// postHeads answers with the heads that the caller does not know: at once, or,
// where it knows them all, as soon as there is one or its wait ends.
func postHeads(h *Handler, c *call) (answer, error) {
	if err := checkMediaType(c.r, jsonMediaType); err != nil {
		return answer{}, err
	}
	rq, err := h.readHeadsRequest(c)
	if err != nil {
		return answer{}, err
	}
	if rq.Wait > 0 {
		who := c.sharer()
		if err := h.waiters.take(who, 1); err != nil {
			return answer{}, err
		}
		defer h.waiters.leave(who, 1)
		if err := h.waited.take(who, int64(len(rq.Known))); err != nil {
			return answer{}, err
		}
		defer h.waited.leave(who, int64(len(rq.Known)))
	}
	heads, err := h.await(c, rq.Known, min(time.Duration(rq.Wait)*time.Second, h.limits().MaxWait))
	if err := cmp.Or(c.r.Context().Err(), err); err != nil {
		return answer{}, fromStore(err)
	}
	out := headList{make(map[feed.ID]string, len(heads))}
	for id, head := range heads {
		if len(out.Heads) < maxHeadsAnswer {
			out.Heads[id] = string(head.Note)
		}
	}
	return jsonAnswer(out)
}

// await returns the heads that differ, as soon as there is one; none after wait
// or when the server closes. Who may not have them any more hears of it at once.
func (h *Handler) await(c *call, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	defer context.AfterFunc(h.draining, cancel)()
	end := h.now().Add(wait)
	for left := wait; ; left = end.Sub(h.now()) {
		if until := c.caller.Until; !until.IsZero() {
			left = min(left, until.Sub(h.now()))
		}
		heads, err := h.config.Reader.Heads(ctx, c.caller, known, left)
		if err != nil || len(heads) > 0 || ctx.Err() != nil {
			return heads, err
		}
		select {
		case <-c.caller.Changed:
			if err := h.identify(c); err != nil {
				return nil, err
			}
		default:
			return nil, nil
		}
	}
}

func (h *Handler) readHeadsRequest(c *call) (headsRequest, error) {
	body, release, err := h.readAll(c, "list of feeds", maxHeadsBody)
	defer release()
	if err != nil {
		return headsRequest{}, bodyError(err)
	}
	return parseHeadsRequest(body)
}

// patienceOfServers is how long a long poll lasts at most.
const patienceOfServers = 55 * time.Second

// Heads returns the newest checkpoints of those feeds, 1 to MaxHeads, that are
// no longer of the size known, as soon as there is one: after wait, after 55 s
// or when ctx ends there may be none. One answer has at most 1024. A server that
// closes sends who waits to the next one.
func (c *Client) Heads(ctx context.Context, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	if len(known) < 1 || len(known) > MaxHeads {
		return nil, c.named(&LimitError{"list of feeds", MaxHeads})
	}
	wait = min(wait, patienceOfServers)
	for end := time.Now().Add(wait); ; wait = time.Until(end) {
		at := c.at.Load()
		heads, err := c.askHeads(ctx, known, wait)
		if err != nil && ctx.Err() != nil {
			return nil, nil
		}
		if err != nil || len(heads) > 0 || time.Until(end) < time.Second {
			return heads, err
		}
		c.leave(at)
		if !sleep(ctx, c.retry.pause(1, nil)) {
			return nil, nil
		}
	}
}

func (c *Client) askHeads(ctx context.Context, known map[feed.ID]int64, wait time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	body, err := signing.MarshalCanonical(headsRequest{known, int64((wait + time.Second - 1) / time.Second)})
	if err != nil {
		return nil, err
	}
	rq := jsonRequest(headsPath, body, maxDocument+int64(min(len(known), maxHeadsAnswer))*2*feed.MaxCheckpoint)
	rq.patience = wait
	got, err := c.fetch(ctx, rq)
	if err != nil {
		return nil, err
	}
	var list headList
	if err := json.Unmarshal(got.body, &list); err != nil {
		return nil, c.named(fmt.Errorf("answer: %w", err))
	}
	out := make(map[feed.ID]feed.Checkpoint, len(list.Heads))
	for id, note := range list.Heads {
		if _, asked := known[id]; !asked {
			return nil, c.named(fmt.Errorf("%w: head of feed %s, which was not asked for", feed.ErrMalformed, id))
		}
		if out[id], err = c.learn(id, []byte(note)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// jsonRequest is a request with a body in JSON.
func jsonRequest(path string, body []byte, limit int64) request {
	return request{
		method: http.MethodPost, path: path, header: [][2]string{{"Content-Type", jsonMediaType}},
		body: bodyOf(body), length: int64(len(body)), limit: limit,
	}
}

package feedhttp

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/trust"
)

// getCheckpoint answers with the newest checkpoint; with "wait" and "size" as
// soon as it is of another size, or with what there is after the wait.
func getCheckpoint(h *Handler, c *call) (answer, error) {
	var wait time.Duration
	var size int64
	if query := c.r.URL.RawQuery; query != "" {
		var err error
		if wait, size, err = parsePoll(query); err != nil {
			return answer{}, err
		}
	}
	head, changed, err := h.config.Reader.Head(c.r.Context(), c.caller, c.id)
	if err == nil && wait > 0 && head.Size == size {
		head, err = h.await(c, head, changed, min(wait, h.limits.MaxWait))
	}
	if err != nil {
		return answer{}, fromStore(err)
	}
	line := h.heads.of(c.id, head)
	cache := c.caching().head
	if wait > 0 {
		cache = noStore
	}
	var a answer
	a.set("Etag", line.etag)
	a.set("Cache-Control", cache)
	if listsTag(c.r.Header["If-None-Match"], line.etag[0]) {
		a.status = http.StatusNotModified
		return a, nil
	}
	a.body = head.Note
	a.set("Content-Type", typeText)
	a.set("Content-Length", line.length)
	return a, nil
}

// parsePoll reads the query of a long poll: "wait" in seconds and "size" in
// entries, both and nothing else.
func parsePoll(query string) (wait time.Duration, size int64, err error) {
	q, err := url.ParseQuery(query)
	if err != nil || len(q) != 2 || len(q["wait"]) != 1 || len(q["size"]) != 1 {
		return 0, 0, badRequest("query %.80q: want wait=<seconds>&size=<entries>", query)
	}
	seconds, ok := parseOffset(q["wait"][0])
	size, okSize := parseOffset(q["size"][0])
	if !ok || !okSize || seconds < 1 || seconds > 3600 {
		return 0, 0, badRequest("query %.80q: want a wait of 1 to 3600 seconds, and a size", query)
	}
	return time.Duration(seconds) * time.Second, size, nil
}

// await returns when the feed has another size than head, after wait, or when
// the server closes.
func (h *Handler) await(c *call, head feed.Checkpoint, changed <-chan struct{}, wait time.Duration) (feed.Checkpoint, error) {
	if !h.waiters.enter() {
		return head, ErrBusy
	}
	defer h.waiters.leave()
	ctx, size := c.r.Context(), head.Size
	if until := c.caller.Until; !until.IsZero() {
		wait = min(wait, until.Sub(h.now()))
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	recheck := time.NewTicker(h.limits.Recheck)
	defer recheck.Stop()
	for head.Size == size {
		select {
		case <-changed:
		case <-recheck.C:
		case <-c.caller.Changed:
			if err := h.identify(c); err != nil {
				return head, err
			}
		case <-end.C:
			return head, nil
		case <-h.drain:
			return head, nil
		case <-ctx.Done():
			return head, ctx.Err()
		}
		var err error
		if head, changed, err = h.config.Reader.Head(ctx, c.caller, c.id); err != nil {
			return head, err
		}
	}
	return head, nil
}

// headLines keeps the header values of each feed's newest checkpoint.
type headLines struct {
	mu    sync.RWMutex
	lines map[feed.ID]headLine
}

type headLine struct {
	size         int64
	root         tlog.Hash
	noteLength   int
	etag, length []string
}

// maxHeadLines bounds the feeds that are kept.
const maxHeadLines = 1 << 14

func (l *headLines) of(id feed.ID, head feed.Checkpoint) headLine {
	l.mu.RLock()
	line, ok := l.lines[id]
	l.mu.RUnlock()
	if ok && line.size == head.Size && line.root == head.Root && line.noteLength == len(head.Note) {
		return line
	}
	line = headLine{
		size: head.Size, root: head.Root, noteLength: len(head.Note),
		etag:   []string{checkpointTag(head)},
		length: []string{strconv.Itoa(len(head.Note))},
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil || len(l.lines) >= maxHeadLines {
		l.lines = map[feed.ID]headLine{}
	}
	// The id is a part of the request's path, which shall not be kept.
	l.lines[feed.ID{
		Space: trust.Space{Organisation: strings.Clone(id.Space.Organisation), Name: strings.Clone(id.Space.Name)},
		Name:  strings.Clone(id.Name),
	}] = line
	return line
}

// checkpointTag is the entity tag of a checkpoint.
func checkpointTag(c feed.Checkpoint) string {
	return `"` + strconv.FormatInt(c.Size, 10) + "-" + hex.EncodeToString(c.Root[:8]) + `"`
}

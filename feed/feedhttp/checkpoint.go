package feedhttp

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/trust"
)

// getCheckpoint answers with the newest checkpoint. One that is behind what the
// caller knows of, by its entity tag, is read again first.
func getCheckpoint(h *Handler, c *call) (answer, error) {
	known := c.r.Header["If-None-Match"]
	head, err := h.config.Reader.Head(c.r.Context(), c.caller, c.id, taggedSize(known))
	if err != nil {
		return answer{}, fromStore(err)
	}
	line := h.heads.of(c.id, head)
	var a answer
	a.set("Etag", line.etag)
	a.set("Cache-Control", c.caching().head)
	if listsTag(known, line.etag[0]) {
		a.status = http.StatusNotModified
		return a, nil
	}
	a.body = head.Note
	a.set("Content-Type", typeText)
	a.set("Content-Length", line.length)
	return a, nil
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

// taggedSize returns the largest size that an If-None-Match field names by tags
// of checkpoints, 0 where it names none.
func taggedSize(field []string) (size int64) {
	for tag := range tagsOf(field) {
		number, _, _ := strings.Cut(strings.Trim(tag, `"`), "-")
		if n, ok := parseOffset(number); ok {
			size = max(size, n)
		}
	}
	return size
}

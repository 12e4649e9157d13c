package feedhttp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

func getInfo(h *Handler, c *call) (answer, error) {
	key, err := h.config.Reader.LogKey(c.r.Context())
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(Info{API: apiVersion, LogKey: key, Name: "airlock", Version: h.config.Version})
}

func getFeeds(h *Handler, c *call) (answer, error) {
	of, err := parseSpaces(c.r.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	ids, err := h.config.Reader.Feeds(c.r.Context(), c.caller, of)
	if err != nil {
		return answer{}, err
	}
	if ids == nil {
		ids = []feed.ID{}
	}
	return jsonAnswer(feedList{ids})
}

// formatSpaces is the query for the feeds of Spaces, whose names are in order.
func formatSpaces(names []string) string { return spaceQuery + strings.Join(names, "&"+spaceQuery) }

const spaceQuery = "space="

// parseSpaces reads what formatSpaces writes, and nothing else; none where there is
// no query.
func parseSpaces(query string) ([]trust.Space, error) {
	if query == "" {
		return nil, nil
	}
	var out []trust.Space
	last := ""
	for part := range strings.SplitSeq(query, "&") {
		name, ok := strings.CutPrefix(part, spaceQuery)
		space, err := trust.ParseSpace(name)
		if !ok || err != nil || name <= last {
			return nil, badRequest("query %.100q: want %s<organisation>/<space>, in order of the names", query, spaceQuery)
		}
		out, last = append(out, space), name
	}
	return out, nil
}

// getHealth says that the process is up.
func getHealth(*Handler, *call) (answer, error) { return jsonAnswer("ok") }

// getReady says whether the store answers.
func getReady(h *Handler, c *call) (answer, error) {
	if h.draining.Err() != nil {
		return answer{}, ErrClosing
	}
	if h.config.Ready != nil {
		if err := h.config.Ready(c.r.Context()); err != nil {
			h.logger.Warn("not ready", "error", err)
			return answer{}, storage.ErrAway // anyone may ask, and where the store lies is nobody's business
		}
	}
	return jsonAnswer("ok")
}

func getTile(h *Handler, c *call) (answer, error) {
	p, ok := parseTile(c.rest)
	if !ok {
		return answer{}, errPartPath(c.rest)
	}
	b, err := h.config.Reader.Part(c.r.Context(), c.caller, c.id, p)
	if err != nil {
		return answer{}, fromStore(err)
	}
	return partAnswer(c, p, b, false), nil
}

func getSegment(h *Handler, c *call) (answer, error) { return h.framed(c, Segment) }

func getPack(h *Handler, c *call) (answer, error) { return h.framed(c, Pack) }

// framed answers with a segment or a pack, compressed for who takes it.
func (h *Handler) framed(c *call, kind PartKind) (answer, error) {
	n, from, width, ok := parsePart(c.rest)
	if !ok {
		return answer{}, errPartPath(c.rest)
	}
	p := Part{Kind: kind, N: n, From: from, Width: width}
	raw := func() ([]byte, error) {
		// Others may wait for the same part when this caller leaves.
		return h.config.Reader.Part(context.WithoutCancel(c.r.Context()), c.caller, c.id, p)
	}
	var b []byte
	var err error
	zstd := takesZstd(c.r.Header["Accept-Encoding"])
	if zstd {
		b, err = h.compressed(c, p, raw)
	} else {
		b, err = raw()
	}
	if err != nil {
		return answer{}, fromStore(err)
	}
	a := partAnswer(c, p, b, zstd)
	a.set("Vary", varyCoding)
	return a, nil
}

// compressed returns a part in content coding zstd. The reader is asked for
// the head first: that is where the caller is refused, and it says of which
// epoch the part is.
func (h *Handler) compressed(c *call, p Part, raw func() ([]byte, error)) ([]byte, error) {
	head, err := h.config.Reader.Head(c.r.Context(), c.caller, c.id, 0)
	if err != nil {
		return nil, err
	}
	return h.zstd.get(partKey{head.Origin, p}, raw)
}

func partAnswer(c *call, p Part, b []byte, zstd bool) answer {
	a := answer{body: b}
	a.set("Content-Type", typeOctets)
	a.set("Content-Length", []string{strconv.Itoa(len(b))})
	switch {
	case p.Kind == Pack || p.Width < feed.SegmentSize:
		a.set("Cache-Control", c.caching().short) // packs may be purged
	default:
		a.set("Cache-Control", c.caching().forever)
	}
	if zstd {
		a.set("Content-Encoding", codingZstd)
	}
	return a
}

func errPartPath(rest string) error {
	return badRequest("path: %.80q is no number in the encoding of C2SP tlog-tiles", rest)
}

// fromStore keeps what is wrong with the store's own content apart from what
// is wrong with a client's: a digest that does not match is an answer to an
// upload, but damage when reading.
func fromStore(err error) error {
	if damaged(err) && !errors.Is(err, storage.ErrAway) {
		return fmt.Errorf("%w: damaged store: %v", errInternal, err)
	}
	return err
}

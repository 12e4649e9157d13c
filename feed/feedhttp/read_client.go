package feedhttp

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
)

// Checkpoint returns the newest checkpoint, and never one that is older than
// what the server knows of and this client has seen or published. An unchanged
// one costs a request and an answer of a few hundred bytes.
func (c *Client) Checkpoint(ctx context.Context, id feed.ID) (feed.Checkpoint, error) {
	known, have := c.known(id)
	rq := request{method: http.MethodGet, path: feedPath(id) + "/checkpoint", limit: feed.MaxCheckpoint}
	if have {
		rq.header = [][2]string{{"If-None-Match", checkpointTag(known)}}
	}
	got, err := c.fetch(ctx, rq)
	if err != nil {
		return feed.Checkpoint{}, err
	}
	if got.status == http.StatusNotModified {
		if !have {
			return feed.Checkpoint{}, c.named(fmt.Errorf("checkpoint of %s: not modified, and nothing was asked for by its tag", id))
		}
		return known, nil
	}
	return c.learn(id, got.body)
}

// learn reads a checkpoint, and keeps it to ask for news by its tag.
func (c *Client) learn(id feed.ID, note []byte) (feed.Checkpoint, error) {
	head, err := feed.ParseCheckpoint(note)
	if err != nil {
		return feed.Checkpoint{}, c.named(fmt.Errorf("feed %s: %w", id, err))
	}
	c.keep(id, head)
	return head, nil
}

// keep keeps a head, unless one that came meanwhile is newer.
func (c *Client) keep(id feed.ID, head feed.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.heads[id]; have.Origin != head.Origin || have.Size < head.Size {
		c.heads[id] = head
	}
}

func (c *Client) known(id feed.ID) (feed.Checkpoint, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, ok := c.heads[id]
	return head, ok
}

// Tile returns the first width hashes of a tile, not checked.
func (c *Client) Tile(ctx context.Context, id feed.ID, level int, n int64, width int) ([]byte, error) {
	b, err := c.part(ctx, id, Part{Kind: Tile, Level: level, N: n, Width: width}, int64(width)*tlog.HashSize)
	if err == nil && len(b) != width*tlog.HashSize {
		return nil, c.named(fmt.Errorf("feed %s: %w: tile %d/%d of %d bytes, want %d", id, feed.ErrMalformed, level, n, len(b), width*tlog.HashSize))
	}
	return b, err
}

// Pack returns the small objects that the entries from up to to speak of, which lie
// in one segment. What does not match its digest is left out of it.
func (c *Client) Pack(ctx context.Context, id feed.ID, from, to int64) (*feed.Pack, error) {
	b, err := c.part(ctx, id, PartOf(Pack, from, to), feed.MaxPack)
	if err != nil {
		return nil, err
	}
	pack, err := feed.ParsePack(b)
	if err != nil {
		return nil, c.named(fmt.Errorf("feed %s: %w", id, err))
	}
	return pack, nil
}

// part fetches a part of the log, of at most limit bytes.
func (c *Client) part(ctx context.Context, id feed.ID, p Part, limit int64) ([]byte, error) {
	rq := request{method: http.MethodGet, path: feedPath(id) + "/" + p.path(), limit: limit}
	if p.Kind == Segment || p.Kind == Pack {
		rq.header = [][2]string{{"Accept-Encoding", c.server().coding}}
	}
	got, err := c.fetch(ctx, rq)
	return got.body, err
}

// segment fetches the entries from up to to of the segment in which from lies.
func (c *Client) segment(ctx context.Context, id feed.ID, from, to int64) (feed.Segment, error) {
	p := PartOf(Segment, from, to)
	b, err := c.part(ctx, id, p, feed.MaxSegment)
	if err != nil {
		return feed.Segment{}, err
	}
	s, err := p.ParseSegment(b)
	if err != nil {
		return feed.Segment{}, c.named(fmt.Errorf("feed %s: %w", id, err))
	}
	return s, nil
}

// Segments yields the segments that cover the entries from up to to. A few are
// fetched ahead, so memory holds at most so many segments.
func (c *Client) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	type result struct {
		segment feed.Segment
		err     error
	}
	return func(yield func(feed.Segment, error) bool) {
		if from < 0 || from >= to {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		queue := make(chan chan result, c.ahead)
		running.Go(func() {
			defer close(queue)
			for n := from / feed.SegmentSize; n*feed.SegmentSize < to; n++ {
				one := make(chan result, 1)
				select {
				case queue <- one:
				case <-ctx.Done():
					return
				}
				running.Go(func() {
					s, err := c.segment(ctx, id, max(from, n*feed.SegmentSize), to)
					one <- result{s, err}
				})
			}
		})
		for one := range queue {
			r := <-one
			if !yield(r.segment, r.err) || r.err != nil {
				return
			}
		}
		if ctx.Err() != nil {
			yield(feed.Segment{}, context.Cause(ctx))
		}
	}
}

// String names the client's server without credentials.
func (c *Client) String() string { return strings.TrimSuffix(c.server().Base.Redacted(), "/") }

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/storage"
)

// places are what one or more --from name. Close them.
type places []*conn

// places opens what --from names; nothing named stands for --server or --store.
func (a *app) places(ctx context.Context, from []string) (places, error) {
	if len(from) == 0 {
		from = []string{""}
	}
	var out places
	for _, where := range from {
		c, err := a.from(ctx, where)
		if err != nil {
			return nil, errors.Join(err, out.Close())
		}
		out = append(out, c)
	}
	return out, nil
}

// Close closes all of them.
func (p places) Close() error {
	var all error
	for _, c := range p {
		all = errors.Join(all, c.Close())
	}
	return all
}

// String names the places, as far as a line has room.
func (p places) String() string {
	names := ""
	for _, c := range p {
		if names += ", " + c.name; len(names) > 200 {
			break
		}
	}
	return strings.TrimPrefix(names, ", ")
}

// head is what a place shows of a feed, not checked.
type head struct {
	*conn
	shown feed.Checkpoint
}

// heads asks every place for a feed; the shortest come first. Of a place that
// does not answer, or asks for a token, passed is told. Where no place has the
// feed the error is the first of those, else fs.ErrNotExist.
func (p places) heads(ctx context.Context, id feed.ID, passed func(*conn, error)) (heads []head, err error) {
	nowhere := fmt.Errorf("feed %s: %w", id, fs.ErrNotExist)
	for _, c := range p {
		got, err := c.Checkpoint(ctx, id)
		switch {
		case err == nil:
			heads = append(heads, head{c, got})
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, log.ErrWentBack) && !lists(ctx, c, id):
		case unanswered(err):
			passed(c, err)
			if errors.Is(nowhere, fs.ErrNotExist) {
				nowhere = fmt.Errorf("%s: feed %s: %w", c.name, id, err)
			}
		default:
			return nil, fmt.Errorf("%s: feed %s: %w", c.name, id, err)
		}
	}
	if len(heads) == 0 {
		return nil, nowhere
	}
	slices.SortStableFunc(heads, func(x, y head) int { return cmp.Compare(x.shown.Size, y.shown.Size) })
	return heads, nil
}

// lists reports whether a place says that it has a feed. A home that runs the log
// of one store misses its feeds in every other.
func lists(ctx context.Context, c *conn, id feed.ID) bool {
	all, err := c.Feeds(ctx, id.Space)
	return err != nil || slices.Contains(all, id)
}

// feed returns the places that have a feed as one.
func (p places) feed(ctx context.Context, id feed.ID, passed func(*conn, error)) (*conn, error) {
	if len(p) == 1 {
		return p[0], nil
	}
	heads, err := p.heads(ctx, id, passed)
	if err != nil {
		return nil, err
	}
	return asOne(heads), nil
}

// asOne is a feed at several places as at one: as long as the longest shows it,
// each entry and each object from whichever has it. It may come late where all
// of them may. Of the heads the longest come last.
func asOne(heads []head) *conn {
	if len(heads) == 1 {
		return heads[0].conn
	}
	s := &several{}
	late := true
	for _, h := range slices.Backward(heads) {
		s.all = append(s.all, h.conn)
		late = late && h.late
	}
	s.place = s.all[0].place
	return &conn{place: s, name: s.all.String(), late: late}
}

// openAt follows a feed to the newest checkpoint that any of the places shows.
// They stay open. Of one that does not answer a note tells.
func (a *app) openAt(ctx context.Context, id feed.ID, where places) (*opened, error) {
	c, err := where.feed(ctx, id, func(c *conn, err error) {
		a.note("airlock: warning: %s was not read: %s", c.name, oneLine(err.Error()))
	})
	if err != nil {
		return nil, err
	}
	f, state, _, err := a.sync(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return &opened{c, f, state}, nil
}

// several is a feed at several places, the one that has most of it first.
type several struct {
	place
	all  places
	tree entryTree
}

// Segments yields entries from whichever place has them.
func (s *several) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for from < to {
			start, first := from, error(nil)
			for _, c := range s.all {
				for segment, err := range c.Segments(ctx, id, from, to) {
					if err != nil {
						first = telling(first, err)
						break
					}
					end := segment.Start + int64(len(segment.Statements))
					if segment.Start > from || end <= from {
						break
					}
					segment, from = after(segment, from), end
					if !yield(segment, nil) {
						return
					}
				}
			}
			if from == start {
				yield(feed.Segment{}, telling(first, &feed.GapError{ID: id, From: from, To: to}))
				return
			}
		}
	}
}

// Object returns an object from whichever place has it.
func (s *several) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	return fromAny(s.all, func(c *conn) (io.ReadCloser, error) { return c.Object(ctx, id, d, off) })
}

// Tile returns a hash tile of the longest log. Where its place lacks entries it
// cannot compute one, and the others have them.
func (s *several) Tile(ctx context.Context, id feed.ID, level int, n int64, width int) ([]byte, error) {
	if tile, err := s.place.Tile(ctx, id, level, n, width); err == nil || ctx.Err() != nil {
		return tile, err
	}
	return s.tree.tile(ctx, s, id, level, n, width)
}

// unanswered reports whether a place did not answer, or refused to: what it
// holds is not known then. A bare error number of the system, such as EIO, is a
// net.Error too: that of a store in a folder.
func unanswered(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, feedhttp.ErrWentBack) {
		return false
	}
	return as[*feedhttp.ProblemError](err) || as[net.Error](err) || errors.Is(err, fs.ErrPermission)
}

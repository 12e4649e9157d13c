package main

import (
	"context"
	"slices"

	"airlock/feed"
	"airlock/internal/home"
)

// comparison has the places with which status compares feeds, each opened once.
type comparison struct {
	*app
	home *home.Home
	from string // for all feeds, where it is named
	subs []home.Subscribed
	open map[string]openedPlace
}

type openedPlace struct {
	conn *conn
	err  error
}

func (a *app) comparing(h *home.Home, from string) (*comparison, error) {
	subs, err := h.Subscriptions()
	return &comparison{a, h, from, subs, map[string]openedPlace{}}, err
}

// of opens the place from which a feed comes.
func (c *comparison) of(ctx context.Context, id feed.ID) (*conn, error) {
	where := c.source(id)
	p, ok := c.open[where]
	if !ok {
		if p.conn, p.err = c.app.from(ctx, where); p.err == nil {
			p.conn.late = p.conn.late || where == c.home.Inbox()
		}
		c.open[where] = p
	}
	return p.conn, p.err
}

// source names the place as --from does: the one that the first subscription which
// follows the feed names.
func (c *comparison) source(id feed.ID) string {
	if c.from != "" {
		return c.from
	}
	for _, s := range c.subs {
		if s.From != "" && slices.ContainsFunc(s.Feeds, func(name string) bool { return matchFeed(name, id) }) {
			return sourceOf(c.home, s)
		}
	}
	return ""
}

func (c *comparison) close() {
	for _, p := range c.open {
		if p.err == nil {
			p.conn.Close()
		}
	}
}

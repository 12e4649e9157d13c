package main

import (
	"context"
	"errors"
	"io/fs"
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

// compare holds what was seen of a feed against each place from which it comes: none
// that fails, or went back, hides what another has. It returns the worst error.
func (c *comparison) compare(ctx context.Context, d *statusDoc, s *feed.State) (worst error) {
	var problems []error
	var missing error // in the inbox, which is no fault where another place has it
	for _, where := range c.sources(s.ID) {
		at, err := c.place(ctx, where)
		if err == nil {
			err = d.compare(ctx, at, s)
		}
		switch {
		case err == nil:
		case as[*notPushedError](err):
			missing = err
		default:
			d.away = d.away || !errors.Is(err, fs.ErrNotExist)
			problems, worst = append(problems, err), worse(worst, err)
		}
	}
	if d.Source < 0 && worst == nil {
		problems, worst = []error{missing}, missing
	}
	if worst != nil {
		d.Problem = oneLine(errors.Join(problems...).Error())
	}
	return worst
}

// place opens a place, once. One that the command line does not name is no mistake
// there.
func (c *comparison) place(ctx context.Context, where string) (*conn, error) {
	p, ok := c.open[where]
	if !ok {
		p.conn, p.err = c.app.from(ctx, where)
		if code, hint := outcomeOf(p.err); code == exitUsage && where != c.from {
			p.err = &failure{code: exitIncomplete, cause: p.err, hint: hint}
		}
		c.open[where] = p
	}
	return p.conn, p.err
}

// sources names places as --from does: those of all subscriptions which follow the
// feed, and where none does the server of the home.
func (c *comparison) sources(id feed.ID) (all []string) {
	if c.from != "" {
		return []string{c.from}
	}
	for _, s := range c.subs {
		if slices.ContainsFunc(s.Feeds, func(name string) bool { return matchFeed(name, id) }) {
			all = append(all, sourceOf(c.home, s))
		}
	}
	if len(all) == 0 {
		return []string{""}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *comparison) close() {
	for _, p := range c.open {
		if p.err == nil {
			p.conn.Close()
		}
	}
}

package main

import (
	"context"
	"os"
	"path/filepath"

	"airlock/internal/bench/peers"
)

// courier measures many small packages over a medium, beside the same over the
// network.
type courier struct {
	*transfers
	created, taken, receipted side
}

func measureCourier(ctx context.Context, b *bench) []row {
	rows := []row{{name: "courier", title: "The step templates over a medium, beside the network"}}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	c := &courier{transfers: &transfers{bench: b, templates: filepath.Join(dir, "templates"),
		one: side{name: "airlock publish, serve"}, newcomers: side{name: "airlock pull, serve"}},
		created: side{name: "airlock bundle create, serve"}, taken: side{name: "airlock pull --from stick --receipts off"}, receipted: side{name: "airlock pull --from stick"}}
	if c.n, _, err = validTemplates(ctx, b.templates, c.templates); err != nil {
		return failed(rows, err)
	}
	for i := range b.rounds {
		b.say("courier: round %d", i+1)
		if err := c.round(ctx); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "create, beside publishing in one command", unit: "packages/s", peer: &c.one, ours: c.created, target: atLeast(1)},
		{what: "take in and apply, beside a pull", unit: "packages/s", peer: &c.newcomers, ours: c.taken, target: atLeast(1)},
		{what: "the same with a receipt for each", unit: "packages/s", peer: &c.newcomers, ours: c.receipted},
	}
	rows[0].note("%d packages. Both ways begin with the same feed and end in a folder of a new Space, synced. The bundle is made of what the server has. The pull makes no receipts, for its home has no Space to sign them.", c.n)
	return rows
}

// round publishes and pulls over the network, then carries the same feed.
func (c *courier) round(ctx context.Context) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	return c.onSite(ctx, filepath.Join(dir, "site"), c.publishOnce, c.pullAll, c.carry)
}

func (c *courier) carry(ctx context.Context, s *site, server *peers.Server) error {
	if err := s.behindAGap(ctx); err != nil {
		return err
	}
	if err := settle(ctx); err != nil {
		return err
	}
	err := c.charge(server, &c.created, func() (peers.Cost, error) {
		return s.createBundle(ctx, "--server", "http://"+server.Addr, "--token-file", s.path("token"))
	})
	if err != nil {
		return err
	}
	return c.takeInTwice(ctx, s)
}

// takeInTwice takes in as a pull does that nobody reports, and by a copy of the
// home with a receipt for every package.
func (c *courier) takeInTwice(ctx context.Context, s *site) error {
	if err := os.CopyFS(s.path("again"), os.DirFS(s.path("inner"))); err != nil {
		return err
	}
	for _, m := range []struct {
		*side
		home string
		args []string
	}{{&c.taken, "inner", []string{"--receipts", "off"}}, {&c.receipted, "again", nil}} {
		if err := settle(ctx); err != nil {
			return err
		}
		into := s.path("taken-" + m.home)
		cost, err := s.takeIn(ctx, s.path(m.home), into, m.args...)
		if err != nil {
			return err
		}
		m.add(float64(c.n)/cost.WallS, cost.CPUS, mib(cost.PeakKiB))
		if err := sameFiles(c.templates, into); err != nil {
			return err
		}
	}
	return nil
}

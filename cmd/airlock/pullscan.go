package main

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/storage"
	"airlock/trust"
)

// choose decides what of a feed is wanted. With --scan, what nothing but a scan
// keeps out is scanned first: each package that was refused makes room for the
// version before it. Where the scanner gave no verdict the package stays out, and
// s waits with the first such error.
func (p *puller) choose(ctx context.Context, s *prepared) (choice apply.Choice, err error) {
	view := s.follower.View
	if p.scanning == nil {
		return apply.Choose(s.state, view, p.sel, p.now()), nil
	}
	p.scanning.judge(view)
	asked, absent := map[storage.Digest]bool{}, map[storage.Digest]bool{}
	for {
		choice = apply.Choose(s.state, view, p.sel, p.now())
		var rows []feed.Row
		for _, r := range choice.Unscanned {
			if asked[r.Manifest] {
				continue
			}
			asked[r.Manifest] = true
			if there, err := p.there(ctx, s, r); err != nil {
				return choice, err
			} else if absent[r.Manifest] = !there; there {
				rows = append(rows, r)
			}
		}
		if len(rows) == 0 || p.options.dryRun || s.follower.Source == nil {
			return p.withoutAbsent(s, choice, absent)
		}
		if err := p.scan(ctx, s, rows); err != nil {
			return choice, err
		}
		s.doc.Scanned += len(rows)
	}
}

// there reports whether the source has a package: a medium may lack some.
func (p *puller) there(ctx context.Context, s *prepared, r feed.Row) (bool, error) {
	if p.conn.stick == nil {
		return true, nil
	}
	return carries(ctx, p.conn.stick, s.state.ID, r)
}

// withoutAbsent takes out of what is refused the packages that nobody can scan,
// since a medium does not have them: they were left out, or are here already.
func (p *puller) withoutAbsent(s *prepared, choice apply.Choice, absent map[storage.Digest]bool) (apply.Choice, error) {
	var kept []apply.Refused
	for _, r := range choice.Refused {
		switch {
		case !absent[r.Row.Manifest] || !errors.Is(r.Err, trust.ErrUnscanned):
			kept = append(kept, r)
		case slices.ContainsFunc(s.installed, func(it apply.Item) bool { return it.Statement == r.Row.ID }):
		default:
			if err := s.lacks(p.conn.stick, r.Row); err != nil {
				return choice, err
			}
		}
	}
	choice.Refused = kept
	return choice, nil
}

// wouldScan reports whether a package stays out only because --dry-run asks no
// scanner.
func (p *puller) wouldScan(refusal error) bool {
	return p.options.dryRun && p.scanning != nil && errors.Is(refusal, trust.ErrUnscanned)
}

// scan asks the scanner about packages.
func (p *puller) scan(ctx context.Context, s *prepared, rows []feed.Row) error {
	return p.fetch(ctx, "scanning "+s.state.ID.String(), s.follower, s.state, rows, func(pkg *feed.Package) error {
		err := p.scanning.ask(ctx, s.state.ID, pkg)
		if as[*apply.NoVerdictError](err) {
			s.waiting = cmp.Or(s.waiting, err)
			return nil
		}
		return err
	})
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/storage"
)

// Taking in is pulling from a medium, with more asked before and nothing done
// until all of it is answered:
//
//	the bundles are for this Space, and not past their day
//	every byte of them is as it was written
//	the feeds are followed, by the same checks as from any source
//	who made the bundles is listed, by what is known now, their own feeds included
//	what is to be applied is on the medium; what was left out since it is held
//	here is here
//
// Then the feeds are applied, into a folder all of them or none. What was taken
// in is recorded by the bundle's digest, so that the same medium may come again.
// Nothing is written to it.
//
// What was seen of a feed is kept as soon as it is verified, whatever becomes of
// the rest: by it a later step back or a fork is known, and nothing is applied.

// forUs leaves on a medium the bundles that were made for this Space. Without
// any, the first says for whom it was made.
func (a *app) forUs(s *stick) error {
	h, err := a.home()
	if err != nil {
		return err
	}
	own, err := h.Identity()
	if errors.Is(err, home.ErrNoSpace) {
		meant := s.bundles[0].Document().Audience
		return &failure{code: exitUntrusted, cause: err, what: fmt.Sprintf("bundle %s was made for %s, and %s holds no Space", s.bundles[0].ID().Short(), meant.Space, h.Path()),
			hint: "take it in with the home of " + meant.Space + ": --home DIR"}
	}
	if err != nil {
		return err
	}
	return a.keepOnly(s, func(b *bundle.Bundle) error { return b.Document().CheckAudience(own.Lineage()) })
}

// keepOnly closes the bundles that are refused, and says so. With none left the
// first refusal is the error.
func (a *app) keepOnly(s *stick, check func(*bundle.Bundle) error) error {
	var kept []*bundle.Bundle
	var refused []error
	for _, b := range s.bundles {
		err := check(b)
		if err == nil {
			kept = append(kept, b)
			continue
		}
		refused = append(refused, fmt.Errorf("bundle %s: %w", b.ID().Short(), err))
		if err := b.Close(); err != nil {
			return err
		}
	}
	if len(kept) == 0 {
		return refused[0]
	}
	for _, err := range refused {
		a.note("left alone: %v", err)
	}
	s.bundles = kept
	return nil
}

// intake takes in what a medium has of feeds.
type intake struct {
	*puller
	home  *home.Home
	stick *stick
	feeds []feed.ID
	taken map[bundle.ID]home.Taken
	late  map[feed.ID]bool // of which the medium has but what was accepted before
}

// newIntake returns what takes in feeds of the medium that p pulls from.
func newIntake(p *puller, feeds []feed.ID) (*intake, error) {
	h, err := p.app.home()
	return &intake{puller: p, home: h, stick: p.conn.stick, feeds: feeds, taken: map[bundle.ID]home.Taken{}, late: map[feed.ID]bool{}}, err
}

// takeIn pulls from a medium.
func (p *puller) takeIn(ctx context.Context, feeds []feed.ID) error {
	if p.options.watch > 0 {
		return usage("--watch with a medium", "pull again once there is another one", p.conn.name)
	}
	in, err := newIntake(p, feeds)
	if err != nil {
		return err
	}
	if err := in.recall(ctx); err != nil {
		return err
	}
	if d, ok := p.target.(*apply.Dir); ok {
		if in.stick.held, err = d.Holding(ctx, feeds); err != nil {
			return err
		}
	}
	if err := in.quarantine(ctx); err != nil {
		return err
	}
	if err := in.takeApprovals(append(p.options.approvals, approvalsBeside(in.stick.paths)...)); err != nil {
		return err
	}
	docs, err := in.all(ctx)
	if err := p.shown(docs); err != nil {
		return err
	}
	made := 0
	for _, d := range docs {
		made += d.Made
	}
	p.sendReceipts(ctx, made)
	return err
}

// recall reads what of the bundles was taken in before, and leaves out those
// that are past their day and were not.
func (in *intake) recall(ctx context.Context) error {
	for _, b := range in.stick.bundles {
		t, err := in.home.Taken(ctx, storage.Digest(b.ID()))
		if err != nil {
			return err
		}
		in.taken[b.ID()] = t
	}
	return in.keepOnly(in.stick, func(b *bundle.Bundle) error {
		if in.done(b) {
			return nil
		}
		return b.Document().CheckExpiry(in.now())
	})
}

// done reports whether all that is asked of a bundle was taken in before, or is
// older than what was.
func (in *intake) done(b *bundle.Bundle) bool {
	return !slices.ContainsFunc(in.carried(b), func(id feed.ID) bool {
		_, ok := in.taken[b.ID()].Of(id)
		return !ok && !in.late[id]
	})
}

// carried returns those of the feeds that are asked for that a bundle has.
func (in *intake) carried(b *bundle.Bundle) []feed.ID {
	return slices.DeleteFunc(slices.Clone(in.feeds), func(id feed.ID) bool {
		_, ok := b.Document().Slice(id)
		return !ok
	})
}

// fresh returns the bundles that were not taken in before.
func (in *intake) fresh() []*bundle.Bundle {
	return slices.DeleteFunc(slices.Clone(in.stick.bundles), in.done)
}

// quarantine reads every byte of the bundles that are new. One of a stranger is
// not even read.
func (in *intake) quarantine(ctx context.Context) error {
	for _, b := range in.fresh() {
		if _, err := in.maker(b); err != nil {
			return err
		}
		if missing := b.Set().Missing(); len(missing) > 0 && b.Document().Parity == nil {
			return &bundle.MissingVolumeError{ID: b.ID(), Volumes: missing, Count: len(b.Set().Volumes)}
		}
		bar := in.progress("verifying bundle " + b.ID().Short())
		health, err := b.Verify(ctx, bar.setBytes)
		bar.end()
		if err == nil {
			err = health.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// all follows and plans all feeds, and applies them once nothing is in the way.
func (in *intake) all(ctx context.Context) ([]pulledDoc, error) {
	var ready []*prepared
	docs := []pulledDoc{}
	for _, id := range in.feeds {
		old, err := in.superseded(ctx, id)
		if err != nil {
			return docs, err
		}
		if old != nil {
			docs = append(docs, *old)
			continue
		}
		s := in.ready(ctx, id)
		if as[*earlierError](s.err) {
			return docs, cmp.Or(in.authenticate(ctx, s.err), s.err)
		}
		if s.err != nil {
			return docs, s.err
		}
		s.doc.TakenIn = in.before(id)
		ready = append(ready, s)
	}
	// What one feed lacks may have come in a later one.
	for i, s := range ready {
		if in.approvedSince(s) {
			ready[i] = in.ready(ctx, s.state.ID)
			if ready[i].err != nil {
				return docs, ready[i].err
			}
			ready[i].doc.From, ready[i].doc.TakenIn = s.doc.From, s.doc.TakenIn
		}
	}
	if err := in.authenticate(ctx, nil); err != nil {
		return docs, err
	}
	if err := in.foreign(ready); err != nil {
		return docs, err
	}
	in.carryOut(ctx, ready...)
	var first error
	for _, s := range ready {
		first = cmp.Or(first, s.err)
		docs = append(docs, s.doc)
	}
	if first == nil {
		first = in.record(ctx)
	}
	return docs, first
}

// ready follows and plans a feed.
func (in *intake) ready(ctx context.Context, id feed.ID) *prepared {
	s := in.prepare(ctx, id)
	if s.err == nil {
		s.err = in.present(ctx, s)
	}
	if b := in.stick.leader(id); b != nil {
		d := storage.Digest(b.ID())
		s.bundle = &d
	}
	return s
}

// record notes what was taken in.
func (in *intake) record(ctx context.Context) error {
	if in.target == nil || in.options.dryRun {
		return nil
	}
	for _, b := range in.fresh() {
		if err := in.home.NoteTaken(ctx, storage.Digest(b.ID()), in.carried(b), in.now()); err != nil {
			return err
		}
	}
	return nil
}

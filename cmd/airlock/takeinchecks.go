package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/apply"
	"airlock/signing"
	"airlock/trust"
)

// superseded describes a feed of which more was accepted here than the medium
// has, where that is the beginning of it; nil where it is to be followed.
func (in *intake) superseded(ctx context.Context, id feed.ID) (*pulledDoc, error) {
	taken := in.before(id)
	slice, err := in.stick.newest(id)
	if err != nil {
		return nil, nil //nolint:nilerr // following it says so
	}
	store, err := in.home.State(ctx)
	if err != nil {
		return nil, err
	}
	state, err := feed.LoadState(ctx, store, slice.Lineage, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || state.Epoch == slice.Epoch && state.Edge.Size() <= slice.To {
		return nil, err
	}
	if len(taken) == 0 {
		_, _, report, err := in.sync(ctx, in.conn, id)
		if err != nil || report.Late == 0 {
			return nil, err
		}
		in.late[id] = true
	}
	n := state.Edge.Size()
	return &pulledDoc{superseded: true, Feed: id.String(), From: n, To: n, Root: state.Edge.Root().String(), TakenIn: taken, Plan: []apply.Line{}, DryRun: in.options.dryRun}, nil
}

// before lists the bundles of a feed that were taken in earlier; none where there
// is one that was not.
func (in *intake) before(id feed.ID) (out []takenDoc) {
	for _, b := range in.stick.bundles {
		if _, carries := b.Document().Slice(id); !carries {
			continue
		}
		when, ok := in.taken[b.ID()].Of(id)
		if !ok {
			return nil
		}
		out = append(out, takenDoc{b.ID().String(), when})
	}
	return out
}

// authenticate holds the bundles that are new against what is known of their
// makers now: what they carried of identities was learned. behind is why it could
// not be, see whoMade.
func (in *intake) authenticate(ctx context.Context, behind error) error {
	for _, b := range in.fresh() {
		if err := in.madeBy(b, behind); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// maker returns what is believed of who made a bundle.
func (a *app) maker(b *bundle.Bundle) (*trust.View, error) {
	space, err := trust.ParseSpace(b.Document().Creator.Space)
	if err != nil {
		return nil, err
	}
	return a.view(space, b.Document().Feeds[0].Feed.Name)
}

// madeBy reports whether the maker of a bundle is who it says.
func (in *intake) madeBy(b *bundle.Bundle, behind error) error {
	view, err := in.maker(b)
	if err != nil {
		return err
	}
	_, err = whoMade(b, view, behind)
	return err
}

// whoMade returns who made a bundle. A key that no identity lists which is known may
// be listed in entries that come before the bundle's and are missing here: then
// behind, the *earlierError that says so, is the answer. behind is nil where the
// feeds were followed.
func whoMade(b *bundle.Bundle, view *trust.View, behind error) (trust.Verified, error) {
	who, err := authenticate(b, view)
	if deniedBy("position")(err) && as[*earlierError](behind) {
		err = behind
	}
	return who, err
}

// authenticate returns who made a bundle: a leaf that the newest identity which
// is known lists. Where in a feed a bundle was signed nobody can tell, so the
// position is the end.
func authenticate(b *bundle.Bundle, view *trust.View) (trust.Verified, error) {
	st, err := signing.ParseStatement(b.Attestation().Payload())
	if err != nil {
		return trust.Verified{}, err
	}
	var bound trust.Bound
	if err := signing.UnmarshalCanonical(st.Predicate, &bound); err != nil {
		return trust.Verified{}, err
	}
	view.PutInForce(view.History().Current().Version, trust.Position{Feed: bound.Feed, Epoch: bound.Epoch})
	return b.Authenticate(view)
}

// present takes out of a plan what the maker of a bundle left out.
func (in *intake) present(ctx context.Context, s *prepared) error {
	kept, missing, err := presentOf(ctx, in.stick, s.state.ID, s.plan)
	if err != nil {
		return err
	}
	for _, a := range missing {
		if err := s.lacks(in.stick, a.Row); err != nil {
			return err
		}
	}
	s.plan = kept
	s.doc.Plan = apply.Describe(kept)
	return nil
}

// presentOf parts a plan into what a medium has all of, and what it does not carry.
func presentOf(ctx context.Context, src feed.Source, id feed.ID, plan []apply.Action) (kept, missing []apply.Action, err error) {
	for _, a := range plan {
		if a.Op != apply.Add && a.Op != apply.Change {
			kept = append(kept, a)
			continue
		}
		ok, err := carries(ctx, src, id, a.Row)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", a.Ref, err)
		}
		if ok {
			kept = append(kept, a)
		} else {
			missing = append(missing, a)
		}
	}
	return kept, missing, nil
}

// lacks notes a package that is neither here nor on a medium: its maker left it
// out. What it left out since it was told that it is here is an *absentError.
func (s *prepared) lacks(medium *stick, row feed.Row) error {
	if medium.leader(s.state.ID).ReceiverHas(s.state.ID, row.Manifest) {
		return &absentError{row.Ref, medium.name}
	}
	s.doc.LeftOut = append(s.doc.LeftOut, row.Ref.String())
	return nil
}

// absentError reports a package that a bundle does not carry, since by the
// holdings of this Space it is here, and that is not.
type absentError struct {
	ref   feed.Ref
	stick string
}

func (e *absentError) Error() string {
	return fmt.Sprintf("%s is not here and not on %s, whose maker was told that it is held here", shownRef(e.ref), e.stick)
}

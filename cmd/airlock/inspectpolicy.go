package main

import (
	"context"
	"errors"
	"slices"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/trust"
)

// policy asks what of the bundle this Space would let in, with the approvals
// that are known here and those that came along.
func (i *inspection) policy(ctx context.Context) error {
	found, err := i.found(ctx)
	if err != nil {
		return err
	}
	h, err := i.home()
	if err != nil {
		return err
	}
	for n, f := range i.feeds {
		evidence := f.follower.View.Evidence()
		alive, err := h.AliveBy(ctx, f.follower, f.state, i.now())
		if err != nil {
			return err
		}
		if !alive.IsZero() {
			i.doc.Feeds[n].Alive = signing.FormatTime(alive)
		}
		if alive.After(evidence.Alive) {
			evidence.Alive = alive
		}
		evidence.Approvals = append(slices.Clone(evidence.Approvals), found...)
		f.follower.View.Judge(evidence)
	}
	lists, err := i.lists(ctx, h)
	if err != nil {
		return err
	}
	for n, f := range i.feeds {
		evidence := f.follower.View.Evidence()
		evidence.Lists = lists
		f.follower.View.Judge(evidence)
		if i.scanning != nil {
			i.scanning.judge(f.follower.View)
		}
		if err := i.scans(f, i.doc.Feeds[n].Items); err != nil {
			return err
		}
		if err := i.present(ctx, f, i.judgeItems(f, &i.doc.Feeds[n])); err != nil {
			return err
		}
	}
	return nil
}

// lists returns the trust lists that would be heeded once the bundle was taken in.
func (i *inspection) lists(ctx context.Context, h *home.Home) ([]trust.List, error) {
	lists, err := h.Lists()
	if err != nil {
		return nil, err
	}
	for _, f := range i.feeds {
		if f.seen >= f.slice.To {
			continue // it brings nothing
		}
		n, err := h.NewLists(ctx, f.follower, f.state, i.now(), func(row feed.Row) (bool, error) {
			return i.packages[packageKey{f.state.ID, row.Index}] != nil, nil
		})
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		for _, why := range n.Bad {
			i.note("trust list", "%s is not heeded; a version that was before stays: %v", f.state.ID, why)
		}
		lists = slices.DeleteFunc(lists, func(l trust.List) bool { return l.Feed == f.state.ID.String() })
		lists = append(lists, n.Lists...)
	}
	for _, l := range lists {
		i.ok("trust list", "%s narrows what is let in", l)
	}
	return lists, nil
}

// found reads the approvals that came along: in files, and in the feeds that
// are carried.
func (i *inspection) found(ctx context.Context) ([]trust.Approved, error) {
	var out []trust.Approved
	err := readApprovals(i.options.approvals, func(p trust.Approved, _ string) error {
		out = append(out, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, f := range i.feeds {
		rows := approvalRows(f.state, f.slice.From)
		err := f.follower.Statements(ctx, f.state, rows, func(row feed.Row, _ trust.Verified, att signing.Attestation) error {
			p, err := trust.OpenApproval(att)
			if err != nil {
				i.note("approvals", "%s entry %d: %v", f.state.ID, row.Index, err)
				return nil //nolint:nilerr // one that is none counts for nothing
			}
			out = append(out, p)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// itemAt returns where a row is among the items, negative where it is not.
func itemAt(items []itemDoc, row feed.Row) int {
	return slices.IndexFunc(items, func(it itemDoc) bool { return it.Entry == row.Index })
}

// judgeItems asks the policy about what a feed brings.
func (i *inspection) judgeItems(f *checkedFeed, d *inspectFeedDoc) apply.Choice {
	view := f.follower.View
	for n := range d.Items {
		for _, t := range view.Tallies(f.state.Item(d.Items[n].row), i.now()) {
			d.Items[n].Approvals = append(d.Items[n].Approvals, t.String())
		}
	}
	choice := apply.Choose(f.state, view, apply.Selection{}, i.now())
	unapproved := slices.DeleteFunc(choice.Unapproved(nil), func(row feed.Row) bool { return itemAt(d.Items, row) < 0 })
	refused := 0
	for _, r := range choice.Refused {
		n := itemAt(d.Items, r.Row)
		if n < 0 {
			continue
		}
		refused++
		d.Items[n].Refused = oneLine(r.Err.Error())
		if !errors.Is(r.Err, trust.ErrUntrusted) && !i.silent[r.Row.Manifest] {
			i.bad("policy", f.awaiting(unapproved, r.Err, i.medium()))
		}
	}
	file := "this Space itself"
	if p := view.Policy(); p != nil {
		file = p.File()
	}
	i.ok("policy", "%s: %s lets in %s; of what is new it keeps out %d", f.state.ID, file, count(len(choice.Wanted), "package", "packages"), refused)
	return choice
}

package home

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/feed"
	"airlock/feed/kind"
	"airlock/internal/apply"
	"airlock/trust"
)

// NewLists is what a feed brings of the trust lists that are heeded here.
type NewLists struct {
	// Lists are those of the feed once it is taken in.
	Lists []trust.List
	// Bad says of lists why they count for nothing: they are none, or the source lacks
	// them. The version before stays.
	Bad []error
	// Plan is what has to be done; empty where all is as it was.
	Plan []apply.Action

	dir *apply.Dir
}

// NewLists looks for trust lists in a feed as it was accepted, by the policy of f's
// view; nil where the policy heeds none. Which packages a pull selects is no matter:
// what keeps things out must not depend on that. Nothing is taken in. carries reports
// whether the source has what was published, nil where it must.
func (h *Home) NewLists(ctx context.Context, f *feed.Follower, s *feed.State, now time.Time, carries func(feed.Row) (bool, error)) (*NewLists, error) {
	policy := f.View.Policy()
	if policy == nil || policy.TrustLists == "" {
		return nil, nil
	}
	d, items, lists, err := h.listsOf(trust.Party{Space: s.ID.Space, Lineage: s.Lineage}, s.ID, func() time.Time { return now })
	if err != nil {
		return nil, err
	}
	n := &NewLists{dir: d}
	choice := apply.Choose(s, f.View, apply.Selection{Kinds: []string{trust.ListKind}}, now)
	ended := map[string]bool{} // by name
	for _, a := range apply.Plan(s.ID, choice, items, apply.Consent{Prune: true}) {
		switch a.Op {
		case apply.Add, apply.Change:
			l, bad, err := h.fetchList(ctx, f, s, a.Row, carries)
			if err != nil {
				return nil, err
			}
			if bad != nil {
				n.Bad = append(n.Bad, bad)
				continue
			}
			n.Lists = append(n.Lists, l)
		case apply.Remove:
		default:
			continue
		}
		ended[a.Ref.Name] = true
		n.Plan = append(n.Plan, a)
	}
	for i, it := range items {
		if !ended[it.Ref.Name] {
			n.Lists = append(n.Lists, lists[i])
		}
	}
	return n, nil
}

// fetchList reads a list from the source; bad says why there is none.
func (h *Home) fetchList(ctx context.Context, f *feed.Follower, s *feed.State, row feed.Row, carries func(feed.Row) (bool, error)) (l trust.List, bad, err error) {
	if carries != nil {
		if there, err := carries(row); err != nil || !there {
			return l, fmt.Errorf("%s did not come along", row.Ref), err
		}
	}
	by := trust.Party{Space: s.ID.Space, Lineage: s.Lineage}
	err = f.Fetch(ctx, s, []feed.Row{row}, func(p *feed.Package) error {
		doc := p.Manifest.Layers[0]
		l = h.newList(by, s.ID, row, doc.Path)
		r, err := p.Open(ctx, 0)
		if err != nil {
			return err
		}
		defer r.Close()
		l.Edges, err = h.readEdges(doc.Path, doc.Ref, r)
		if _, invalid := errors.AsType[*kind.Error](err); invalid || doc.Size > kind.MaxDocument {
			bad, err = fmt.Errorf("%s is no trust list: %w", row.Ref, err), nil
		}
		return err
	})
	return l, bad, err
}

// TakeLists takes in what NewLists found, durable on return.
func (h *Home) TakeLists(ctx context.Context, f *feed.Follower, s *feed.State, n *NewLists) error {
	if len(n.Plan) == 0 {
		return nil
	}
	h.lists.Lock()
	defer h.lists.Unlock()
	done := n.dir.Apply(ctx, apply.Sync{ID: s.ID, To: apply.HeadOf(s), Plan: n.Plan, Fetch: func(ctx context.Context, rows []feed.Row, each func(*feed.Package) error) error {
		return f.Fetch(ctx, s, rows, each)
	}})
	return done[0].Err
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/trust"
)

// heed takes in the trust lists of a feed that was followed, where the policy for
// its Space says that they count. From then on they narrow what is let in here, of
// this feed too.
func (a *app) heed(ctx context.Context, src *conn, f *feed.Follower, s *feed.State) error {
	h, err := a.home()
	if err != nil {
		return err
	}
	changed, err := a.takeLists(ctx, h, src, f, s)
	for try := 1; try < 3 && as[*apply.ChangedError](err); try++ { // by another process meanwhile
		changed, err = a.takeLists(ctx, h, src, f, s)
	}
	if as[*apply.HeadError](err) {
		// Who followed the feed further meanwhile took in what came after.
		seen, unread := feed.LoadState(ctx, f.State, s.Lineage, s.ID)
		if unread == nil && seen.Epoch == s.Epoch && seen.Edge.Size() > s.Edge.Size() {
			changed, err = true, nil
		}
	}
	if err != nil || !changed {
		return err
	}
	return h.Judge(f.View)
}

// takeLists reports whether it took in anything.
func (a *app) takeLists(ctx context.Context, h *home.Home, src *conn, f *feed.Follower, s *feed.State) (bool, error) {
	var carried func(feed.Row) (bool, error)
	if src.late { // a medium, or what was pushed: it may lack what came before
		carried = func(row feed.Row) (bool, error) { return carries(ctx, src, s.ID, row) }
	}
	n, err := h.NewLists(ctx, f, s, a.now(), carried)
	if n == nil || err != nil {
		return false, err
	}
	for _, why := range n.Bad {
		a.note("airlock: warning: %s is not heeded; a version that was before stays: %s", s.ID, oneLine(why.Error()))
	}
	if len(n.Plan) == 0 {
		return false, nil
	}
	if err := h.TakeLists(ctx, f, s, n); err != nil {
		return false, err
	}
	for _, act := range n.Plan {
		if act.Op == apply.Remove {
			a.note("%s/%s of %s was withdrawn, and narrows nothing from now on", act.Ref.Kind, act.Ref.Name, s.ID.Space)
			continue
		}
		a.note("%s of %s narrows from now on what is let in here", shownRef(act.Ref), s.ID.Space)
	}
	return true, nil
}

// listsFirst puts the feeds of Spaces whose trust lists are heeded before those that
// these may narrow.
func listsFirst(h *home.Home, feeds []feed.ID) {
	rank := map[trust.Space]int{}
	for _, id := range feeds {
		if _, known := rank[id.Space]; known {
			continue
		}
		rank[id.Space] = 1
		if h.Heeds(id.Space) {
			rank[id.Space] = 0
		}
	}
	slices.SortStableFunc(feeds, func(a, b feed.ID) int { return cmp.Compare(rank[a.Space], rank[b.Space]) })
}

// listDoc is a trust list that is heeded here.
type listDoc struct {
	Publisher   string `json:"publisher"`
	Lineage     string `json:"lineage"`
	Package     string `json:"package"`
	Feed        string `json:"feed"`
	Entry       int64  `json:"entry"`
	Publication string `json:"publication"`
	File        string `json:"file"`
	Edges       int    `json:"edges"` // that lead to this Space
}

func describeList(l trust.List, own trust.Lineage) listDoc {
	return listDoc{l.Publisher.Space.String(), l.Publisher.Lineage.String(), l.Package, l.Feed, l.Entry, l.Publication.String(), l.File, len(edgesTo(l, own))}
}

func edgesTo(l trust.List, own trust.Lineage) []trust.Edge {
	return slices.DeleteFunc(slices.Clone(l.Edges), func(e trust.Edge) bool { return e.To.Lineage != own })
}

// narrowedDoc is what a trust list lets in of a Space.
type narrowedDoc struct {
	listDoc
	Edge  bool            `json:"edge"` // the list has one from the Space to this one
	Allow []trustAllowDoc `json:"allow,omitempty"`

	list  trust.List
	rules []trust.Allow
}

// narrowing says what the trust lists that are heeded here let in of a Space, whatever
// its policy says.
func narrowing(h *home.Home, from *trust.History) (out []narrowedDoc, err error) {
	lists, own, err := heeded(h)
	for _, l := range lists {
		e, ok := l.Edge(from.Lineage(), own)
		d := narrowedDoc{listDoc: describeList(l, own), Edge: ok && own != (trust.Lineage{}), list: l, rules: e.Allow}
		for _, r := range e.Allow {
			d.Allow = append(d.Allow, trustAllowDoc(r))
		}
		out = append(out, d)
	}
	return out, err
}

// heeded returns the trust lists that are heeded here, and this Space, zero for none.
func heeded(h *home.Home) ([]trust.List, trust.Lineage, error) {
	lists, err := h.Lists()
	if err != nil {
		return nil, trust.Lineage{}, err
	}
	own, err := h.Receiver()
	return lists, own, err
}

// narrowingTable writes it as comments of a YAML file.
func narrowingTable(w io.Writer, docs []narrowedDoc) {
	for _, d := range docs {
		fmt.Fprintf(w, "# narrowed by %s, in %s:\n", d.list, d.File)
		if !d.Edge {
			fmt.Fprintln(w, "#   it has no edge from there to this Space")
		}
		for _, r := range d.rules {
			fmt.Fprintf(w, "#   %s\n", r)
		}
	}
}

// heededDoc is a trust list as airlock status shows it.
type heededDoc struct {
	listDoc
	Proposes int `json:"proposes"` // rights that no policy here has
}

func heededLists(h *home.Home) ([]heededDoc, error) {
	docs := []heededDoc{}
	lists, own, err := heeded(h)
	if err != nil {
		return docs, err
	}
	all, err := proposals(h)
	for _, l := range lists {
		d := heededDoc{listDoc: describeList(l, own)}
		for _, p := range all {
			for _, r := range p.Rights {
				if r.By == d.listDoc {
					d.Proposes++
				}
			}
		}
		docs = append(docs, d)
	}
	return docs, err
}

func heededTable(w io.Writer, docs []heededDoc) {
	var rows [][]string
	for _, d := range docs {
		rows = append(rows, []string{d.Package, d.Feed, fmt.Sprint(d.Entry), fmt.Sprint(d.Edges), fmt.Sprint(d.Proposes)})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		columns(w, []string{"TRUST LIST", "FEED", "ENTRY", "EDGES HERE", "PROPOSES"}, rows)
	}
}

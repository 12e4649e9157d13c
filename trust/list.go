package trust

import (
	"fmt"
	"slices"
	"strings"

	"airlock/signing"
)

// ListKind is the kind of package that a trust list travels as.
const ListKind = "trust-list"

// RuleTrustLists is the rule of what a trust list that is heeded keeps out.
const RuleTrustLists = "trustLists"

// ListsNarrow is what Policy.TrustLists may say.
const ListsNarrow = "narrow"

// List is a trust list that is heeded here, Evidence.Lists: what Publisher said in
// a feed, verified.
type List struct {
	Package     string // "trust-list/acme-trust@7.0.0"
	Publisher   Party
	Feed        string // "<organisation>/<space>/<feed>"
	Entry       int64
	Publication signing.ID
	File        string // where it lies
	Edges       []Edge
}

// String names the list and its publication.
func (l List) String() string {
	return fmt.Sprintf("%s, %s entry %d (%s)", l.Package, l.Feed, l.Entry, l.Publication)
}

// Edge returns the list's edge between two Spaces; false where it has none.
func (l List) Edge(from, to Lineage) (Edge, bool) {
	i := slices.IndexFunc(l.Edges, func(e Edge) bool { return e.From.Lineage == from && e.To.Lineage == to })
	if i < 0 {
		return Edge{}, false
	}
	return l.Edges[i], true
}

// narrowed asks every list that is heeded here: each can only keep out. What its
// own publisher says as a trust list none of them keeps out, or one that forgot its
// publisher could never be put right.
func (v *View) narrowed(item Item) error {
	for _, l := range v.evidence.Lists {
		if item.Kind == ListKind && l.Publisher.Lineage == v.history.Lineage() {
			continue
		}
		if why := l.refuses(v.history, item, v.evidence.Receiver); why != "" {
			return &DeniedError{Reason: Untrusted, Rule: RuleTrustLists, File: l.File, Thing: item.String(), Why: fmt.Sprintf("%s %s", l, why)}
		}
	}
	return nil
}

// refuses says why the list does not let a Space's item in, "" where it does.
func (l List) refuses(from *History, item Item, to Lineage) string {
	if to == (Lineage{}) {
		return "has no edge to a home that holds no Space"
	}
	e, ok := l.Edge(from.Lineage(), to)
	switch {
	case ok && slices.ContainsFunc(e.Allow, func(a Allow) bool { return a.covers(item) }):
		return ""
	case ok:
		return fmt.Sprintf("does not let %s it in feed %s on its edge %s", item.Right, item.Feed, e)
	}
	for _, other := range l.Edges {
		if other.To.Lineage == to && other.From.Space == from.Space() {
			return fmt.Sprintf("has an edge for %s of lineage %s, and this one is %s", other.From.Space, other.From.Lineage, from.Lineage())
		}
	}
	return fmt.Sprintf("has no edge from %s to this Space", from.Space())
}

// Edge is what a trust list says of two Spaces: what To may take that From
// publishes. It is the word of whoever published the list: it can keep out what a
// policy lets in, and propose what a policy does not, and never lets anything in.
type Edge struct {
	From, To Party
	Allow    []Allow // as in a Policy: one of them must cover a thing
}

// Party is a Space as an edge names it. The Lineage decides; the name is for
// people.
type Party struct {
	Space   Space
	Lineage Lineage
}

// String names both Spaces.
func (e Edge) String() string { return fmt.Sprintf("%s to %s", e.From.Space, e.To.Space) }

// String says in a line what the rule lets in: "publish, withdraw variable-set
// shop-* 1.x in shared".
func (a Allow) String() string {
	words := make([]string, 0, 5)
	rights := make([]string, len(a.Rights))
	for i, r := range a.Rights {
		rights[i] = string(r)
	}
	words = append(words, strings.Join(rights, ", "), strings.Join(a.Kinds, ", "))
	if len(a.Names) > 0 {
		words = append(words, strings.Join(a.Names, ", "))
	}
	if len(a.Versions) > 0 {
		masks := make([]string, len(a.Versions))
		for i, m := range a.Versions {
			masks[i] = m.String()
		}
		words = append(words, strings.Join(masks, " or "))
	}
	return strings.Join(words, " ") + " in " + strings.Join(a.Feeds, ", ")
}

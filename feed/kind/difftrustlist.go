package kind

import (
	"slices"

	"airlock/trust"
)

// diffTrustList compares edges by the Spaces that they join, and their rules by
// what these say.
func diffTrustList(old, new *node) []Change {
	d := &treeDiff{skip: "edges"}
	d.compare("", old, new)
	// Both have been accepted, so reading them again reports nothing.
	_, before := (&report{}).trustList(old)
	_, after := (&report{}).trustList(new)
	was, is := edgesByName(before), edgesByName(after)
	for _, e := range before {
		d.edge(e.String(), e, is[e.String()])
	}
	for _, e := range after {
		if _, both := was[e.String()]; !both {
			d.edge(e.String(), trust.Edge{}, e)
		}
	}
	return d.changes
}

func edgesByName(edges []trust.Edge) map[string]trust.Edge {
	m := make(map[string]trust.Edge, len(edges))
	for _, e := range edges {
		m[e.String()] = e
	}
	return m
}

// edge compares two edges of one name; one without rules is not there.
func (d *treeDiff) edge(name string, old, new trust.Edge) {
	what := "edge " + name
	if len(old.Allow) > 0 && len(new.Allow) > 0 {
		d.lineage(what+", lineage of from", old.From, new.From)
		d.lineage(what+", lineage of to", old.To, new.To)
	}
	before, after := rulesOf(old), rulesOf(new)
	for _, text := range before {
		if !slices.Contains(after, text) {
			d.add(Removed, what, shorten(text), "")
		}
	}
	for _, text := range after {
		if !slices.Contains(before, text) {
			d.add(Added, what, "", shorten(text))
		}
	}
}

func (d *treeDiff) lineage(what string, old, new trust.Party) {
	if old.Lineage != new.Lineage {
		d.add(Changed, what, old.Lineage.String(), new.Lineage.String())
	}
}

func rulesOf(e trust.Edge) []string {
	texts := make([]string, len(e.Allow))
	for i, a := range e.Allow {
		texts[i] = a.String()
	}
	return texts
}

package kind

import (
	"fmt"
	"strconv"
	"strings"

	"airlock/storage"
	"airlock/trust"
)

// Bounds of a trust list.
const (
	maxEdges    = 4096
	maxRules    = 64 // of an edge
	maxPatterns = 64 // of each list in a rule
)

var (
	spaceRule = rule{want: "a Space such as acme/production", shown: true, ok: func(s string) bool {
		_, err := trust.ParseSpace(s)
		return err == nil && !strings.Contains(s, ":")
	}}
	lineageRule = rule{want: "a lineage, sha256: and 64 lower-case hex digits", shown: true, ok: func(s string) bool {
		d, err := storage.ParseDigest(s)
		return err == nil && !d.IsZero()
	}}
	patternRule = rule{want: `a-z, 0-9, ".", "_" and "-", and "*" at the end only`, shown: true, ok: func(s string) bool { return trust.CheckPattern(s) == nil }}
)

// ParseTrustList reads a trust list (B9): the edges of trust that an administrator
// publishes, of which docs/examples/trust/acme-trust.yaml is one. file is its name in errors,
// which are those of Inspect.
//
// Each pair of Spaces has one edge, a name stands for one lineage, and no edge
// leads from a Space to itself. A list without edges says that nobody is to take
// anything.
func ParseTrustList(file string, data []byte) ([]trust.Edge, error) {
	r := &report{file: file}
	root := parse(r, data)
	if root == nil || r.err() != nil {
		return nil, r.err()
	}
	_, edges := r.trustList(root)
	if err := r.err(); err != nil {
		return nil, err
	}
	return edges, nil
}

func inspectTrustList(r *report, root *node) Document {
	doc, edges := r.trustList(root)
	receivers := map[trust.Lineage]bool{}
	for _, e := range edges {
		receivers[e.To.Lineage] = true
	}
	doc.Facts = []Fact{{"edges", strconv.Itoa(len(edges))}, {"receiving Spaces", strconv.Itoa(len(receivers))}}
	return doc
}

func (r *report) trustList(root *node) (Document, []trust.Edge) {
	doc, o, ok := r.header(root, "TrustList", "edges")
	if !ok {
		return doc, nil
	}
	list := root.get("edges")
	if list == nil {
		r.at(root, "edges", "a list of edges (an empty one says that nobody is to take anything)", "nothing")
		return doc, nil
	}
	r.atMost(list, "edges", maxEdges)
	known := parties{r: r, lineages: map[trust.Space]trust.Lineage{}, names: map[trust.Lineage]trust.Space{}, pairs: map[[2]trust.Lineage]bool{}}
	var edges []trust.Edge
	for _, it := range o.list("edges") {
		if e, ok := r.edge(it); ok && known.add(it, e) {
			edges = append(edges, e)
		}
	}
	return doc, edges
}

// atMost refuses a longer list.
func (r *report) atMost(list *node, path string, most int) {
	if len(list.items) > most {
		r.at(list, path, fmt.Sprintf("a list of at most %d", most), strconv.Itoa(len(list.items)))
	}
}

func (r *report) edge(it item) (e trust.Edge, ok bool) {
	o, ok := r.object(it.node, it.path, "from", "to", "allow")
	if !ok {
		return e, false
	}
	from, to := false, false
	e.From, from = o.party("from")
	e.To, to = o.party("to")
	e.Allow = o.allow("allow")
	return e, from && to
}

func (o object) party(name string) (p trust.Party, ok bool) {
	at := join(o.path, name)
	n := o.n.get(name)
	if n == nil {
		o.r.at(o.n, at, "a Space: {space: acme/production, lineage: sha256:…}", "nothing")
		return p, false
	}
	f, ok := o.r.object(n, at, "space", "lineage")
	if !ok {
		return p, false
	}
	space, named := f.required("space", spaceRule)
	lineage, sure := f.required("lineage", lineageRule)
	p.Space, _ = trust.ParseSpace(space)
	p.Lineage, _ = trust.ParseLineage(lineage)
	return p, named && sure
}

// allow reads rules in the form that a policy has them in (trust.Allow).
func (o object) allow(name string) (out []trust.Allow) {
	n, at := o.n.get(name), join(o.path, name)
	if n == nil || n.shape == isList && len(n.items) == 0 {
		o.r.at(o.n, at, "a list of at least one rule", "none")
		return nil
	}
	o.r.atMost(n, at, maxRules)
	for _, it := range o.list(name) {
		a, ok := o.r.object(it.node, it.path, "feeds", "kinds", "names", "versions", "rights")
		if !ok {
			continue
		}
		rule := trust.Allow{Feeds: a.needed("feeds", patternRule), Kinds: a.needed("kinds", patternRule), Names: a.few("names", patternRule)}
		for _, text := range a.few("versions", maskRule) {
			mask, _ := trust.ParseMask(text)
			rule.Versions = append(rule.Versions, mask)
		}
		for _, text := range a.needed("rights", word(string(trust.MayPublish), string(trust.MayWithdraw))) {
			rule.Rights = append(rule.Rights, trust.Right(text))
		}
		out = append(out, rule)
	}
	return out
}

// needed is few for a list that must be there.
func (o object) needed(name string, want rule) []string {
	if o.n.get(name) == nil {
		o.r.at(o.n, join(o.path, name), "a list: "+want.want, "nothing")
	}
	return o.few(name, want)
}

// few is some for a list that is bounded.
func (o object) few(name string, want rule) []string {
	if n := o.n.get(name); n != nil {
		o.r.atMost(n, join(o.path, name), maxPatterns)
	}
	return o.some(name, want)
}

// parties knows the Spaces of a list, and which of them have an edge.
type parties struct {
	r        *report
	lineages map[trust.Space]trust.Lineage
	names    map[trust.Lineage]trust.Space
	pairs    map[[2]trust.Lineage]bool
}

// add refuses edges that people and programs would read in two ways: programs go
// by lineages, people by names.
func (p *parties) add(it item, e trust.Edge) bool {
	for _, end := range []struct {
		name string
		trust.Party
	}{{"from", e.From}, {"to", e.To}} {
		at := it.path + "." + end.name
		if other, ok := p.lineages[end.Space]; ok && other != end.Lineage {
			p.r.at(it.node.get(end.name), at, fmt.Sprintf("one lineage for %s", end.Space), "another one than before")
			return false
		}
		if other, ok := p.names[end.Lineage]; ok && other != end.Space {
			p.r.at(it.node.get(end.name), at, fmt.Sprintf("one name for the lineage of %s", other), quote(end.Space.String()))
			return false
		}
		p.lineages[end.Space], p.names[end.Lineage] = end.Lineage, end.Space
	}
	pair := [2]trust.Lineage{e.From.Lineage, e.To.Lineage}
	switch {
	case pair[0] == pair[1]:
		p.r.at(it.node, it.path, "two Spaces", quote(e.To.Space.String())+" twice")
	case p.pairs[pair]:
		p.r.at(it.node, it.path, "one edge for each pair of Spaces", fmt.Sprintf("%s to %s again", e.From.Space, e.To.Space))
	default:
		p.pairs[pair] = true
		return true
	}
	return false
}

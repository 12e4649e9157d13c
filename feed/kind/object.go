package kind

import (
	"fmt"
	"slices"
)

// object reads the fields of one mapping and reports what is not as wanted.
// Its methods give zero values for what they have reported.
type object struct {
	r    *report
	n    *node
	path string
}

// object opens n, whose fields must all be among known.
func (r *report) object(n *node, path string, known ...string) (object, bool) {
	o := object{r: r, n: n, path: path}
	if n == nil || n.shape != isMapping {
		r.at(n, path, "a mapping of fields", n.got())
		return o, false
	}
	for _, f := range n.fields {
		if !slices.Contains(known, f.name) {
			r.at(f.key, join(path, f.name), "a known field"+hint(f.name, known), quote(f.name))
		}
	}
	return o, true
}

// text reads a field under a rule; ok is false where it is absent or refused.
func (o object) text(name string, want rule) (text string, ok bool) {
	n := o.n.get(name)
	if n == nil {
		return "", false
	}
	if !o.r.text(n, join(o.path, name), want) {
		return "", false
	}
	return n.text, true
}

// required is text for a field that must be there.
func (o object) required(name string, want rule) (text string, ok bool) {
	if o.n.get(name) == nil {
		o.r.at(o.n, join(o.path, name), want.want, "nothing")
		return "", false
	}
	return o.text(name, want)
}

// flag reads true or false; absent is false.
func (o object) flag(name string) bool {
	n := o.n.get(name)
	if n == nil {
		return false
	}
	if n.shape != isFlag {
		o.r.at(n, join(o.path, name), "true or false", n.got())
	}
	return n.text == "true"
}

// list gives the items of a list field with their paths; absent is empty.
func (o object) list(name string) []item {
	n := o.n.get(name)
	if n == nil {
		return nil
	}
	return o.r.list(n, join(o.path, name))
}

// item is an element of a list.
type item struct {
	*node
	path string
}

func (r *report) list(n *node, path string) []item {
	if n.shape != isList {
		r.at(n, path, "a list", n.got())
		return nil
	}
	items := make([]item, len(n.items))
	for i, c := range n.items {
		items[i] = item{node: c, path: fmt.Sprintf("%s[%d]", path, i)}
	}
	return items
}

// texts reads a list of texts, each under the rule and, without case, once.
func (r *report) texts(n *node, path string, want rule) []string {
	var out []string
	seen := unique{r: r}
	for _, it := range r.list(n, path) {
		if r.text(it.node, it.path, want) && seen.add(it.node, it.path, it.text) {
			out = append(out, it.text)
		}
	}
	return out
}

func (r *report) text(n *node, path string, want rule) bool {
	switch {
	case n.shape != isText && n.shape != isNull && n.shape != isMapping && n.shape != isList:
		r.at(n, path, want.want+" (in quotes)", n.got())
	case n.shape != isText:
		r.at(n, path, want.want, n.got())
	case !want.ok(n.text) && want.shown:
		r.at(n, path, want.want+hint(n.text, want.words), quote(n.text))
	case !want.ok(n.text):
		r.at(n, path, want.want, "something else")
	default:
		return true
	}
	return false
}

// unique refuses names that are there twice, ignoring case (B25).
type unique struct {
	r    *report
	seen map[string]*node
}

func (u *unique) add(n *node, path, name string) bool {
	if first, dup := u.seen[fold(name)]; dup {
		line, _ := u.r.place(first)
		u.r.at(n, path, "each name once, ignoring case", fmt.Sprintf("%s again (first in line %d)", quote(name), line))
		return false
	}
	if u.seen == nil {
		u.seen = map[string]*node{}
	}
	u.seen[fold(name)] = n
	return true
}

// hint suggests the nearest known word.
func hint(got string, known []string) string {
	if len(known) < 2 {
		return ""
	}
	best, bestCost := "", 3
	for _, word := range known {
		if cost := distance(fold(got), fold(word), bestCost); cost < bestCost && cost < len(word) {
			best, bestCost = word, cost
		}
	}
	if best == "" || best == got {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance counts the edits from a to b; limit where there are as many or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}

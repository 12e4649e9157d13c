package kind

import (
	"slices"
	"strings"
)

// diffTree compares two documents field by field. Elements of a list are
// matched by their name, so that an insertion is one addition.
func diffTree(old, new *node) []Change {
	d := &treeDiff{}
	d.compare("", old, new)
	return d.changes
}

type treeDiff struct {
	changes []Change
	skip    string            // a field of the document that is compared elsewhere
	secret  func(string) bool // what (see Change) must not be shown
}

// singular names an element of a list, or a field of a mapping with free names.
var singular = map[string]string{
	"environments": "environment", "files": "file", "steps": "step", "packages": "package", "options": "option",
	"Parameters": "parameter", "Packages": "package", "properties": "property", "Properties": "property",
}

func (d *treeDiff) compare(what string, old, new *node) {
	switch {
	case old == nil && new == nil:
	case old == nil:
		d.add(Added, what, "", d.show(what, new))
	case new == nil:
		d.add(Removed, what, d.show(what, old), "")
	case isSecret(old) || isSecret(new) || d.secret != nil && d.secret(what):
		if !equal(old, new) {
			d.add(Changed, what, hidden, hidden)
		}
	case old.shape == isMapping && new.shape == isMapping:
		d.mapping(what, old, new)
	case old.shape == isList && new.shape == isList:
		d.list(what, old, new)
	case !equal(old, new):
		d.scalar(what, old, new)
	}
}

func (d *treeDiff) add(op Op, what, old, new string) {
	d.changes = append(d.changes, Change{Op: op, What: printable(what), Old: old, New: new})
}

func (d *treeDiff) scalar(what string, old, new *node) {
	if old.shape == isText && new.shape == isText && (isLong(old.text) || isLong(new.text)) {
		d.add(Changed, what, "", hunks(printable(old.text), printable(new.text)))
		return
	}
	d.add(Changed, what, summary(old), summary(new))
}

func isLong(s string) bool { return len(s) > 120 || strings.Contains(s, "\n") }

func (d *treeDiff) mapping(what string, old, new *node) {
	before, after := old.index(), new.index()
	for _, f := range old.fields {
		if what != "" || f.name != d.skip {
			d.compare(extend(what, f.name), f.value, after[f.name])
		}
	}
	for _, f := range new.fields {
		if before[f.name] == nil && (what != "" || f.name != d.skip) {
			d.compare(extend(what, f.name), nil, f.value)
		}
	}
}

// extend says where a field is: parameter "Name", DefaultValue.
func extend(what, name string) string {
	outer, last, _ := cutLast(what)
	if word := singular[last]; word != "" && (last == "properties" || last == "Properties") {
		return outer + word + ` "` + name + `"`
	}
	if what == "" {
		return name
	}
	return what + ", " + name
}

// cutLast splits what into the part before its last word, and that word.
func cutLast(what string) (outer, last string, found bool) {
	i := strings.LastIndex(what, ", ")
	if i < 0 {
		return "", what, false
	}
	return what[:i+2], what[i+2:], true
}

func (d *treeDiff) list(what string, old, new *node) {
	before, keyed := byName(old)
	after, keyedToo := byName(new)
	if !keyed || !keyedToo {
		if !equal(old, new) {
			d.add(Changed, what, summary(old), summary(new))
		}
		return
	}
	outer, last, _ := cutLast(what)
	if word := singular[last]; word != "" {
		last = word
	}
	element := func(name string) string { return outer + last + ` "` + name + `"` }
	for _, name := range before.order {
		d.compare(element(name), before.items[name], after.items[name])
	}
	for _, name := range after.order {
		if before.items[name] == nil {
			d.compare(element(name), nil, after.items[name])
		}
	}
	d.order(what, before, after)
}

// order reports names that both have and that changed places.
func (d *treeDiff) order(what string, before, after named) {
	common := func(these, others named) []string {
		return slices.DeleteFunc(slices.Clone(these.order), func(name string) bool { return others.items[name] == nil })
	}
	old, new := common(before, after), common(after, before)
	if !slices.Equal(old, new) {
		d.add(Changed, "order of "+what, shorten(strings.Join(old, ", ")), shorten(strings.Join(new, ", ")))
	}
}

// named is a list of mappings, each with a name of its own.
type named struct {
	items map[string]*node
	order []string
}

func byName(list *node) (named, bool) {
	n := named{items: map[string]*node{}}
	for _, it := range list.items {
		name := ""
		for _, key := range []string{"name", "Name", "path", "id"} {
			if v := it.get(key); v != nil && v.shape == isText {
				name = v.text
				break
			}
		}
		if name == "" || n.items[name] != nil {
			return named{}, false
		}
		n.items[name] = it
		n.order = append(n.order, name)
	}
	return n, true
}

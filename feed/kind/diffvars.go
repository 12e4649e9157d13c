package kind

import (
	"fmt"
	"slices"
)

// diffVariableSet compares the variables by name and scope, and the rest of the
// document (a variable set or a release) field by field.
func diffVariableSet(old, new *node) []Change {
	d := &treeDiff{skip: "variables"}
	d.compare("", old, new)
	// Both have been accepted, so reading them again reports nothing.
	before := readVariables(object{r: &report{}, n: old})
	after := readVariables(object{r: &report{}, n: new})
	v := &variableDiff{before: before, after: after, secret: map[string]bool{}}
	for _, each := range slices.Concat(before, after) {
		if each.sensitive {
			v.secret[fold(each.name)] = true
		}
	}
	return append(d.changes, v.run()...)
}

// variableDiff hides every value of a name that is sensitive anywhere in either
// version: what was shared in clear by mistake is a secret all the same.
type variableDiff struct {
	before, after []variable
	secret        map[string]bool // folded names
	changes       []Change
}

func (v *variableDiff) run() []Change {
	oldKeys, newKeys := byKey(v.before), byKey(v.after)
	var gone, fresh []variable
	for _, old := range v.before {
		if new, ok := newKeys[old.key()]; ok {
			v.compare(old, new)
		} else {
			gone = append(gone, old)
		}
	}
	for _, new := range v.after {
		if _, ok := oldKeys[new.key()]; !ok {
			fresh = append(fresh, new)
		}
	}
	v.rescope(gone, fresh)
	return v.changes
}

func byKey(variables []variable) map[string]variable {
	m := make(map[string]variable, len(variables))
	for _, v := range variables {
		m[v.key()] = v
	}
	return m
}

// rescope pairs what is gone with what is new: one name, same value, another
// scope is a changed scope (D32); the rest was removed and added.
func (v *variableDiff) rescope(gone, fresh []variable) {
	same := func(x variable) string { return fold(x.name) + "\x00" + x.kind + "\x00" + x.value }
	candidates := map[string][]int{}
	for i, f := range fresh {
		if !f.sensitive {
			candidates[same(f)] = append(candidates[same(f)], i)
		}
	}
	paired := map[int]bool{}
	for _, old := range gone {
		matches := candidates[same(old)]
		if old.sensitive || len(matches) == 0 {
			v.add(Removed, label(old), v.show(old), "")
			continue
		}
		candidates[same(old)] = matches[1:]
		paired[matches[0]] = true
		new := fresh[matches[0]]
		v.add(Changed, fmt.Sprintf("scope of variable %q", old.name), old.scope.String(), new.scope.String())
		v.details(old, new)
	}
	for i, f := range fresh {
		if !paired[i] {
			v.add(Added, label(f), "", v.show(f))
		}
	}
}

func label(v variable) string { return fmt.Sprintf("variable %q %s", v.name, v.scope) }

func (v *variableDiff) add(op Op, what, old, new string) {
	v.changes = append(v.changes, Change{Op: op, What: what, Old: old, New: new})
}

func (v *variableDiff) show(x variable) string {
	switch {
	case x.sensitive:
		return "sensitive, present"
	case v.secret[fold(x.name)]:
		return hidden
	}
	return shorten(x.value)
}

// compare reports what changed in a variable that kept its name and scope.
func (v *variableDiff) compare(old, new variable) {
	what := label(new)
	switch {
	case old.value == new.value && old.sensitive == new.sensitive:
	case v.secret[fold(old.name)] || !isLong(old.value) && !isLong(new.value):
		v.add(Changed, what, v.show(old), v.show(new))
	default:
		v.add(Changed, what, "", hunks(printable(old.value), printable(new.value)))
	}
	v.details(old, new)
}

// details reports the fields beside value and scope.
func (v *variableDiff) details(old, new variable) {
	what := label(new)
	d := &treeDiff{}
	if old.name != new.name {
		d.add(Changed, what+", name", old.name, new.name)
	}
	if old.kind != new.kind {
		d.add(Changed, what+", type", old.kind, new.kind)
	}
	for _, name := range []string{"description", "prompt"} {
		d.compare(what+", "+name, old.node.get(name), new.node.get(name))
	}
	v.changes = append(v.changes, d.changes...)
}

package apply

import (
	"cmp"
	"fmt"
	"slices"

	"airlock/feed"
)

// Plan returns what has to happen so that a target which has installed of this
// feed has what was chosen, in the order of the feed's entries.
//
// A version that was withdrawn (or does not count any more) gives way to a
// newer one as ever. Going back to an older one, and going away, only happen
// with prune. What is not selected any more is left alone, and so is what the
// policy refuses by now.
func Plan(id feed.ID, c Choice, installed []Item, prune bool) []Action {
	var plan []Action
	have := byName(installed)
	for _, row := range c.Wanted {
		it, ok := have[nameOf(row.Ref)]
		delete(have, nameOf(row.Ref))
		if !ok {
			plan = append(plan, Action{Op: Add, Ref: row.Ref, Row: row})
			continue
		}
		plan = append(plan, c.replace(id, it, row, prune))
	}
	for _, it := range have {
		if ended, why := c.ended(id, it); why != "" {
			op := Retain
			if prune {
				op = Remove
			}
			plan = append(plan, Action{Op: op, Ref: it.Ref, From: it.Ref.Version, Row: ended, Reason: why})
		}
	}
	slices.SortFunc(plan, func(a, b Action) int {
		return cmp.Or(cmp.Compare(a.Row.Index, b.Row.Index), cmp.Compare(nameOf(a.Ref), nameOf(b.Ref)))
	})
	return plan
}

// replace decides between an installed version and the wanted one.
func (c Choice) replace(id feed.ID, it Item, row feed.Row, prune bool) Action {
	a := Action{Op: Change, Ref: row.Ref, From: it.Ref.Version, Row: row}
	if it.Ref == row.Ref && it.Manifest == row.Manifest {
		if a.Op = Same; it.Missing > 0 {
			a.Op, a.Reason = Change, fmt.Sprintf("%d of its files are gone", it.Missing)
		}
		return a
	}
	ended, why := c.ended(id, it)
	if why != "" && !prune && row.Index < it.Index {
		return Action{Op: Retain, Ref: it.Ref, From: it.Ref.Version, Row: ended, Reason: why}
	}
	a.Reason = why
	return a
}

// ended says why an installed version should not be there; "" if it may stay.
func (c Choice) ended(id feed.ID, it Item) (feed.Row, string) {
	if w, ok := c.Withdrawn[it.Ref]; ok {
		return w, fmt.Sprintf("%s was withdrawn by %s entry %d", it.Ref.Version, id, w.Index)
	}
	// Entries of another epoch have the same numbers and other statements.
	if v, ok := c.Void[it.Index]; ok && v.ID == it.Statement && c.sel.Match(it.Ref) {
		return v, fmt.Sprintf("%s, %s entry %d, does not count any more: %s", it.Ref.Version, id, v.Index, v.Void)
	}
	return feed.Row{}, ""
}

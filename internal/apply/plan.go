package apply

import (
	"cmp"
	"fmt"
	"slices"

	"airlock/feed"
)

// Consent is what may be lost that is there.
type Consent struct {
	Prune bool // versions that were withdrawn
	Force bool // changes that somebody made to files of ours
}

// Plan returns what has to happen so that a target which has installed of this
// feed has what was chosen, in the order of the feed's entries.
//
// A version that was withdrawn (or does not count any more) gives way to a
// newer one as ever. Going back to an older one, and going away, only happen
// with may.Prune. What is not selected any more is left alone, and so is what
// the policy refuses by now: an approval that has expired since takes nothing
// back. Changed files of the wanted version are put back
// with may.Force only.
func Plan(id feed.ID, c Choice, installed []Item, may Consent) []Action {
	var plan []Action
	have := byName(installed)
	for _, row := range c.Wanted {
		it, ok := have[nameOf(row.Ref)]
		delete(have, nameOf(row.Ref))
		if !ok {
			plan = append(plan, Action{Op: Add, Ref: row.Ref, Row: row})
			continue
		}
		plan = append(plan, c.replace(id, it, row, may))
	}
	for _, it := range have {
		if ended, why := c.ended(id, it); why != "" {
			op := Retain
			if may.Prune {
				op, why = Remove, joined(why, it.changed(may))
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
func (c Choice) replace(id feed.ID, it Item, row feed.Row, may Consent) Action {
	a := Action{Op: Change, Ref: row.Ref, From: it.Ref.Version, Row: row, Reason: it.changed(may)}
	if it.Ref == row.Ref && it.Manifest == row.Manifest {
		switch {
		case it.Missing > 0:
			a.Reason = joined(fmt.Sprintf("%d of its files are gone", it.Missing), a.Reason)
		case len(it.Changed) == 0:
			a.Op = Same
		case !may.Force:
			a.Op = Keep
		}
		return a
	}
	ended, why := c.ended(id, it)
	if why != "" && !may.Prune && row.Index < it.Index {
		return Action{Op: Retain, Ref: it.Ref, From: it.Ref.Version, Row: ended, Reason: why}
	}
	if why == "" && row.Index < it.Index && c.waiting[it.Statement] {
		return Action{Op: Retain, Ref: it.Ref, From: it.Ref.Version, Row: row, Reason: "lacks approvals or a scan by now; what is installed stays"}
	}
	a.Reason = joined(why, a.Reason)
	return a
}

// changed names the first file that somebody changed; "" where there is none.
func (it Item) changed(may Consent) string {
	if len(it.Changed) == 0 {
		return ""
	}
	text := it.Changed[0] + " was changed here"
	if more := len(it.Changed) - 1; more > 0 {
		text = fmt.Sprintf("%s and %d more were changed here", it.Changed[0], more)
	}
	if !may.Force {
		text += ", which only --force undoes"
	}
	return text
}

func joined(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}

// ended says why an installed version should not be there; "" if it may stay.
func (c Choice) ended(id feed.ID, it Item) (feed.Row, string) {
	if w, ok := c.Withdrawn[it.Ref]; ok {
		return w.By, fmt.Sprintf("%s was withdrawn by %s entry %d", it.Ref.Version, id, w.By.Index)
	}
	// Entries of another epoch have the same numbers and other statements.
	if v, ok := c.Void[it.Index]; ok && v.ID == it.Statement && c.sel.Match(it.Ref) {
		return v, fmt.Sprintf("%s, %s entry %d, does not count any more: %s", it.Ref.Version, id, v.Index, v.Void)
	}
	return feed.Row{}, ""
}

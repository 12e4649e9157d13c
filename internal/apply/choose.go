package apply

import (
	"errors"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/trust"
)

// Selection says which packages of a feed are wanted. The zero value, and each
// zero field, selects all.
type Selection struct {
	Kinds    []string // exact, or "prefix*"
	Names    []string // likewise
	Versions trust.Mask
	Within   *Selection // what it selects from; nil for all
}

// Match reports whether the selection takes a version.
func (s Selection) Match(r feed.Ref) bool {
	return (s.Within == nil || s.Within.Match(r)) && matchAny(s.Kinds, r.Kind) && matchAny(s.Names, r.Name) &&
		(s.Versions.String() == "" || s.Versions.Match(r.Version))
}

func matchAny(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "*")
		return p == s || wild && strings.HasPrefix(s, prefix)
	})
}

// Choice is what the index and the policy make of a selection.
type Choice struct {
	// Wanted holds, for each kind and name, the newest live version that the
	// selection and the policy let in, by index. Which is newest is the
	// source's word: the order of entries, not of version strings.
	Wanted []feed.Row
	// Refused holds, for each kind and name, the newest live version if the
	// policy refuses it, and withdrawals that the policy does not let the
	// source make. By index.
	Refused []Refused
	// Unscanned holds, for each kind and name, the newest version above the one
	// wanted that nothing but a scan keeps out, by index.
	Unscanned []feed.Row
	// Withdrawn holds every selected version that was withdrawn.
	Withdrawn map[feed.Ref]Withdrawn
	// Void holds the entries that do not count, by index. An installed version
	// is among them after a revocation that reaches back.
	Void map[int64]feed.Row

	sel Selection
	// waiting holds the publications newer than the one wanted that lack approvals
	// or a scan. One that had them when it was installed, or needed none, stays.
	waiting map[signing.ID]bool
}

// Withdrawn is a publication, and the withdrawal that ended it.
type Withdrawn struct{ Publication, By feed.Row }

// Refused is an entry that the policy keeps out.
type Refused struct {
	Row feed.Row
	Err error // a *trust.DeniedError
}

// Choose applies a selection and the policy of v to a feed as it was accepted.
func Choose(s *feed.State, v *trust.View, sel Selection, now time.Time) Choice {
	c := chooser{
		Choice:    Choice{sel: sel, Withdrawn: map[feed.Ref]Withdrawn{}, Void: map[int64]feed.Row{}, waiting: map[signing.ID]bool{}},
		ended:     map[string]feed.Row{},
		wanted:    map[string]bool{},
		refused:   map[string]bool{},
		unscanned: map[string]bool{},
		authorize: func(r feed.Row) error { return v.Authorize(s.Item(r), now) },
	}
	x := s.Index
	// From the newest back: the first that is let in is the one wanted, and
	// a withdrawal is met before what it withdraws.
	for i := x.Size() - 1; i >= 0; i-- {
		row := x.Row(i)
		switch {
		case row.Void != "":
			c.Void[i] = row
		case !sel.Match(row.Ref):
		case row.What == feed.IsWithdrawal:
			c.withdrawal(row)
		case row.What == feed.IsPublication:
			c.publication(row)
		}
	}
	slices.Reverse(c.Wanted)
	slices.Reverse(c.Refused)
	slices.Reverse(c.Unscanned)
	return c.Choice
}

// Pending returns the first of what was refused that somebody has to see to: it
// may be let in once it is approved or scanned, or the source gives a sign of life
// again, or the scanner refused it. Nil where there is none. What is installed
// waits for nothing, it stays, but what the scanner refused is told all the same.
// What the policy keeps out for good is not meant: that was asked for.
func (c Choice) Pending(installed []Item) *Refused {
	for _, r := range c.Refused {
		if errors.Is(r.Err, trust.ErrUnclean) || !errors.Is(r.Err, trust.ErrUntrusted) && !isAmong(installed, r.Row) {
			return &r
		}
	}
	return nil
}

// Unapproved returns what was refused, and is not installed, for want of approvals.
func (c Choice) Unapproved(installed []Item) (rows []feed.Row) {
	for _, r := range c.Refused {
		if errors.Is(r.Err, trust.ErrUnapproved) && !isAmong(installed, r.Row) {
			rows = append(rows, r.Row)
		}
	}
	return rows
}

func isAmong(installed []Item, row feed.Row) bool {
	return slices.ContainsFunc(installed, func(it Item) bool { return it.Statement == row.ID })
}

type chooser struct {
	Choice
	ended           map[string]feed.Row // withdrawals, by kind/name@version without case
	authorize       func(feed.Row) error
	wanted, refused map[string]bool // by kind/name
	unscanned       map[string]bool // likewise
}

func (c *chooser) withdrawal(row feed.Row) {
	if err := c.authorize(row); err != nil {
		c.Refused = append(c.Refused, Refused{row, err})
		return
	}
	c.ended[strings.ToLower(row.Ref.String())] = row
}

func (c *chooser) publication(row feed.Row) {
	if w, ok := c.ended[strings.ToLower(row.Ref.String())]; ok {
		c.Withdrawn[row.Ref] = Withdrawn{row, w}
		return
	}
	name := nameOf(row.Ref)
	if c.wanted[name] {
		return
	}
	if err := c.authorize(row); err != nil {
		unscanned := errors.Is(err, trust.ErrUnscanned)
		if unscanned || errors.Is(err, trust.ErrUnapproved) {
			c.waiting[row.ID] = true
		}
		if unscanned && !c.unscanned[name] {
			c.unscanned[name] = true
			c.Unscanned = append(c.Unscanned, row)
		}
		if !c.refused[name] {
			c.refused[name] = true
			c.Refused = append(c.Refused, Refused{row, err})
		}
		return
	}
	c.wanted[name] = true
	c.Wanted = append(c.Wanted, row)
}

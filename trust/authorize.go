package trust

import (
	"fmt"
	"slices"
	"time"

	"airlock/signing"
	"airlock/storage"
)

// Item is what a policy is asked about.
type Item struct {
	Feed, Kind, Name, Version string // the feed by its own name
	Right                     Right
	// Statement is the publication, which approvals name. At is where it stands
	// and Leaf who signed it, as Signed.Leaf: what they published themselves
	// nobody approves.
	Statement signing.ID
	At        Position
	Leaf      int
	Manifest  storage.Digest // of a publication: what scanners speak of
}

func (i Item) String() string { return fmt.Sprintf("%s/%s@%s", i.Kind, i.Name, i.Version) }

// Evidence is what a policy is held against beside the item itself: what was
// learned elsewhere, and who asks.
type Evidence struct {
	// Alive is the signed time of the Space's newest sign of life, its holdings;
	// zero where none was seen.
	Alive time.Time
	// Receiver is the Space that takes in; zero where the home holds none, which
	// no approval can name.
	Receiver Lineage
	// Approvals are those known here, whichever way they came.
	Approvals []Approved
	// Known are the identities known here: an approver's key that the Space which
	// listed it has revoked does not count.
	Known []*History
	// Scans returns what scanners here said of a manifest, the newest word of each,
	// newest first; nil where none ever ran.
	Scans func(manifest storage.Digest) ([]Scan, error)
	// Lists are the trust lists that are heeded here: all of them must let in what a
	// policy does.
	Lists []List
	// Demand, where it is set, is asked for beside what the policy asks for, also
	// of a Space that needs none.
	Demand *Demand
	// Scanner, where it is set, is the command line whose word alone counts and is
	// asked for, whatever the policy says.
	Scanner string
}

// Demand asks for approvals in the name of a file of this home. Its Kinds say
// nothing: it is about whatever is judged by the evidence that it is a part of.
type Demand struct {
	ApprovalRule
	File, Rule string // as in a DeniedError
}

// Judge gives the view the evidence that Authorize goes by, in the place of
// what it had. It is not for concurrent use with Authorize.
func (v *View) Judge(e Evidence) {
	if !slices.Contains(e.Known, v.history) { // what it learns from now on counts too
		e.Known = append(slices.Clip(e.Known), v.history)
	}
	v.evidence, v.approved = e, map[signing.ID][]Approved{}
	for _, a := range e.Approvals {
		for _, id := range a.Approval.Approves {
			v.approved[id] = append(v.approved[id], a)
		}
	}
	for _, list := range v.approved { // of several by one person the last to expire is the one to name
		slices.SortStableFunc(list, func(a, b Approved) int { return b.Expires.Compare(a.Expires) })
	}
}

// Evidence returns what the view was last given to judge by.
func (v *View) Evidence() Evidence { return v.evidence }

// MaxAhead is how far a sign of life may be ahead of this machine's clock: one
// from further on would never grow old.
const MaxAhead = 24 * time.Hour

// Authorize asks the policy whether the item may come in now: nil, or a
// *DeniedError that names the rule. Without a policy everything may, but for
// what Evidence.Scanner asks. The scan is asked for last: whatever it keeps out,
// nothing else does.
func (v *View) Authorize(item Item, now time.Time) error {
	// A withdrawal takes away what may be dangerous: it waits for nobody.
	if err := v.allowed(item, now); err != nil || item.Right == MayWithdraw {
		return err
	}
	if err := v.awaited(item, now); err != nil {
		return err
	}
	return v.scanned(item)
}

// allowed asks whether the Space may ever say this here.
func (v *View) allowed(item Item, now time.Time) error {
	p := v.policy
	switch {
	case p == nil:
		return nil
	case p.Until != nil && now.After(p.Until.End()):
		return v.deny(item, Untrusted, "until", "trust ended on "+p.Until.String())
	case p.Rule(item) < 0:
		return v.deny(item, Untrusted, "allow", fmt.Sprintf("no rule lets %s %s it in feed %s", p.Space, item.Right, item.Feed))
	}
	return v.narrowed(item)
}

// awaited asks for the sign of life and the approvals that a publication needs.
func (v *View) awaited(item Item, now time.Time) error {
	if v.policy != nil {
		if why := v.policy.stale(v.evidence.Alive, now); why != "" {
			return v.deny(item, Stale, "maxAge", why)
		}
	}
	for _, t := range v.Tallies(item, now) {
		if !t.Enough() {
			return v.deny(item, Unapproved, fmt.Sprintf("approvals[%d]", t.Rule), t.String())
		}
	}
	if d := v.evidence.Demand; d != nil {
		if t := v.tally(d.ApprovalRule, item, now); !t.Enough() {
			return &DeniedError{Reason: Unapproved, Rule: d.Rule, File: d.File, Thing: item.String(), Why: t.String()}
		}
	}
	return nil
}

func (v *View) deny(item Item, reason Reason, rule, why string) error {
	denied := &DeniedError{Reason: reason, Rule: rule, Thing: item.String(), Why: why}
	if v.policy != nil {
		denied.File = v.policy.file
	}
	return denied
}

// stale says why a sign of life is too old, "" where it is not or none is asked
// for.
func (p *Policy) stale(alive, now time.Time) string {
	age := now.Sub(alive)
	switch {
	case p.MaxAge == 0:
		return ""
	case alive.IsZero():
		return fmt.Sprintf("needs a sign of life of %s, its holdings, not older than %s, and has seen none", p.Space, p.MaxAge)
	case age > time.Duration(p.MaxAge):
		return fmt.Sprintf("the last sign of life of %s, its holdings of %s, is %s old, at most %s is allowed",
			p.Space, signing.FormatTime(alive), Duration(age.Round(time.Minute)), p.MaxAge)
	case age < -MaxAhead:
		return fmt.Sprintf("the last sign of life of %s is of %s, and this machine's clock says %s", p.Space, signing.FormatTime(alive), signing.FormatTime(now))
	}
	return ""
}

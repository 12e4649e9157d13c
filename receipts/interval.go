package receipts

import (
	"fmt"
	"time"

	"airlock/signing"
)

// skew is how far honest clocks may be apart: nothing tells them the time across
// an air gap.
const skew = 10 * time.Minute

// bounds sets between which times each receipt was made, by the word of others.
// The signer's own clock sets none of them.
//
// Not before: the newest time that the source had signed in the log that the
// receipt names, and whatever bounds the receipt before it, whose statement it
// names too. Not after: its time stamp, or that of a later receipt that names it
// through the chain. The place in the log says nothing of its own: a receipt may
// be stamped long before it is appended.
func (a *Audit) bounds() {
	for i := range a.records {
		r := &a.records[i] // of a number that was used twice no chain leads on
		r.NotBefore, r.NotAfter = Bound{Why: "another receipt has its number"}, r.stamped
	}
	for _, chain := range a.ofInstance() {
		for i, r := range chain {
			r.NotBefore = Bound{Why: "nothing that it names has a time"}
			at := a.sources[source{r.Publication.Feed, r.Publication.Epoch}]
			if signed, ok := at.before(r.Seen); ok {
				r.NotBefore = Bound{signed.when, fmt.Sprintf("the log that it names holds %s entry %d, signed then by its source", r.Publication.Feed, signed.index)}
			} else if !at.read {
				r.NotBefore.Why = fmt.Sprintf("%s was not read", r.Publication.Feed)
			}
			if i > 0 && follows(chain[i-1], r) && chain[i-1].NotBefore.Time.After(r.NotBefore.Time) {
				r.NotBefore = Bound{chain[i-1].NotBefore.Time, fmt.Sprintf("it follows receipt %d, which was not made before then", chain[i-1].Number)}
			}
		}
		for i := len(chain) - 1; i >= 0; i-- {
			r := chain[i]
			r.NotAfter = r.stamped
			if r.NotAfter.Time.IsZero() {
				r.NotAfter.Why = "neither it nor a receipt that follows it has a time stamp that holds"
			}
			if i+1 == len(chain) || !follows(r, chain[i+1]) {
				continue
			}
			after := chain[i+1].NotAfter.Time
			if !after.IsZero() && (r.NotAfter.Time.IsZero() || after.Before(r.NotAfter.Time)) {
				r.NotAfter = Bound{after, fmt.Sprintf("receipt %d follows it, which was not made after then", chain[i+1].Number)}
			}
		}
		for _, r := range chain {
			a.clock(r)
		}
	}
}

// follows reports whether the second receipt names the first as the one before.
func follows(first, second *Record) bool {
	return second.Number == first.Number+1 && second.previous != nil && *second.previous == first.ID
}

// clock holds the signer's own time against what others prove.
func (a *Audit) clock(r *Record) {
	said, err := signing.ParseTime(r.Time)
	if err != nil {
		return // Parse has seen to it
	}
	from, to := r.NotBefore.Time, r.NotAfter.Time
	switch {
	case !from.IsZero() && !to.IsZero() && from.After(to.Add(skew)):
		a.find(Finding{Kind: Clock, Severity: Difference, A: r.Place, Why: fmt.Sprintf("not before %s (%s), and not after %s (%s): a clock is wrong", signing.FormatTime(from), r.NotBefore.Why, signing.FormatTime(to), r.NotAfter.Why)})
	case !from.IsZero() && said.Before(from.Add(-skew)):
		a.find(Finding{Kind: Clock, Severity: Difference, A: r.Place, Why: fmt.Sprintf("says that it was made at %s, and was not before %s: %s", r.Time, signing.FormatTime(from), r.NotBefore.Why)})
	case !to.IsZero() && said.After(to.Add(skew)):
		a.find(Finding{Kind: Clock, Severity: Difference, A: r.Place, Why: fmt.Sprintf("says that it was made at %s, and was not after %s: %s", r.Time, signing.FormatTime(to), r.NotAfter.Why)})
	}
}

// inRange reports whether something that was between two times can be within
// what is reported; zero times are no bounds.
func (a *Audit) inRange(from, to time.Time) bool {
	o := a.options
	return (o.Until.IsZero() || !from.After(o.Until)) && (o.Since.IsZero() || to.IsZero() || !to.Before(o.Since))
}

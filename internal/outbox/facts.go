package outbox

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Fact is what became of a package in one sync.
type Fact struct {
	Row       feed.Row // the publication or withdrawal that is the reason
	Ref       feed.Ref
	Manifest  storage.Digest
	Operation apply.Op // Add, Change, Remove, or Same for what was there before
	Outcome   receipts.Outcome
	Reason    string
	Earlier   bool // it was done before this sync, nobody knows when
}

// Done returns what a target did: outcomes are the target's, installed is what
// it had before.
func Done(outcomes []apply.Outcome, installed []apply.Item) []Fact {
	manifests := make(map[feed.Ref]storage.Digest, len(installed))
	for _, it := range installed {
		manifests[it.Ref] = it.Manifest
	}
	var out []Fact
	for _, o := range outcomes {
		a := o.Action
		f := Fact{Row: a.Row, Ref: a.Ref, Manifest: a.Row.Manifest, Operation: a.Op, Outcome: receipts.Applied}
		switch a.Op {
		case apply.Remove:
			f.Manifest = manifests[a.Ref] // the row may be one that does not count and says nothing
		case apply.Add, apply.Change, apply.Same:
		default:
			continue // nothing was done, for want of somebody's word
		}
		if o.Err != nil {
			f.Outcome, f.Reason = receipts.Failed, o.Err.Error()
		}
		out = append(out, f)
	}
	return out
}

// Refused returns what the policy keeps out. The reason names the rule, and not
// the file here in which it stands: others read it.
func Refused(refused []apply.Refused) []Fact {
	var out []Fact
	for _, r := range refused {
		reason := r.Err.Error()
		if denied, ok := errors.AsType[*trust.DeniedError](r.Err); ok {
			outward := *denied
			outward.File = ""
			reason = outward.Error()
		}
		out = append(out, Fact{Row: r.Row, Ref: r.Row.Ref, Manifest: r.Row.Manifest, Operation: apply.Same, Outcome: receipts.Rejected, Reason: reason})
	}
	return out
}

// Gone returns the removals that were done earlier and not said, as a process
// leaves them that died between the two: what was said to be applied was
// withdrawn or does not count any more, and nothing of its name is among what
// was installed or done.
func (r *Reported) Gone(choice apply.Choice, installed []apply.Item, outcomes []apply.Outcome) (out []Fact) {
	type name struct{ kind, name string }
	there := map[name]bool{}
	for _, it := range installed {
		there[name{it.Ref.Kind, it.Ref.Name}] = true
	}
	for _, o := range outcomes {
		there[name{o.Action.Ref.Kind, o.Action.Ref.Name}] = true
	}
	add := func(publication, reason feed.Row) {
		was := Fact{Row: publication, Ref: publication.Ref, Outcome: receipts.Applied}
		if said, ok := r.find(was.key(receipts.Applied)); ok && said == was.value() && !there[name{was.Ref.Kind, was.Ref.Name}] {
			out = append(out, Fact{Row: reason, Ref: was.Ref, Manifest: publication.Manifest, Operation: apply.Remove, Outcome: receipts.Applied, Earlier: true})
		}
	}
	for _, w := range choice.Withdrawn {
		add(w.Publication, w.By)
	}
	for _, v := range choice.Void {
		add(v, v)
	}
	slices.SortFunc(out, func(a, b Fact) int { return cmp.Compare(a.Row.Index, b.Row.Index) })
	return out
}

// Own is the home's own receipts feed.
type Own struct {
	Feed    feed.ID
	Epoch   uint64
	Lineage trust.Lineage
}

// Context is what the receipts of one sync have in common.
type Context struct {
	Own Own
	// Acted is the feed of which the facts speak, as far as it was followed.
	Acted *feed.State
	// The rest is as in a receipt; zero where nobody said.
	Bundle            *storage.Digest
	By, Environment   string
	Targets           []string
	Log               *receipts.Log
	Started, Finished time.Time
	Now               time.Time
}

// Receipts makes the receipts of facts, without their numbers.
func (c Context) Receipts(facts []Fact) []receipts.Receipt {
	out := make([]receipts.Receipt, len(facts))
	for i, f := range facts {
		r := receipts.Receipt{
			By: c.By, Bundle: c.Bundle, Checkpoint: string(c.Acted.Note), Environment: c.Environment, Epoch: c.Own.Epoch, Feed: c.Own.Feed,
			Lineage: c.Own.Lineage, Log: c.Log, Outcome: f.Outcome, Reason: signing.Printable(f.Reason, receipts.MaxReason), Targets: c.Targets,
			Time: signing.FormatTime(c.Now), Manifest: f.Manifest,
			Publication: receipts.Publication{Epoch: c.Acted.Epoch, Feed: c.Acted.ID, Kind: f.Ref.Kind, Lineage: c.Acted.Lineage, Name: f.Ref.Name,
				Statement: f.Row.ID, Version: f.Ref.Version},
		}
		if f.Operation != apply.Same {
			r.Operation = string(f.Operation)
		}
		if f.Operation != apply.Same && !f.Earlier {
			r.Started, r.Finished = receipts.OptionalTime(c.Started), receipts.OptionalTime(c.Finished)
		}
		out[i] = r
	}
	return out
}

package trust

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"airlock/storage"
)

// Tally is how far a publication has come by one rule of approvals.
type Tally struct {
	Rule     int // its place in Policy.Approvals
	Need     int // keys, and as many persons
	Counting []Vote
	// Waiting are the persons who have not approved and may.
	Waiting []string
	// Void are approvals of the publication that do not count.
	Void []Vote
}

// Vote is one person's approval.
type Vote struct {
	Person   string // as the policy names them; empty for a key that it does not list
	Approved Approved
	Why      string // why it does not count, empty where it does
}

// Enough reports whether the rule is met.
func (t Tally) Enough() bool { return len(t.Counting) >= t.Need }

// String says who has approved, who may, and what does not count.
func (t Tally) String() string {
	persons := "persons"
	if t.Need == 1 {
		persons = "person"
	}
	text := fmt.Sprintf("needs approvals by %d %s and has none", t.Need, persons)
	if len(t.Counting) > 0 {
		var names []string
		for _, v := range t.Counting {
			names = append(names, v.Person)
		}
		text = fmt.Sprintf("needs approvals by %d %s and has %d, by %s", t.Need, persons, len(names), strings.Join(names, ", "))
	}
	switch {
	case t.Enough():
	case len(t.Waiting) == 0:
		text += "; nobody else that the rule names may approve it"
	default:
		text += "; " + strings.Join(t.Waiting, ", ") + " may approve it"
	}
	for _, v := range t.Void {
		name := v.Person
		if name == "" {
			name = "key " + v.Approved.Approval.Key.String()
		}
		text += fmt.Sprintf("; that of %s does not count: %s", name, v.Why)
	}
	return text
}

// Tallies counts the approvals of a publication by each rule of the policy that
// covers it, in their order.
func (v *View) Tallies(item Item, now time.Time) []Tally {
	var out []Tally
	if v.policy == nil {
		return nil
	}
	for i, rule := range v.policy.Approvals {
		if matchAny(rule.Kinds, item.Kind) {
			t := v.tally(rule, item, now)
			t.Rule = i
			out = append(out, t)
		}
	}
	return out
}

func (v *View) tally(rule ApprovalRule, item Item, now time.Time) Tally {
	t := Tally{Need: rule.Keys}
	own, known := v.author(item)
	voted := map[string]bool{}
	for _, a := range v.approved[item.Statement] {
		vote := Vote{Person: rule.person(a.Approval.Key), Approved: a}
		who := personID(vote.Person)
		switch {
		case vote.Person == "":
			vote.Why = "the policy does not list it"
		case !known:
			vote.Why = "who published it is not known"
		case rule.isAuthor(who, own):
			vote.Why = vote.Person + " published it"
		default:
			vote.Why = v.evidence.Why(a, now)
		}
		switch {
		case vote.Why != "" && !voted[who]:
			t.Void = append(t.Void, vote)
		case vote.Why == "" && !voted[who]: // n keys of n persons: another key of one adds nothing
			voted[who] = true
			t.Counting = append(t.Counting, vote)
		}
	}
	for _, p := range rule.Persons {
		if who := personID(p.Name); !voted[who] && !rule.isAuthor(who, own) {
			voted[who] = true
			t.Waiting = append(t.Waiting, p.Name)
		}
	}
	return t
}

// Why says why an approval counts for nobody here: "" where it may.
func (e Evidence) Why(a Approved, now time.Time) string {
	if e.Receiver == (Lineage{}) || !slices.Contains(a.Approval.Audience, e.Receiver) {
		return "it is for other Spaces"
	}
	if now.After(a.Expires) {
		return "it expired on " + a.Approval.Expires
	}
	for _, h := range e.Known {
		if r := h.revokes(a.Approval.Key); r != nil {
			return fmt.Sprintf("%s revoked its key: %s", h.Space(), r.Reason)
		}
	}
	return ""
}

// revokes returns the revocation of a key that the Space once listed. What
// others say of a key they never had is nothing.
func (h *History) revokes(key storage.Digest) *Revocation {
	revocations := h.Current().Revocations
	i := slices.IndexFunc(revocations, func(r Revocation) bool { return r.Key == key })
	if i < 0 || !slices.ContainsFunc(h.versions, func(v Version) bool {
		return slices.ContainsFunc(v.Identity.Leaves, func(l Leaf) bool { return l.Key() == key })
	}) {
		return nil
	}
	return &revocations[i]
}

// author is who published an item, by the word of its Space.
type author struct {
	person string // personID
	keys   []storage.Digest
}

// author returns the person whose leaf signed the item, with every key that the
// Space ever listed as theirs.
func (v *View) author(item Item) (author, bool) {
	leaf, ok := v.Leaf(item.Leaf, item.At)
	if !ok {
		return author{}, false
	}
	out := author{person: personID(leaf.Person)}
	for _, version := range v.history.versions {
		for _, l := range version.Identity.Leaves {
			if personID(l.Person) == out.person {
				out.keys = append(out.keys, l.Key())
			}
		}
	}
	return out, true
}

// isAuthor reports whether a person of the rule is the one who published: by
// name or by any of their keys. Names count against a person only.
func (a ApprovalRule) isAuthor(who string, own author) bool {
	return who == own.person || slices.ContainsFunc(a.Persons, func(p Person) bool {
		return personID(p.Name) == who && slices.Contains(own.keys, p.Key)
	})
}

// person returns whose key it is, "" where the rule does not list it.
func (a ApprovalRule) person(key storage.Digest) string {
	for _, p := range a.Persons {
		if p.Key == key {
			return p.Name
		}
	}
	return ""
}

package trust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// council is a Space whose publications need approvals, and the people who may
// give them.
type council struct {
	*trusttest.Space
	receiver trust.Lineage
	keys     map[string]*signing.Signer
	policy   *trust.Policy
	item     trust.Item
	now      time.Time
}

func newCouncil(t *testing.T) *council {
	t.Helper()
	c := &council{Space: newSpace(t), receiver: lineageNumber(7), now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	c.keys = map[string]*signing.Signer{"alice": c.Publisher, "bob": c.Approver}
	for _, name := range []string{"carol", "carol 2", "dora", "mallory"} {
		c.keys[name] = person(name)
	}
	c.policy = trust.NewPolicy(c.Name, c.Lineage())
	c.policy.Allow = []trust.Allow{{Feeds: []string{"*"}, Kinds: []string{"*"}, Rights: []trust.Right{trust.MayPublish, trust.MayWithdraw}}}
	c.policy.Approvals = []trust.ApprovalRule{{Kinds: []string{"file"}, Keys: 2, Persons: []trust.Person{
		c.person("alice", "alice"), c.person("bob", "bob"), c.person("carol", "carol"), c.person("Carol", "carol 2"), c.person("dora", "dora")}}}
	c.item = trust.Item{Feed: "shared", Kind: "file", Name: "a", Version: "1", Right: trust.MayPublish, Statement: idNumber(1), At: entry(5)}
	return c
}

func (c *council) person(name, key string) trust.Person {
	return trust.Person{Name: name, Key: keyOf(c.keys[key])}
}

// by returns an approval of the item, changed by change.
func (c *council) by(t *testing.T, key string, change func(*trust.Approval)) trust.Approved {
	t.Helper()
	p := approvalOf(c.keys[key], c.receiver, c.item.Statement, idNumber(2))
	if change != nil {
		change(&p)
	}
	return must(trust.OpenApproval(trusttest.Sign(t, c.keys[key], must(p.Statement()))))
}

func (c *council) view(t *testing.T, approvals ...trust.Approved) *trust.View {
	t.Helper()
	raw := must(c.policy.Format())
	v := c.View(must(trust.ParsePolicy("trust/dev-qa.yaml", raw)))
	v.Judge(trust.Evidence{Receiver: c.receiver, Approvals: approvals})
	return v
}

// What counts, and what the refusal says of what does not.
func TestApprovals(t *testing.T) {
	c := newCouncil(t)
	carolTwice := []trust.Approved{c.by(t, "carol", nil), c.by(t, "carol 2", nil)}
	for name, test := range map[string]struct {
		approvals []trust.Approved
		says      []string // nothing for let in
	}{
		"none":                    {nil, []string{"needs approvals by 2 persons and has none; bob, carol, dora may approve it"}},
		"one":                     {[]trust.Approved{c.by(t, "carol", nil)}, []string{"has 1, by carol; bob, dora may approve it"}},
		"two":                     {[]trust.Approved{c.by(t, "carol", nil), c.by(t, "bob", nil)}, nil},
		"three":                   {[]trust.Approved{c.by(t, "carol", nil), c.by(t, "bob", nil), c.by(t, "dora", nil)}, nil},
		"one twice":               {[]trust.Approved{c.by(t, "carol", nil), c.by(t, "carol", func(p *trust.Approval) { p.Comment = "again" })}, []string{"has 1, by carol; bob, dora may approve it"}},
		"two keys of one person":  {carolTwice, []string{"has 1, by carol; bob, dora may approve it"}},
		"the publisher's own key": {[]trust.Approved{c.by(t, "alice", nil), c.by(t, "bob", nil)}, []string{"has 1, by bob", "that of alice does not count: alice published it"}},
		"a key that nobody lists": {[]trust.Approved{c.by(t, "mallory", nil), c.by(t, "bob", nil)}, []string{"that of key " + keyOf(c.keys["mallory"]).String() + " does not count: the policy does not list it"}},
		"another publication":     {[]trust.Approved{c.by(t, "carol", func(p *trust.Approval) { p.Approves = []signing.ID{idNumber(2)} }), c.by(t, "bob", nil)}, []string{"has 1, by bob; carol, dora may approve it (rule"}},
		"another audience":        {[]trust.Approved{c.by(t, "carol", func(p *trust.Approval) { p.Audience = []trust.Lineage{lineageNumber(8)} }), c.by(t, "bob", nil)}, []string{"that of carol does not count: it is for other Spaces"}},
		"several audiences":       {[]trust.Approved{c.by(t, "carol", func(p *trust.Approval) { p.Audience = append(p.Audience, lineageNumber(8)) }), c.by(t, "bob", nil)}, nil},
		"its last moment":         {[]trust.Approved{c.by(t, "carol", func(p *trust.Approval) { p.Expires = "2026-03-04T05:06:07Z" }), c.by(t, "bob", nil)}, nil},
		"expired":                 {[]trust.Approved{c.by(t, "carol", func(p *trust.Approval) { p.Expires = "2026-03-04T05:06:06Z" }), c.by(t, "bob", nil)}, []string{"that of carol does not count: it expired on 2026-03-04T05:06:06Z"}},
		"expired and renewed":     {[]trust.Approved{c.by(t, "carol", func(p *trust.Approval) { p.Expires = "2026-03-04T05:06:06Z" }), c.by(t, "carol", nil), c.by(t, "bob", nil)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.view(t, test.approvals...).Authorize(c.item, c.now)
			if len(test.says) == 0 {
				wantError(t, err, "")
				return
			}
			wantDenied(t, err, "approvals[0]", trust.ErrUnapproved)
			for _, says := range test.says {
				wantError(t, err, says)
			}
		})
	}
}

// What a file of the receiver demands is asked for beside the policy, whatever the
// kind, and of a Space that no policy is about.
func TestDemand(t *testing.T) {
	c := newCouncil(t)
	c.item.Kind = "release" // of which the policy asks nothing
	for name, approvals := range map[string][]trust.Approved{
		"approved":                {c.by(t, "dora", nil)},
		"by nobody":               nil,
		"by whom it does not ask": {c.by(t, "carol", nil)},
		"by who published":        {c.by(t, "alice", nil)},
	} {
		for policy, v := range map[string]*trust.View{"policy": c.view(t), "none": c.View(nil)} {
			demand := &trust.Demand{File: "subscriptions/shop.yaml", Rule: "rules.web",
				ApprovalRule: trust.ApprovalRule{Keys: 1, Persons: []trust.Person{c.person("dora", "dora"), c.person("alice", "alice")}}}
			v.Judge(trust.Evidence{Receiver: c.receiver, Approvals: approvals, Demand: demand})
			err := v.Authorize(c.item, c.now)
			if name == "approved" {
				wantError(t, err, "")
				continue
			}
			wantDenied(t, err, "rules.web", trust.ErrUnapproved)
			wantError(t, err, "subscriptions/shop.yaml")
			withdrawal := c.item
			withdrawal.Right = trust.MayWithdraw
			if err := v.Authorize(withdrawal, c.now); err != nil {
				t.Errorf("%s, %s: a withdrawal waits: %v", name, policy, err)
			}
		}
	}
}

// Who published is known by the source's identity, not by the name that the
// receiver knows them by.
func TestApprovalsByThePublisher(t *testing.T) {
	c := newCouncil(t)
	second := c.Leaf("Alice", trust.Approver)
	c.keys["alice 2"] = second
	c.Next(func(id *trust.Identity) { c.List(id, second) })
	third := c.Leaf("nobody", trust.Approver)
	c.keys["alice 3"] = third
	for name, test := range map[string]struct {
		person trust.Person
		key    string
	}{
		"another key of theirs":       {c.person("mrs a", "alice 2"), "alice 2"},
		"their name with another key": {c.person("ALICE ", "alice 3"), "alice 3"},
	} {
		t.Run(name, func(t *testing.T) {
			c.policy.Approvals[0].Persons = []trust.Person{test.person, c.person("bob", "bob")}
			v := c.view(t, c.by(t, test.key, nil), c.by(t, "bob", nil))
			err := v.Authorize(c.item, c.now)
			wantDenied(t, err, "approvals[0]", trust.ErrUnapproved)
			wantError(t, err, "published it")
			wantError(t, err, "nobody else that the rule names may approve it")
		})
	}
	// One person by two names of the policy: a key that is the publisher's.
	c.policy.Approvals[0].Persons = []trust.Person{c.person("boss", "alice"), c.person("boss", "alice 3"), c.person("bob", "bob")}
	err := c.view(t, c.by(t, "alice 3", nil), c.by(t, "bob", nil)).Authorize(c.item, c.now)
	wantError(t, err, "boss published it")
	// Where nobody can tell who published, nobody can tell who may approve.
	c.item.Leaf = 63
	err = c.view(t, c.by(t, "carol", nil), c.by(t, "bob", nil)).Authorize(c.item, c.now)
	wantError(t, err, "who published it is not known")
}

// A key that its Space revoked does not count; another Space's word is nothing.
func TestApprovalsRevoked(t *testing.T) {
	c := newCouncil(t)
	approvals := []trust.Approved{c.by(t, "carol", nil), c.by(t, "bob", nil)}
	stranger := trusttest.New(t, "acme/stranger")
	stranger.Next(func(id *trust.Identity) {
		id.Revocations = append(id.Revocations, trust.Revocation{Key: keyOf(c.keys["bob"]), Reason: "I say so", Since: []trust.RevokedFrom{}})
	})
	v := c.view(t)
	v.Judge(trust.Evidence{Receiver: c.receiver, Approvals: approvals, Known: []*trust.History{stranger.History()}})
	wantError(t, v.Authorize(c.item, c.now), "")

	revoking := c.Next(func(id *trust.Identity) { c.Revoke(id, c.Approver, entry(9)) })
	if err := v.Learn(revoking); err != nil {
		t.Fatal(err)
	}
	err := v.Authorize(c.item, c.now)
	wantDenied(t, err, "approvals[0]", trust.ErrUnapproved)
	wantError(t, err, "that of bob does not count: acme/dev-qa revoked its key: key was stolen")
	// So does what this home learned elsewhere.
	c2 := newCouncil(t)
	c2.keys["bob"] = c.keys["bob"]
	c2.policy.Approvals[0].Persons[1] = c2.person("bob", "bob")
	v = c2.view(t)
	v.Judge(trust.Evidence{Receiver: c2.receiver, Approvals: approvals, Known: []*trust.History{c.History()}})
	wantError(t, v.Authorize(c2.item, c2.now), "revoked its key")
}

// Every rule that covers a kind must be met; a home without a Space has none.
func TestApprovalsRules(t *testing.T) {
	c := newCouncil(t)
	c.policy.Approvals = append(c.policy.Approvals, trust.ApprovalRule{Kinds: []string{"*"}, Keys: 1, Persons: []trust.Person{c.person("dora", "dora")}},
		trust.ApprovalRule{Kinds: []string{"extension"}, Keys: 1, Persons: []trust.Person{c.person("dora", "dora")}})
	two := []trust.Approved{c.by(t, "carol", nil), c.by(t, "bob", nil)}
	wantDenied(t, c.view(t, two...).Authorize(c.item, c.now), "approvals[1]", trust.ErrUnapproved)
	all := append(two, c.by(t, "dora", nil))
	wantError(t, c.view(t, all...).Authorize(c.item, c.now), "")
	if tallies := c.view(t, all...).Tallies(c.item, c.now); len(tallies) != 2 || len(tallies[0].Counting) != 3 || !tallies[1].Enough() {
		t.Errorf("tallies: %v", tallies)
	}
	v := c.view(t)
	v.Judge(trust.Evidence{Approvals: all})
	wantDenied(t, v.Authorize(c.item, c.now), "approvals[0]", trust.ErrUnapproved)
	// A copy of a view judges by the same.
	wantError(t, c.view(t, all...).Clone().Authorize(c.item, c.now), "")
}

// However approvals come, a publication is let in exactly if two persons other
// than the publisher signed one that counts.
func TestApprovalsCount(t *testing.T) {
	c := newCouncil(t)
	type cast struct {
		Key               string
		Late, Moved, Else bool
	}
	persons := map[string]string{"bob": "bob", "carol": "carol", "carol 2": "carol", "dora": "dora"}
	keys := []string{"alice", "bob", "carol", "carol 2", "dora", "mallory"}
	rapid.Check(t, func(r *rapid.T) {
		votes := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) cast {
			return cast{rapid.SampledFrom(keys).Draw(r, "key"), rapid.Bool().Draw(r, "late"), rapid.Bool().Draw(r, "moved"), rapid.Bool().Draw(r, "else")}
		}), 0, 6).Draw(r, "votes")
		var approvals []trust.Approved
		counting := map[string]bool{}
		for _, vote := range votes {
			approvals = append(approvals, c.by(t, vote.Key, func(p *trust.Approval) {
				if vote.Late {
					p.Expires = "2026-03-01T00:00:00Z"
				}
				if vote.Moved {
					p.Audience = []trust.Lineage{lineageNumber(8)}
				}
				if vote.Else {
					p.Approves = []signing.ID{idNumber(2)}
				}
			}))
			if who := persons[vote.Key]; who != "" && !vote.Late && !vote.Moved && !vote.Else {
				counting[who] = true
			}
		}
		err := c.view(t, approvals...).Authorize(c.item, c.now)
		if (err == nil) != (len(counting) >= 2) || err != nil && !errors.Is(err, trust.ErrUnapproved) {
			r.Errorf("%d persons approved: %v", len(counting), err)
		}
	})
}

func TestTallyString(t *testing.T) {
	vote := func(name string) trust.Vote { return trust.Vote{Person: name} }
	for _, test := range []struct {
		tally trust.Tally
		want  string
	}{
		{trust.Tally{Need: 1, Waiting: []string{"bob"}}, "needs approvals by 1 person and has none; bob may approve it"},
		{trust.Tally{Need: 1, Counting: []trust.Vote{vote("bob")}, Waiting: []string{"carol"}}, "needs approvals by 1 person and has 1, by bob"},
		{trust.Tally{Need: 2}, "needs approvals by 2 persons and has none; nobody else that the rule names may approve it"},
	} {
		if got := test.tally.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	if got := (trust.Tally{Need: 1, Void: []trust.Vote{{Approved: trust.Approved{Approval: trust.Approval{Key: storage.DigestOf(nil)}}, Why: "x"}}}).String(); !strings.Contains(got, "that of key sha256:e3b0") {
		t.Error(got)
	}
}

// The order in which approvals come does not matter: of several by one person
// the one that holds longest is named, and none of them is held against it.
func TestApprovalsOrder(t *testing.T) {
	c := newCouncil(t)
	expired := c.by(t, "bob", func(p *trust.Approval) { p.Expires = "2026-03-01T00:00:00Z" })
	longer := c.by(t, "bob", func(p *trust.Approval) { p.Expires = "2030-01-01T00:00:00Z" })
	approvals := []trust.Approved{expired, c.by(t, "carol 2", nil), c.by(t, "mallory", nil), c.by(t, "bob", nil), longer}
	for range 2 {
		slices.Reverse(approvals)
		v := c.view(t, approvals...)
		wantError(t, v.Authorize(c.item, c.now), "")
		tally := v.Tallies(c.item, c.now)[0]
		if len(tally.Counting) != 2 || tally.Counting[0].Approved.ID != longer.ID || len(tally.Void) != 1 {
			t.Errorf("tally: %s", tally)
		}
	}
}

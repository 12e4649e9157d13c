package trust_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/trust"
	"airlock/trust/trusttest"
)

// both are the rights that rules below give.
var both = []trust.Right{trust.MayPublish, trust.MayWithdraw}

func rule(feed, kind string, rights ...trust.Right) trust.Allow {
	return trust.Allow{Feeds: []string{feed}, Kinds: []string{kind}, Rights: rights}
}

// TestLists holds items of a Space against lists of an administrator, under a
// policy that lets in everything but files.
func TestLists(t *testing.T) {
	dev, hq, prod := newSpace(t), trusttest.New(t, "acme/hq"), trusttest.New(t, "acme/production")
	party := func(s *trusttest.Space) trust.Party { return trust.Party{Space: s.Name, Lineage: s.Lineage()} }
	edge := func(from, to trust.Party, rules ...trust.Allow) trust.Edge {
		return trust.Edge{From: from, To: to, Allow: rules}
	}
	list := func(edges ...trust.Edge) trust.List {
		return trust.List{Package: "trust-list/acme@1", Publisher: party(hq), Feed: "acme/hq/trust", Entry: 3, Publication: idNumber(1), File: "lists/acme.yaml", Edges: edges}
	}
	all := list(edge(party(dev), party(prod), rule("*", "*", both...)))
	impostor := trust.Party{Space: dev.Name, Lineage: hq.Lineage()}
	for name, c := range map[string]struct {
		lists    []trust.List
		kind     string
		right    trust.Right
		homeless bool
		rule     string
		says     string
	}{
		"no list":                    {},
		"an edge":                    {lists: []trust.List{all}},
		"an edge to withdraw":        {lists: []trust.List{all}, right: trust.MayWithdraw},
		"wider than the policy":      {lists: []trust.List{all}, kind: "file", rule: "allow"},
		"no edges":                   {lists: []trust.List{list()}, rule: "trustLists", says: "variable-set/db@1: trust-list/acme@1, acme/hq/trust entry 3 (" + idNumber(1).String() + ") has no edge from acme/dev-qa to this Space (rule trustLists in lists/acme.yaml)"},
		"the other way round":        {lists: []trust.List{list(edge(party(prod), party(dev), rule("*", "*", both...)))}, rule: "trustLists"},
		"to another Space":           {lists: []trust.List{list(edge(party(dev), party(hq), rule("*", "*", both...)))}, rule: "trustLists"},
		"another lineage":            {lists: []trust.List{list(edge(impostor, party(prod), rule("*", "*", both...)))}, rule: "trustLists", says: "has an edge for acme/dev-qa of lineage " + hq.Lineage().String() + ", and this one is " + dev.Lineage().String()},
		"another kind":               {lists: []trust.List{list(edge(party(dev), party(prod), rule("*", "release", both...)))}, rule: "trustLists", says: "does not let publish it in feed shared on its edge acme/dev-qa to acme/production"},
		"another feed":               {lists: []trust.List{list(edge(party(dev), party(prod), rule("extra", "*", both...)))}, rule: "trustLists"},
		"not to withdraw":            {lists: []trust.List{list(edge(party(dev), party(prod), rule("*", "*", trust.MayPublish)))}, right: trust.MayWithdraw, rule: "trustLists"},
		"second rule of it":          {lists: []trust.List{list(edge(party(dev), party(prod), rule("extra", "*", both...), rule("shared", "*", both...)))}},
		"one list has, one has not":  {lists: []trust.List{all, list()}, rule: "trustLists"},
		"one has not, one list has":  {lists: []trust.List{list(), all}, rule: "trustLists"},
		"trust lists of others too":  {lists: []trust.List{list()}, kind: trust.ListKind, rule: "trustLists"},
		"a home that holds no Space": {lists: []trust.List{all, list(edge(party(dev), trust.Party{}, rule("*", "*", both...)))}, homeless: true, rule: "trustLists", says: "has no edge to a home that holds no Space"},
	} {
		t.Run(name, func(t *testing.T) {
			p := trust.NewPolicy(dev.Name, dev.Lineage())
			p.Allow = []trust.Allow{rule("*", "variable-set", both...), rule("*", trust.ListKind, both...)}
			v := dev.View(p)
			e := trust.Evidence{Receiver: prod.Lineage(), Lists: c.lists}
			if c.homeless {
				e.Receiver = trust.Lineage{}
			}
			v.Judge(e)
			item := trust.Item{Feed: "shared", Kind: "variable-set", Name: "db", Version: "1", Right: trust.MayPublish}
			if c.kind != "" {
				item.Kind = c.kind
			}
			if c.right != "" {
				item.Right = c.right
			}
			err := v.Authorize(item, time.Time{})
			wantDenied(t, err, c.rule, trust.ErrUntrusted)
			if c.says != "" {
				wantError(t, err, c.says)
			}
		})
	}

	// What the administrator publishes: the list itself gets through, the rest needs
	// an edge like any other's. A home's own Space needs none.
	p := trust.NewPolicy(hq.Name, hq.Lineage())
	p.Allow = []trust.Allow{rule("*", "*", both...)}
	for _, c := range []struct {
		view *trust.View
		kind string
		rule string
	}{{hq.View(p), trust.ListKind, ""}, {hq.View(p), "environments", "trustLists"}, {prod.View(nil), "environments", ""}} {
		c.view.Judge(trust.Evidence{Receiver: prod.Lineage(), Lists: []trust.List{list()}})
		item := trust.Item{Feed: "trust", Kind: c.kind, Name: "acme", Version: "2", Right: trust.MayPublish}
		wantDenied(t, c.view.Authorize(item, time.Time{}), c.rule, trust.ErrUntrusted)
	}
}

func TestPolicyTrustLists(t *testing.T) {
	for name, c := range map[string]struct{ lists, kinds, want string }{
		"heeded":                {"narrow", "[trust-list]", ""},
		"among all kinds":       {"narrow", `["*"]`, ""},
		"unknown":               {"widen", "[trust-list]", `trustLists "widen": want narrow, or leave it out`},
		"lists are not let in":  {"narrow", "[variable-set]", "trustLists narrow, and no rule of allow lets the Space publish the kind trust-list"},
		"only to be withdrawn":  {"narrow", "[trust-list]\n    rights: [withdraw]", "no rule of allow lets the Space publish"},
		"without value":         {"", "[trust-list]", "line 6: has no value"},
		"capitals are no value": {"Narrow", "[trust-list]", "want narrow"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(goodPolicy, "maxAge: 72h", "trustLists: "+c.lists, 1)
			text = strings.Replace(text, "[variable-set]", c.kinds, 1)
			if strings.Contains(c.kinds, "rights") {
				text = strings.Replace(text, "    rights: [publish, withdraw]\n", "", 1)
			}
			p, err := trust.ParsePolicy("p.yaml", []byte(text))
			wantError(t, err, c.want)
			if err != nil {
				return
			}
			b, err := p.Format()
			if err != nil || !strings.Contains(string(b), "\ntrustLists: narrow\n") {
				t.Errorf("becomes\n%s, %v", b, err)
			}
		})
	}
}

func TestLacks(t *testing.T) {
	p := trust.NewPolicy(newSpace(t).Name, trust.Lineage(idNumber(1)))
	p.Allow = []trust.Allow{
		{Feeds: []string{"shared"}, Kinds: []string{"variable-set", "file"}, Names: []string{"shop-*"}, Versions: []trust.Mask{must(trust.ParseMask("1.x"))}, Rights: both},
		rule("team-*", "*", trust.MayPublish),
		rule("*", "release", trust.MayWithdraw),
	}
	for text, lacks := range map[string]bool{
		"shared/variable-set/shop-a/1.x/publish":        false,
		"shared/variable-set/shop-a*,shop-/1.X/publish": false,
		"shared/file,variable-set/shop-*/1.x/withdraw":  false,
		"shared/file/shop/1.x/publish":                  true,
		"shared/file/*/1.x/publish":                     true,
		"shared/file//1.x/publish":                      true,
		"shared/file/shop-a/1.0/publish":                true, // a range is compared by its text alone
		"shared/file/shop-a//publish":                   true,
		"shared,extra/file/shop-a/1.x/publish":          true,
		"shared/file,release/shop-a/1.x/publish":        true,
		"team-a/anything/a/2/publish":                   false,
		"team-*/*///publish":                            false,
		"team*/*///publish":                             true,
		"team-a/file///publish,withdraw":                true,
		"team-a/release///publish,withdraw":             false, // by two rules, one for each right
		"*/rel*///withdraw":                             true,
	} {
		part := strings.Split(text, "/")
		split := func(s string) []string {
			if s == "" {
				return nil
			}
			return strings.Split(s, ",")
		}
		a := trust.Allow{Feeds: split(part[0]), Kinds: split(part[1]), Names: split(part[2])}
		for _, m := range split(part[3]) {
			a.Versions = append(a.Versions, must(trust.ParseMask(m)))
		}
		for _, r := range split(part[4]) {
			a.Rights = append(a.Rights, trust.Right(r))
		}
		if got := len(p.Lacks([]trust.Allow{a})) > 0; got != lacks {
			t.Errorf("%s: lacking is %v", text, got)
		}
	}
}

// What is not lacking is let in by the policy: whatever a rule covers, p covers.
func TestLacksNothingThatIsKeptOut(t *testing.T) {
	words := []string{"a", "ab", "a*", "*", "b"}
	draw := func(t *rapid.T) trust.Allow {
		list := func(name string, least int) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(words), least, 2, rapid.ID).Draw(t, name)
		}
		a := trust.Allow{Feeds: list("feeds", 1), Kinds: list("kinds", 1), Names: list("names", 0), Rights: rapid.SliceOfNDistinct(rapid.SampledFrom(both), 1, 2, rapid.ID).Draw(t, "rights")}
		for _, text := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"*", "1.x", "1.2", ">=2"}), 0, 2, rapid.ID).Draw(t, "versions") {
			a.Versions = append(a.Versions, must(trust.ParseMask(text)))
		}
		return a
	}
	rapid.Check(t, func(t *rapid.T) {
		p, other := &trust.Policy{}, &trust.Policy{Allow: []trust.Allow{draw(t)}}
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			p.Allow = append(p.Allow, draw(t))
		}
		item := trust.Item{Feed: rapid.SampledFrom([]string{"a", "ab", "abc", "b", "c"}).Draw(t, "feed"), Kind: rapid.SampledFrom([]string{"a", "ab", "c"}).Draw(t, "kind"),
			Name: rapid.SampledFrom([]string{"a", "ab", "c"}).Draw(t, "name"), Version: rapid.SampledFrom([]string{"1.2", "1.3", "2.0", "x"}).Draw(t, "version"), Right: rapid.SampledFrom(both).Draw(t, "right")}
		if len(p.Lacks(other.Allow)) == 0 && other.Rule(item) >= 0 && p.Rule(item) < 0 {
			t.Fatalf("%v lacks nothing of %v, and keeps out %+v", p.Allow, other.Allow, item)
		}
	})
}

func TestWiden(t *testing.T) {
	add := []trust.Allow{{Feeds: []string{"extra"}, Kinds: []string{"*"}, Versions: []trust.Mask{must(trust.ParseMask(">=2, <3"))}, Rights: both}}
	for name, c := range map[string]struct{ file, want string }{
		"comments stay": {"# ours\n" + strings.Replace(goodPolicy, "maxAge: 72h", "maxAge: 72h # three days", 1), ""},
		"no rules":      {goodPolicy[:strings.Index(goodPolicy, "allow:")] + "allow: []\n", ""},
		"no allow":      {goodPolicy[:strings.Index(goodPolicy, "allow:")], ""},
		"not a policy":  {"kind: Else\n", "apiVersion"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := trust.Widen("p.yaml", []byte(c.file), add)
			wantError(t, err, c.want)
			if err != nil {
				return
			}
			before, after := must(trust.ParsePolicy("p.yaml", []byte(c.file))), must(trust.ParsePolicy("p.yaml", got))
			before.Allow = append(before.Allow, add...)
			if a, b := must(before.Format()), must(after.Format()); string(a) != string(b) {
				t.Errorf("got\n%s\nwant\n%s", b, a)
			}
			for _, comment := range []string{"# ours\n", "# three days\n"} {
				if strings.Contains(c.file, comment) && !strings.Contains(string(got), comment) {
					t.Errorf("%q is gone:\n%s", comment, got)
				}
			}
		})
	}
	big := goodPolicy + strings.Repeat("# comment\n", (trust.MaxPolicy-len(goodPolicy))/10)
	if _, err := trust.Widen("p.yaml", []byte(big), add); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("grows past the bound: %v", err)
	}
}

// Whatever lists say, and however many: what they let in, the policy lets in alone,
// and one list more never lets in more.
func TestListsNeverWiden(t *testing.T) {
	dev, hq, prod := newSpace(t), trusttest.New(t, "acme/hq"), trusttest.New(t, "acme/production")
	parties := []trust.Party{{Space: dev.Name, Lineage: dev.Lineage()}, {Space: hq.Name, Lineage: hq.Lineage()}, {Space: prod.Name, Lineage: prod.Lineage()}}
	word := rapid.SampledFrom([]string{"a", "ab", "a*", "*", trust.ListKind})
	rapid.Check(t, func(t *rapid.T) {
		rules := func() (out []trust.Allow) {
			for range rapid.IntRange(1, 2).Draw(t, "rules") {
				out = append(out, rule(word.Draw(t, "feed"), word.Draw(t, "kind"), rapid.SliceOfNDistinct(rapid.SampledFrom(both), 1, 2, rapid.ID).Draw(t, "rights")...))
			}
			return out
		}
		p := trust.NewPolicy(dev.Name, dev.Lineage())
		p.Allow = rules()
		v := dev.View(p)
		item := trust.Item{Feed: rapid.SampledFrom([]string{"a", "ab"}).Draw(t, "of feed"), Kind: rapid.SampledFrom([]string{"a", "b", trust.ListKind}).Draw(t, "of kind"),
			Name: "n", Version: "1", Right: rapid.SampledFrom(both).Draw(t, "right")}
		let, lists := v.Authorize(item, time.Time{}) == nil, []trust.List(nil)
		for range rapid.IntRange(1, 3).Draw(t, "lists") {
			l := trust.List{Publisher: rapid.SampledFrom(parties).Draw(t, "publisher")}
			for range rapid.IntRange(0, 3).Draw(t, "edges") {
				l.Edges = append(l.Edges, trust.Edge{From: rapid.SampledFrom(parties).Draw(t, "from"), To: rapid.SampledFrom(parties).Draw(t, "to"), Allow: rules()})
			}
			lists = append(lists, l)
			v.Judge(trust.Evidence{Receiver: prod.Lineage(), Lists: lists})
			now := v.Authorize(item, time.Time{}) == nil
			if now && !let {
				t.Fatalf("list %d lets in %+v: %+v", len(lists), item, lists)
			}
			let = now
		}
	})
}

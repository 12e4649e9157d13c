package trust_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"airlock/storage"
	"airlock/trust"
)

const goodPolicy = `apiVersion: airlock.example/v1
kind: TrustPolicy
space: acme/dev-qa
lineage: sha256:1111111111111111111111111111111111111111111111111111111111111111
until: 2027-12-31
maxAge: 72h
scan: required
allow:
  - feeds: [shared]
    kinds: [variable-set]
    names: [shop-*]
    versions: [1.x]
    rights: [publish, withdraw]
approvals:
  - kinds: [extension]
    keys: 1
    persons:
      - name: alice
        key: sha256:2222222222222222222222222222222222222222222222222222222222222222
`

func TestParsePolicyRefuses(t *testing.T) {
	swap := func(old, with string) string {
		if !strings.Contains(goodPolicy, old) {
			t.Fatalf("%s is not in the policy", old)
		}
		return strings.Replace(goodPolicy, old, with, 1)
	}
	bomb := "x: &a [" + strings.Repeat("a,", 1000) + "a]\ny: &b [" + strings.Repeat("*a,", 1000) + "*a]\nz: [" + strings.Repeat("*b,", 1000) + "*b]\n"
	var manyMembers strings.Builder
	for i := range 31 {
		fmt.Fprintf(&manyMembers, "x%d: 1\n", i)
	}
	var manyPersons strings.Builder
	for i := range 256 {
		fmt.Fprintf(&manyPersons, "      - {name: p%d, key: sha256:%064x}\n", i, i+1)
	}
	for name, test := range map[string]struct{ file, want string }{
		"as it should be":      {goodPolicy, ""},
		"comment":              {"# for shop\n" + goodPolicy, ""},
		"begins with ---":      {"---\n" + goodPolicy, ""},
		"no rules":             {swap(goodPolicy[strings.Index(goodPolicy, "allow:"):], "allow: []\n"), ""},
		"oversized":            {goodPolicy + strings.Repeat(" ", trust.MaxPolicy), "at most"},
		"empty":                {"", "is empty"},
		"only a comment":       {"# nothing\n", "is empty"},
		"a list":               {"- a\n", "cannot unmarshal"},
		"unknown field":        {swap("maxAge:", "maxage:"), "not found"},
		"unknown field inside": {swap("    rights:", "    right: [publish]\n    rights:"), "not found"},
		"field twice":          {swap("maxAge: 72h", "maxAge: 72h\nmaxAge: 73h"), "already defined"},
		"field twice inside":   {swap("    kinds: [variable-set]", "    kinds: [variable-set]\n    kinds: ['*']"), "already defined"},
		"two documents":        {goodPolicy + "---\n" + goodPolicy, "more than one document"},
		"second, broken":       {goodPolicy + "---\n{", "more than one document"},
		"bomb":                 {bomb + goodPolicy, "line 1: anchors"},
		"anchor":               {swap("[shop-*]", "&n [shop-*]"), "line 11: anchors"},
		"alias":                {swap("maxAge: 72h", "maxAge: *n"), "unknown anchor"},
		"merge key":            {swap("maxAge: 72h", "<<: {maxAge: 72h}"), "line 6: anchors, aliases and merge keys"},
		"tag":                  {swap("[shop-*]", "[!!binary c2hvcA==]"), "line 11: tags"},
		"tag of one's own":     {swap("until: 2027-12-31", "until: !date 2027-12-31"), "line 5: tags"},
		"until without a day":  {swap("until: 2027-12-31", "until:"), "line 5: has no value"},
		"until null":           {swap("until: 2027-12-31", "until: ~"), "line 5: has no value"},
		"names without value":  {swap("names: [shop-*]", "names:"), "line 11: has no value"},
		"names empty":          {swap("names: [shop-*]", "names: []"), "leave the list out"},
		"versions empty":       {swap("versions: [1.x]", "versions: []"), "leave the list out"},
		"name null":            {swap("[shop-*]", "[shop-*, null]"), "has no value"},
		"too many members":     {goodPolicy + manyMembers.String(), "40 members"},
		"too many errors":      {"allow:\n" + strings.Repeat("  - {a: 1}\n", 1000), "and 995 more"},
		"nested":               {strings.Repeat("[", 100_000), "yaml"},
		"tab":                  {swap("    kinds", "\tkinds"), "yaml"},
		"not UTF-8":            {swap("shop-*", "\xff\xfe"), "yaml"},

		"api version":           {swap("airlock.example/v1", "airlock.example/v2"), "apiVersion"},
		"kind":                  {swap("TrustPolicy", "Identity"), "kind"},
		"space":                 {swap("acme/dev-qa", "acme"), "space"},
		"no lineage":            {swap("lineage: sha256:1111111111111111111111111111111111111111111111111111111111111111\n", ""), "lineage is missing"},
		"zero lineage":          {swap("1111111111111111111111111111111111111111111111111111111111111111", strings.Repeat("0", 64)), "lineage is missing"},
		"lineage cut off":       {swap("sha256:11", "sha256:1"), "digest"},
		"until, no such day":    {swap("2027-12-31", "2027-02-30"), "want a day"},
		"until with a time":     {swap("2027-12-31", "2027-12-31T00:00:00Z"), "want a day"},
		"negative age":          {swap("72h", "-72h"), "time span"},
		"scan, unknown":         {swap("scan: required", "scan: never"), "scan \"never\": want required"},
		"scan, capitals":        {swap("scan: required", "scan: Required"), "want required"},
		"scan, without value":   {swap("scan: required", "scan:"), "line 7: has no value"},
		"no scan":               {swap("scan: required\n", ""), ""},
		"age without a unit":    {swap("72h", "72"), "time span"},
		"no feeds":              {swap("  - feeds: [shared]\n    kinds", "  - kinds"), "feeds and kinds are missing"},
		"no kinds":              {swap("    kinds: [variable-set]\n", ""), "feeds and kinds are missing"},
		"no rights":             {swap("    rights: [publish, withdraw]\n", ""), "rights are missing"},
		"unknown right":         {swap("withdraw]", "delete]"), "right \"delete\""},
		"star in the middle":    {swap("shop-*", "shop-*-eu"), "pattern"},
		"two stars":             {swap("shop-*", "shop-**"), "pattern"},
		"star in front":         {swap("shop-*", "'*-shop'"), "pattern"},
		"empty pattern":         {swap("shop-*", "''"), "pattern"},
		"capitals":              {swap("shop-*", "Shop-*"), "pattern"},
		"whole feed":            {swap("feeds: [shared]", "feeds: [acme/dev-qa/shared]"), "pattern"},
		"mask":                  {swap("1.x", "'>=z'"), "version mask"},
		"approval of nothing":   {swap("  - kinds: [extension]\n    keys", "  - keys"), "approvals[0]"},
		"approval by nobody":    {swap("keys: 1", "keys: 0"), "approvals[0]"},
		"more keys than people": {swap("keys: 1", "keys: 2"), "approvals[0]"},
		"two keys of a person":  {goodPolicy + "      - name: alice\n        key: sha256:" + strings.Repeat("3", 64) + "\n", ""},
		"two keys, one person":  {swap("keys: 1", "keys: 2") + "      - name: ' Alice'\n        key: sha256:" + strings.Repeat("3", 64) + "\n", "asks for 2 persons and names 1"},
		"key twice":             {goodPolicy + "      - name: bob\n        key: sha256:" + strings.Repeat("2", 64) + "\n", "each key once"},
		"person without a key":  {goodPolicy + "      - name: bob\n", "and a key"},
		"key without a person":  {goodPolicy + "      - key: sha256:" + strings.Repeat("3", 64) + "\n", "printable name"},
		"person of spaces":      {swap("name: alice", "name: ' '"), "printable name"},
		"person, unprintable":   {swap("name: alice", `name: "a\u202eb"`), "printable name"},
		"too many persons":      {goodPolicy + manyPersons.String(), "at most 256 persons"},
		"approval, pattern":     {swap("[extension]", "['*x']"), "pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := trust.ParsePolicy("trust/dev-qa.yaml", []byte(test.file))
			wantError(t, err, test.want)
			if err != nil {
				wantError(t, err, "trust/dev-qa.yaml")
			} else if p.File() != "trust/dev-qa.yaml" {
				t.Errorf("file is %q", p.File())
			}
		})
	}
}

// A version is text in YAML whatever it looks like.
func TestPolicyVersions(t *testing.T) {
	p, err := trust.ParsePolicy("p", []byte(strings.Replace(goodPolicy, "[1.x]", "[1.10, 0x10, 2024-01-05, 1e3, true]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range p.Allow[0].Versions {
		got = append(got, m.String())
	}
	if diff := cmp.Diff([]string{"1.10", "0x10", "2024-01-05", "1e3", "true"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAuthorize(t *testing.T) {
	s := newSpace(t)
	both := []trust.Right{trust.MayPublish, trust.MayWithdraw}
	allow := func(feeds, kinds, names, versions string, rights ...trust.Right) trust.Allow {
		a := trust.Allow{Feeds: strings.Fields(feeds), Kinds: strings.Fields(kinds), Rights: rights}
		if names != "" {
			a.Names = strings.Fields(names)
		}
		for _, v := range strings.Fields(versions) {
			a.Versions = append(a.Versions, must(trust.ParseMask(v)))
		}
		return a
	}
	until := must(trust.ParseDate("2027-12-31"))
	midnight := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	item := trust.Item{Feed: "shared", Kind: "variable-set", Name: "shop-db", Version: "1.4.0", Right: trust.MayPublish}
	everything, anHour := []trust.Allow{allow("*", "*", "", "", both...)}, trust.Duration(time.Hour)
	withdraw := item
	withdraw.Right = trust.MayWithdraw
	person := []trust.Person{{Name: "alice", Key: storage.DigestOf([]byte("k"))}}
	for name, test := range map[string]struct {
		allow     []trust.Allow
		approvals []trust.ApprovalRule
		until     *trust.Date
		maxAge    trust.Duration
		alive     time.Time
		now       time.Time
		item      trust.Item
		rule      string
		reason    error
	}{
		"nothing allowed":       {item: item, rule: "allow"},
		"everything":            {allow: []trust.Allow{allow("*", "*", "*", "*", both...)}, item: item},
		"everything, withdrawn": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, item: withdraw},
		"exactly":               {allow: []trust.Allow{allow("shared", "variable-set", "shop-db", "1.4.0", trust.MayPublish)}, item: item},
		"by prefix":             {allow: []trust.Allow{allow("sh*", "var*", "shop-*", "1.x", trust.MayPublish)}, item: item},
		"prefix is the name":    {allow: []trust.Allow{allow("*", "*", "shop-db*", "", trust.MayPublish)}, item: item},
		"second rule":           {allow: []trust.Allow{allow("x", "*", "", "", both...), allow("shared", "*", "", "", both...)}, item: item},
		"one of several":        {allow: []trust.Allow{allow("a shared", "file variable-set", "a shop-*", "2.x 1.x", trust.MayPublish)}, item: item},
		"another feed":          {allow: []trust.Allow{allow("share", "*", "", "", both...)}, item: item, rule: "allow"},
		"feed, prefix":          {allow: []trust.Allow{allow("sharedx*", "*", "", "", both...)}, item: item, rule: "allow"},
		"another kind":          {allow: []trust.Allow{allow("*", "variable", "", "", both...)}, item: item, rule: "allow"},
		"another name":          {allow: []trust.Allow{allow("*", "*", "shop", "", both...)}, item: item, rule: "allow"},
		"another prefix":        {allow: []trust.Allow{allow("*", "*", "shops*", "", both...)}, item: item, rule: "allow"},
		"another version":       {allow: []trust.Allow{allow("*", "*", "", "2.x 1.4.1", both...)}, item: item, rule: "allow"},
		"may only publish":      {allow: []trust.Allow{allow("*", "*", "", "", trust.MayPublish)}, item: withdraw, rule: "allow"},
		"may only withdraw":     {allow: []trust.Allow{allow("*", "*", "", "", trust.MayWithdraw)}, item: item, rule: "allow"},
		// Rules do not add up: one of them has to cover the whole thing.
		"half by each": {allow: []trust.Allow{allow("shared", "file", "", "", both...), allow("x", "variable-set", "", "", both...)}, item: item, rule: "allow"},

		"last moment": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, until: &until, now: midnight.Add(-time.Nanosecond), item: item},
		"a day later": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, until: &until, now: midnight, item: item, rule: "until"},
		"last moment, elsewhere": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, until: &until,
			now: midnight.Add(-time.Second).In(time.FixedZone("", 14*3600)), item: item},
		"until, withdrawal": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, until: &until, now: midnight, item: withdraw, rule: "until"},

		"no sign of life":         {allow: everything, maxAge: anHour, now: midnight, item: item, rule: "maxAge", reason: trust.ErrStale},
		"alive":                   {allow: everything, maxAge: anHour, alive: midnight.Add(-time.Hour), now: midnight, item: item},
		"alive too long ago":      {allow: everything, maxAge: anHour, alive: midnight.Add(-time.Hour - 1), now: midnight, item: item, rule: "maxAge", reason: trust.ErrStale},
		"clock a little behind":   {allow: everything, maxAge: anHour, alive: midnight.Add(24 * time.Hour), now: midnight, item: item},
		"from the future":         {allow: everything, maxAge: anHour, alive: midnight.Add(24*time.Hour + 1), now: midnight, item: item, rule: "maxAge", reason: trust.ErrStale},
		"any age":                 {allow: everything, alive: midnight.AddDate(-9, 0, 0), now: midnight, item: item},
		"age, not allowed anyway": {maxAge: trust.Duration(time.Hour), item: item, rule: "allow"},
		"withdrawals, at any age": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, maxAge: trust.Duration(time.Hour), item: withdraw},

		"needs approval": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, approvals: []trust.ApprovalRule{{Kinds: []string{"variable-*"}, Keys: 1, Persons: person}},
			item: item, rule: "approvals[0]", reason: trust.ErrUnapproved},
		"other kinds need approval": {allow: []trust.Allow{allow("*", "*", "", "", both...)}, approvals: []trust.ApprovalRule{{Kinds: []string{"extension"}, Keys: 1, Persons: person}}, item: item},
		"withdrawals need none":     {allow: []trust.Allow{allow("*", "*", "", "", both...)}, approvals: []trust.ApprovalRule{{Kinds: []string{"*"}, Keys: 1, Persons: person}}, item: withdraw},
		"approved, not allowed":     {approvals: []trust.ApprovalRule{{Kinds: []string{"*"}, Keys: 1, Persons: person}}, item: item, rule: "allow"},
	} {
		t.Run(name, func(t *testing.T) {
			p := trust.NewPolicy(s.Name, s.Lineage())
			p.Allow, p.Approvals, p.Until, p.MaxAge = test.allow, test.approvals, test.until, test.maxAge
			raw, err := p.Format()
			if err != nil {
				t.Fatal(err)
			}
			if p, err = trust.ParsePolicy("trust/dev-qa.yaml", raw); err != nil {
				t.Fatal(err)
			}
			if test.reason == nil {
				test.reason = trust.ErrUntrusted
			}
			v := s.View(p)
			v.Judge(trust.Evidence{Alive: test.alive})
			err = v.Authorize(test.item, test.now)
			wantDenied(t, err, test.rule, test.reason)
			if err != nil { // B8: a refusal names the rule, the file and the thing
				wantError(t, err, "variable-set/shop-db@1.4.0")
				wantError(t, err, "in trust/dev-qa.yaml")
			}
		})
	}
}

func TestPolicyFormatRefuses(t *testing.T) {
	_, err := trust.NewPolicy(trust.Space{Organisation: "acme", Name: "dev-qa"}, trust.Lineage{}).Format()
	wantError(t, err, "lineage is missing")
	p := must(trust.ParsePolicy("p", []byte(goodPolicy)))
	p.Allow[0].Names = []string{"*x"}
	_, err = p.Format()
	wantError(t, err, "allow[0]: pattern")
}

func policies() *rapid.Generator[*trust.Policy] {
	return rapid.Custom(func(t *rapid.T) *trust.Policy {
		patterns := rapid.SliceOfN(rapid.StringMatching(`[a-z0-9._-]{1,8}\*?|\*`), 1, 4)
		digest := func() storage.Digest {
			return storage.DigestOf(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "digest"))
		}
		p := trust.NewPolicy(trust.Space{Organisation: "acme", Name: "dev-qa"}, trust.Lineage(digest()))
		p.MaxAge = trust.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "max age"))
		p.Scan = rapid.SampledFrom([]string{"", trust.ScanRequired}).Draw(t, "scan")
		if rapid.Bool().Draw(t, "ends") {
			day := must(trust.ParseDate(fmt.Sprintf("20%02d-%02d-28", rapid.IntRange(0, 99).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month"))))
			p.Until = &day
		}
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			a := trust.Allow{Feeds: patterns.Draw(t, "feeds"), Kinds: patterns.Draw(t, "kinds"), Rights: []trust.Right{trust.MayWithdraw}}
			if rapid.Bool().Draw(t, "names") {
				a.Names = patterns.Draw(t, "names")
			}
			for range rapid.IntRange(0, 2).Draw(t, "masks") {
				a.Versions = append(a.Versions, must(trust.ParseMask(rapid.StringMatching(`[0-9]{1,3}\.[0-9]{1,3}|~[1-9]\.x|null|~`).Filter(parses).Draw(t, "mask"))))
			}
			p.Allow = append(p.Allow, a)
		}
		if rapid.Bool().Draw(t, "approvals") {
			name := rapid.StringMatching(`[!-~é][ -~é]{0,19}`).Draw(t, "person")
			p.Approvals = []trust.ApprovalRule{{Kinds: patterns.Draw(t, "kinds"), Keys: 1, Persons: []trust.Person{{Name: name, Key: digest()}}}}
		}
		return p
	})
}

func parses(mask string) bool {
	_, err := trust.ParseMask(mask)
	return err == nil
}

func TestPolicyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := policies().Draw(t, "policy")
		raw, err := in.Format()
		if err != nil {
			t.Fatal(err)
		}
		out, err := trust.ParsePolicy("p", raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		again, err := out.Format()
		if err != nil || string(again) != string(raw) {
			t.Errorf("%s became %s, %v", raw, again, err)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(goodPolicy))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("---\n...\n---\n"))
	f.Add([]byte("{apiVersion: airlock.example/v1, kind: TrustPolicy, until: }"))
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := trust.ParsePolicy("p", file)
		if err != nil {
			return
		}
		raw, err := p.Format()
		if err != nil {
			t.Fatalf("%q parses and cannot be written: %v", file, err)
		}
		if _, err := trust.ParsePolicy("p", raw); err != nil {
			t.Errorf("%q became %q: %v", file, raw, err)
		}
	})
}

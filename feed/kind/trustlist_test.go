package kind

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"airlock/storage"
	"airlock/trust"
)

const trustListExample = examplesDir + "/trust/acme-trust.yaml"

func exampleTrustList(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(trustListExample)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTrustListExample(t *testing.T) {
	data := exampleTrustList(t)
	edges, err := ParseTrustList("acme-trust.yaml", data)
	if err != nil || len(edges) != 2 {
		t.Fatalf("%d edges, %v", len(edges), err)
	}
	if e := edges[0]; e.String() != "acme/dev-qa to acme/production" || e.From.Lineage == e.To.Lineage {
		t.Errorf("edge %s, of %s to %s", e, e.From.Lineage, e.To.Lineage)
	}
	var rules []string
	for _, a := range edges[0].Allow {
		rules = append(rules, a.String())
	}
	want := []string{"publish, withdraw variable-set, step-template, script-module in shared", "publish release acme-shop* >=2, <3 in shared"}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Error(diff)
	}
	doc, err := Inspect(trust.ListKind, "acme-trust.yaml", data)
	if diff := cmp.Diff([]Fact{{"edges", "2"}, {"receiving Spaces", "2"}}, doc.Facts); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestParseTrustListRefuses(t *testing.T) {
	good := string(exampleTrustList(t))
	const devQA = `{space: acme/dev-qa, lineage: "sha256:63b7a30fca335f0eec58f4ac8c588ec55b9a2cac816a08b173d8b336671dfb9e"}`
	const production = `{space: acme/production, lineage: "sha256:1f0c4a9be27d53c8817b6e0f94d2a35c6e81b7d09f3a24c5e6870b1d9c2f4a38"}`
	const lab = `{space: acme/lab, lineage: "sha256:8d5e0b7f6a1942c3b09e4f7d2c8a16530e9f7b4d1a6c3820f5e7d94b2a1c6073"}`
	for name, c := range map[string]struct{ old, with, want string }{
		"as it should be":   {"", "", ""},
		"another version":   {"airlock.example/v1", "airlock.example/v2", `l.yaml:3:13: apiVersion: want airlock.example/v1`},
		"unknown field":     {"edges:", "edge:", `l.yaml:8:1: edge: want a known field (did you mean edges?), got "edge"`},
		"no edges":          {good[strings.Index(good, "edges:"):], "", "l.yaml:3:1: edges: want a list of edges (an empty one says that nobody is to take anything), got nothing"},
		"null edges":        {good[strings.Index(good, "edges:"):], "edges:\n", "l.yaml:8:7: edges: want a list, got null"},
		"edge without from": {"- from: " + devQA + "\n    to:", "- to:", "l.yaml:9:5: edges[0].from: want a Space: {space: acme/production, lineage: sha256:…}, got nothing"},
		"name that is none": {"acme/lab", "lab", `edges[1].from.space: want a Space such as acme/production, got "lab"`},
		"name as a URI":     {"acme/lab", `"space://acme/lab"`, "edges[1].from.space: want a Space such as acme/production"},
		"device name":       {"acme/lab", "acme/con", `edges[1].from.space: want a Space such as acme/production, got "acme/con"`},
		"no lineage":        {lab, "{space: acme/lab}", "edges[1].from.lineage: want a lineage, sha256: and 64 lower-case hex digits, got nothing"},
		"lineage of zeros":  {"8d5e0b7f6a1942c3b09e4f7d2c8a16530e9f7b4d1a6c3820f5e7d94b2a1c6073", strings.Repeat("0", 64), "edges[1].from.lineage: want a lineage"},
		"another lineage":   {"to: " + devQA, strings.Replace("to: "+devQA, "63b7", "73b7", 1), "l.yaml:21:9: edges[1].to: want one lineage for acme/dev-qa, got another one than before"},
		"another name":      {"to: {space: acme/dev-qa", "to: {space: acme/test", `edges[1].to: want one name for the lineage of acme/dev-qa, got "acme/test"`},
		"to itself":         {lab, devQA, `edges[1]: want two Spaces, got "acme/dev-qa" twice`},
		"one edge twice":    {lab + "\n    to: " + devQA, devQA + "\n    to: " + production, "edges[1]: want one edge for each pair of Spaces, got acme/dev-qa to acme/production again"},
		"no rules":          {"    allow:\n      - feeds: [\"*\"]\n        kinds: [\"*\"]\n        rights: [publish, withdraw]\n", "    allow: []\n", "edges[1].allow: want a list of at least one rule, got none"},
		"rule with no feed": {"- feeds: [\"*\"]\n        kinds", "- kinds", `edges[1].allow[0].feeds: want a list: a-z, 0-9, ".", "_" and "-", and "*" at the end only, got nothing`},
		"empty names":       {"names: [acme-shop*]", "names: []", "edges[0].allow[1].names: want at least one (leave the list out for all)"},
		"star inside":       {"[acme-shop*]", `["acme-*-shop"]`, `edges[0].allow[1].names[0]: want a-z, 0-9, ".", "_" and "-", and "*" at the end only, got "acme-*-shop"`},
		"mask":              {`[">=2, <3"]`, `[">=z"]`, "edges[0].allow[1].versions[0]: want a version, or a range"},
		"unknown right":     {"rights: [publish]", "rights: [write]", `edges[0].allow[1].rights[0]: want one of publish, withdraw, got "write"`},
		"no right":          {"        rights: [publish]\n", "", "edges[0].allow[1].rights: want a list"},
		"a right of its own": {"rights: [publish]", "rights: [publish]\n        until: x",
			`edges[0].allow[1].until: want a known field, got "until"`},
		"too many patterns": {"[acme-shop*]", "[" + strings.Repeat("a, ", 64) + "a]", "edges[0].allow[1].names: want a list of at most 64, got 65"},
		"too many rules":    {"    allow:\n      - feeds: [\"*\"]", "    allow:\n" + strings.Repeat("      - {feeds: [a], kinds: [b], rights: [publish]}\n", 64) + "      - feeds: [\"*\"]", "edges[1].allow: want a list of at most 64, got 65"},
		"alias":             {"acme/lab", "*x", "without aliases"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("%q is not in the example", c.old)
			}
			_, err := ParseTrustList("l.yaml", []byte(strings.Replace(good, c.old, c.with, 1)))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	many := head("TrustList") + "edges:\n" + strings.Repeat("- x\n", maxEdges+1)
	if _, err := ParseTrustList("l", []byte(many)); err == nil || !strings.Contains(err.Error(), "edges: want a list of at most 4096, got 4097") {
		t.Errorf("%d edges: %v", maxEdges+1, err)
	}
	if edges, err := ParseTrustList("l", []byte(head("TrustList")+"edges: []\n")); err != nil || len(edges) != 0 {
		t.Errorf("a list that keeps out everything: %v, %v", edges, err)
	}
}

func TestTrustListDiff(t *testing.T) {
	old := string(exampleTrustList(t))
	change := func(replacements ...string) []byte { return []byte(strings.NewReplacer(replacements...).Replace(old)) }
	for name, c := range map[string]struct {
		new  []byte
		want []Change
	}{
		"rules": {change("rights: [publish]", "rights: [publish, withdraw]", "7.0.0", "8.0.0"), []Change{
			{Changed, "version", "7.0.0", "8.0.0"},
			{Removed, "edge acme/dev-qa to acme/production", "publish release acme-shop* >=2, <3 in shared", ""},
			{Added, "edge acme/dev-qa to acme/production", "", "publish, withdraw release acme-shop* >=2, <3 in shared"},
		}},
		"lineage": {change("sha256:8d5e", "sha256:9d5e"), []Change{{Changed, "edge acme/lab to acme/dev-qa, lineage of from",
			"sha256:8d5e0b7f6a1942c3b09e4f7d2c8a16530e9f7b4d1a6c3820f5e7d94b2a1c6073", "sha256:9d5e0b7f6a1942c3b09e4f7d2c8a16530e9f7b4d1a6c3820f5e7d94b2a1c6073"}}},
		"edges": {[]byte(old[:strings.Index(old, "  - from: {space: acme/lab")]), []Change{{Removed, "edge acme/lab to acme/dev-qa", "publish, withdraw * in *", ""}}},
	} {
		got, err := Diff(trust.ListKind, "l.yaml", []byte(old), c.new)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		back, err := Diff(trust.ListKind, "l.yaml", c.new, []byte(old))
		if err != nil || len(back) != len(c.want) {
			t.Errorf("%s, the other way: %v, %v", name, back, err)
		}
	}
}

// Whatever a list is taken with, a policy may say: what it proposes can be
// accepted. And it is the same when it is written as JSON.
func TestTrustListProposesPolicies(t *testing.T) {
	example := exampleTrustList(t)
	rapid.Check(t, func(t *rapid.T) {
		root := parse(&report{}, example)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			mutate(t, root)
		}
		data := asJSON(root)
		edges, err := ParseTrustList("mutated.json", data)
		if err != nil {
			return
		}
		for _, e := range edges {
			p := trust.NewPolicy(e.From.Space, e.From.Lineage)
			p.Allow = e.Allow
			if _, err := p.Format(); err != nil {
				t.Fatalf("no policy can say what edge %s does: %v\n%s", e, err, data)
			}
			if storage.Digest(e.To.Lineage).IsZero() || e.From.Lineage == e.To.Lineage {
				t.Fatalf("edge %s of %s to %s", e, e.From.Lineage, e.To.Lineage)
			}
		}
		if again, err := ParseTrustList("again.json", data); err != nil || !reflect.DeepEqual(edges, again) {
			t.Fatalf("read as %+v, again as %+v, %v", edges, again, err)
		}
	})
}

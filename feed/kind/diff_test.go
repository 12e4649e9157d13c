package kind

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	set := func(variables string) string { return head("VariableSet") + "variables:\n" + variables }
	cases := []struct {
		name, kind, old, new string
		want                 []Change
	}{
		{"added, changed, removed", "variable-set",
			set("- {name: DB.Host, value: a, scope: {Environment: [Production]}}\n- {name: Gone, value: x}\n"),
			set("- {name: DB.Host, value: b, scope: {Environment: [Production]}}\n- {name: New, value: y}\n"),
			[]Change{
				{Changed, `variable "DB.Host" [Environment: Production]`, "a", "b"},
				{Removed, `variable "Gone" [unscoped]`, "x", ""},
				{Added, `variable "New" [unscoped]`, "", "y"},
			}},
		{"changed scope (D32)", "variable-set",
			set("- {name: DB.Host, value: a, scope: {Environment: [Test]}}\n"),
			set("- {name: db.host, value: a, scope: {Environment: [Test, Staging], Role: [web]}}\n"),
			[]Change{
				{Changed, `scope of variable "DB.Host"`, "[Environment: Test]", "[Environment: Test, Staging; Role: web]"},
				{Changed, `variable "db.host" [Environment: Test, Staging; Role: web], name`, "DB.Host", "db.host"},
			}},
		{"value becomes a secret", "variable-set",
			set("- {name: P, value: hunter2}\n- {name: p, value: hunter2, scope: {Role: [a]}}\n"),
			set("- {name: P, sensitive: present}\n"),
			[]Change{
				{Changed, `variable "P" [unscoped]`, hidden, "sensitive, present"},
				{Changed, `variable "P" [unscoped], type`, "String", "Sensitive"},
				{Removed, `variable "p" [Role: a]`, hidden, ""},
			}},
		{"prompt and type", "variable-set",
			set("- {name: A, value: x, prompt: {label: Who}}\n"),
			set("- {name: A, value: x, type: Certificate, prompt: {label: Whom, required: true}}\n"),
			[]Change{
				{Changed, `variable "A" [unscoped], type`, "String", "Certificate"},
				{Changed, `variable "A" [unscoped], prompt, label`, "Who", "Whom"},
				{Added, `variable "A" [unscoped], prompt, required`, "", "true"},
			}},
		{"long value by lines", "variable-set",
			set("- {name: A, value: \"one\\ntwo\\nthree\"}\n"), set("- {name: A, value: \"one\\n2\\nthree\"}\n"),
			[]Change{{Changed, `variable "A" [unscoped]`, "", "@@ -1 +1 @@\n one\n-two\n+2\n three"}}},
		{"head and layout", "variable-set", set("- {name: A, value: x}\n"), "# shared\n" + set("- {value: x, name: A}\n"),
			[]Change{{Changed, "layout only (white space, comments or the order of fields)", "", ""}}},
		{"master list", "environments",
			head("Environments") + "environments:\n- name: Test\n- {name: Live, guidedFailure: false}\n",
			strings.Replace(head("Environments"), "1.0.0", "1.1.0", 1) + "environments:\n- {name: Live, guidedFailure: true}\n- name: Test\n- {name: DR, tags: [a, b]}\n",
			[]Change{
				{Changed, "version", "1.0.0", "1.1.0"},
				{Changed, `environment "Live", guidedFailure`, "false", "true"},
				{Added, `environment "DR"`, "", "name: DR, tags: [a; b]"},
				{Changed, "order of environments", "Test, Live", "Live, Test"},
			}},
		{"step in a release", "release",
			head("Release") + "project: P\nprocess: {steps: [{name: S, actionType: A, properties: {k: v, p: hunter2}}]}\n",
			head("Release") + "project: P\nprocess: {steps: [{name: S, actionType: A, properties: {k: w, p: {sensitive: present}}}]}\nvariables: [{name: A, value: x}]\n",
			[]Change{
				{Changed, `process, step "S", property "k"`, "v", "w"},
				{Changed, `process, step "S", property "p"`, hidden, hidden},
				{Added, `variable "A" [unscoped]`, "", "x"},
			}},
		{"template", "step-template",
			`{"Name":"N","Version":1,"ActionType":"A","Properties":{"Script":"a\nb\n"},"Parameters":[{"Name":"P","DefaultValue":"hunter2"},{"Name":"Q","DefaultValue":1}]}`,
			`{"Name":"N","Version":2,"ActionType":"A","Properties":{"Script":"a\nc\n"},"Parameters":[{"Name":"P","DefaultValue":"","DisplaySettings":{"Octopus.ControlType":"Sensitive"}},{"Name":"Q","DefaultValue":2}]}`,
			[]Change{
				{Changed, "Version", "1", "2"},
				{Changed, `property "Script"`, "", "@@ -1 +1 @@\n a\n-b\n+c\n "},
				{Changed, `parameter "P", DefaultValue`, hidden, hidden},
				{Added, `parameter "P", DisplaySettings`, "", "Octopus.ControlType: Sensitive"},
				{Changed, `parameter "Q", DefaultValue`, "1", "2"},
			}},
		{"parameter in another spelling", "step-template",
			`{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P","DefaultValue":"hunter2"}]}`,
			`{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"p","DisplaySettings":{"Octopus.ControlType":"Sensitive"}}]}`,
			[]Change{
				{Removed, `parameter "P"`, "", ""},
				{Added, `parameter "p"`, "", "Name: p, DisplaySettings: Octopus.ControlType: Sensitive"},
			}},
		{"file of text", "file", "a\nb\n", "a\n\x1bb\n", []Change{{Changed, "content", "", "@@ -1 +1 @@\n a\n-b\n+\\u001bb\n "}}},
		{"file of bytes", "file", "\x00", "\x01\x00", []Change{{Changed, "content",
			"1 bytes, sha256:6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
			"2 bytes, sha256:47dc540c94ceb704a23875c11273e16bb0b8a87aed84de911f2133568115f254"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Diff(c.kind, "f", []byte(c.old), []byte(c.new))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if text := fmt.Sprint(got); strings.Contains(text, "hunter2") {
				t.Errorf("the secret is shown: %s", text)
			}
		})
	}
}

func TestDiffNamesTheBadVersion(t *testing.T) {
	good := []byte(head("VariableSet") + "variables: []\n")
	if _, err := Diff("variable-set", "f", good, []byte("{")); err == nil || !strings.HasPrefix(err.Error(), "new version: f:") {
		t.Error(err)
	}
	if _, err := Diff("variable-set", "f", []byte("{"), good); err == nil || !strings.HasPrefix(err.Error(), "old version: f:") {
		t.Error(err)
	}
}

// Nothing differs from itself, and applying a hunk's plus and minus lines by
// hand gives both texts again.
func TestDiffProperties(t *testing.T) {
	for _, e := range examples(t) {
		if changes, err := Diff(e.kind, e.file, e.data, append([]byte(nil), e.data...)); err != nil || len(changes) > 0 {
			t.Errorf("%s: %v, %v", e.file, changes, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", ""}), 0, 12)
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")
		var old, new []string
		for _, l := range lineScript(a, b) {
			if l.op != '+' {
				old = append(old, l.text)
			}
			if l.op != '-' {
				new = append(new, l.text)
			}
		}
		if d := cmp.Diff(strings.Join(a, "\n"), strings.Join(old, "\n")); d != "" || len(a) != len(old) {
			t.Fatal("old text lost", d)
		}
		if d := cmp.Diff(strings.Join(b, "\n"), strings.Join(new, "\n")); d != "" || len(b) != len(new) {
			t.Fatal("new text lost", d)
		}
		shown := hunks(strings.Join(a, "\n"), strings.Join(b, "\n"))
		if same := strings.Join(a, "\n") == strings.Join(b, "\n"); same != (shown == "") {
			t.Fatalf("equal %v, hunks %q", same, shown)
		}
	})
}

// A long rewrite stays bounded in work and in what is shown.
func TestDiffLong(t *testing.T) {
	old, new := strings.Repeat("a\n", 40_000)+"x", strings.Repeat("b\n", 40_000)+"x"
	shown := hunks(old, new)
	if lines := strings.Count(shown, "\n") + 1; lines != maxHunkLines+1 || !strings.HasSuffix(shown, "more lines") {
		t.Errorf("%d lines", lines)
	}
}

func TestDiffExample(t *testing.T) {
	data, err := os.ReadFile(examplesDir + "/vars/shop-shared.yaml")
	if err != nil {
		t.Fatal(err)
	}
	next := strings.NewReplacer("version: 1.4.0", "version: 1.5.0", "value: db-staging.acme.example", "value: db2-staging.acme.example").Replace(string(data))
	got, err := Diff("variable-set", "shop-shared.yaml", data, []byte(next))
	want := []Change{
		{Changed, "version", "1.4.0", "1.5.0"},
		{Changed, `variable "DB.Host" [Environment: Staging]`, "db-staging.acme.example", "db2-staging.acme.example"},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

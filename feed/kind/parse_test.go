package kind

import (
	"strings"
	"testing"
)

// Documents that no reader may take, with the words that say why (bad input 13,
// 15, 26 of the threat list).
func TestParseRefuses(t *testing.T) {
	deep := func(open, close string, n int) string { return strings.Repeat(open, n) + strings.Repeat(close, n) }
	own := head("VariableSet") + "variables: []\n"
	cases := []struct{ name, data, want string }{
		{"empty", "", "f: want a document, got an empty file"},
		{"blank", "\n \n", "f: want a document, got an empty file"},
		{"only comments", "# nothing\n", "want a document, got only comments"},
		{"Latin-1", "name: caf\xe9\n", "f:1:10: want UTF-8, got other bytes"},
		{"UTF-16", "\xff\xfea\x00", "f:1:1: want UTF-8"},
		{"tab", "a:\n\tb: c\n", "YAML that is well formed (found character that cannot start any token)"},
		{"two documents", own + "---\n" + own, "f:6:1: want one document in the file, got a second one"},
		{"rubbish after the end", own + "...\n}\n", "want YAML that is well formed"},
		{"key twice", own + "name: M\n", `f:6:1: want each field once, got "name" twice`},
		{"key in two spellings", own + "Name: M\n", `f:6:1: want each field in one spelling, got "name" and "Name"`},
		{"key by Unicode case", own + "\u212aind: M\n", `want each field in one spelling, got "kind" and a text of 6 bytes`},
		{"alias", "a: &x [1]\nb: *x\n", "f:1:4: a: want a document without anchors and aliases"},
		{"unknown alias", own + "x: *hunter2\n", "want a document without aliases (quote a text that begins with *), got an alias"},
		{"tag", own + "x: !!binary aGk=\n", "f:6:4: x: want a document without tags"},
		{"own tag", own + "x: !exec rm\n", "f:6:4: x: want a document without tags"},
		{"merge key", own + "<<: {a: b}\n", "want field names that are text (in quotes where needed), got a merge key"},
		{"number as a key", own + "1: a\n", "want field names that are text (in quotes where needed), got a number"},
		{"mapping as a key", own + "? {a: b}\n: c\n", "want field names that are text (in quotes where needed), got a mapping"},
		{"deep YAML", "a: " + deep("[", "]", 40), "want a document of at most 32 levels"},
		{"very deep YAML", "a: " + deep("[", "]", 20000), "want YAML that is well formed"},
		{"long YAML", "a: " + strings.Repeat("x", MaxYAML), "want a YAML document of at most 1048576 bytes"},
		{"many values", "a: [" + strings.Repeat("1,", maxNodes) + "]", "262144 values"},
		{"secret as a field", own + "'pa$$: hunter2': x\n", "f:6:1: …: want a known field, got a text of 13 bytes"},
		{"list at the top", "- a\n", "f:1:1: want a mapping of fields, got a list"},

		{"JSON key twice", `{"a":1,"b":{"c":1,"c":2}}`, `f:1:19: b: want each field once, got "c" twice`},
		{"JSON key in two spellings", `{"a":1, "A":2}`, `f:1:9: want each field in one spelling, got "a" and "A"`},
		{"JSON key escaped", `{"a":1,"\u0061":2}`, `want each field once, got "a" twice`},
		{"JSON trailing data", `{} {}`, "f:1:4: want JSON that is well formed (invalid character '{' after top-level value)"},
		{"JSON truncated", "{\n\"a\":", "f:2:4: want JSON that is well formed (unexpected end of JSON input)"},
		{"JSON comment", "{\n// c\n}", "f:2:1: want JSON that is well formed"},
		{"JSON comma", `{"a":1,}`, "f:1:8: want JSON that is well formed"},
		{"JSON control character", "{\"a\":\"b\nc\"}", "want JSON that is well formed"},
		{"half a surrogate", `{"a":"\ud83d"}`, "f:1:6: a: want text whose escapes make whole characters, got half a surrogate pair"},
		{"surrogates reversed", `{"a":"\udca9\ud83d"}`, "half a surrogate pair"},
		{"deep JSON", deep("[", "]", 40), "f:1:34: want a document of at most 32 levels"},
		{"very deep JSON", deep("[", "]", 20000), "want JSON that is well formed (invalid character '[' exceeded max depth)"},
		{"many JSON values", "[" + strings.Repeat("1,", maxNodes) + "1]", "262144 values"},
		{"long JSON", "[" + strings.Repeat(" ", MaxDocument) + "]", "want a document of at most 16777216 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Inspect("variable-set", "f", []byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %.600v", c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows content: %v", err)
			}
		})
	}
}

func TestParseTakes(t *testing.T) {
	own := head("VariableSet") + "variables: []\n"
	for name, data := range map[string]string{
		"BOM":             "\ufeff" + own,
		"CRLF":            strings.ReplaceAll(own, "\n", "\r\n"),
		"document marks":  "---\n" + own + "...\n",
		"flow in YAML":    head("VariableSet") + "variables: [{name: A, value: \"\\u00e9\"}]\n",
		"yes is text":     head("VariableSet") + "variables: [{name: A, value: yes}]\n",
		"JSON with BOM":   "\ufeff" + `{"apiVersion":"airlock.example\/v1","kind":"VariableSet","name":"\ud83d\udc19","variables":[]}`,
		"JSON with space": " \n" + `{"apiVersion":"airlock.example/v1","kind":"VariableSet","name":"N","variables":[]}` + "\n",
	} {
		if _, err := Inspect("variable-set", "f", []byte(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A refusal lists at most 20 mistakes, in the order of the file.
func TestManyErrors(t *testing.T) {
	data := head("VariableSet") + "variables:\n" + strings.Repeat("- {nam: A}\n", 30)
	_, err := Inspect("variable-set", "f", []byte(data))
	if err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxErrors || !strings.HasPrefix(lines[0], "f:6:") || !strings.Contains(lines[2], "did you mean name?") || !strings.HasPrefix(lines[19], "f:12:") {
		t.Errorf("%d lines:\n%s", len(lines), err)
	}
}

// The same document in YAML and JSON means the same.
func TestTwoSyntaxes(t *testing.T) {
	for _, e := range examples(t) {
		doc, root, err := inspect(e.kind, "f", e.data)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := inspect(e.kind, "f", asJSON(root))
		if err != nil || !sameDocument(doc, again) {
			t.Errorf("%s: %+v as JSON is %+v, %v", e.file, doc, again, err)
		}
	}
}

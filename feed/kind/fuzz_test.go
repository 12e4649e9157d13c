package kind

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func sameDocument(a, b Document) bool { return reflect.DeepEqual(a, b) }

// addSeeds adds the examples and the table's documents of a kind.
func addSeeds(f *testing.F, kind string) {
	for _, e := range examples(f) {
		if e.kind == kind {
			f.Add(e.data)
		}
	}
	for _, c := range documentCases {
		if c.kind == kind {
			f.Add([]byte(c.data))
		}
	}
}

// fuzzKind holds for any bytes: no panic; what is accepted is accepted again,
// the same, when written as JSON, and taken by the schema; nothing differs from
// itself.
func fuzzKind(f *testing.F, kind string) {
	addSeeds(f, kind)
	f.Fuzz(func(t *testing.T, data []byte) {
		Detect("f", data)
		doc, root, err := inspect(kind, "f", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") || len(err.Error()) > 40_000 {
				t.Fatalf("odd error: %q", err)
			}
			return
		}
		if again, _, err := inspect(kind, "f", asJSON(root)); err != nil || !sameDocument(doc, again) {
			t.Fatalf("read as %+v, again as %+v, %v", doc, again, err)
		}
		if verdict, ok := schemaErr(kind, data); ok && verdict != nil {
			t.Fatalf("accepted, but the schema refuses it: %v", verdict)
		}
		if changes, err := Diff(kind, "f", data, bytes.Clone(data)); err != nil || len(changes) > 0 {
			t.Fatalf("differs from itself: %v, %v", changes, err)
		}
	})
}

func FuzzVariableSet(f *testing.F)  { fuzzKind(f, "variable-set") }
func FuzzScriptModule(f *testing.F) { fuzzKind(f, "script-module") }
func FuzzStepTemplate(f *testing.F) { fuzzKind(f, "step-template") }
func FuzzExtension(f *testing.F)    { fuzzKind(f, "extension") }
func FuzzRelease(f *testing.F)      { fuzzKind(f, "release") }
func FuzzEnvironments(f *testing.F) { fuzzKind(f, "environments") }
func FuzzTrustList(f *testing.F)    { fuzzKind(f, "trust-list") }

func FuzzDetect(f *testing.F) {
	for _, kind := range Names() {
		addSeeds(f, kind)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, ok := Detect("f", data)
		if _, known := lookup(kind); ok != known {
			t.Fatalf("%q, %v", kind, ok)
		}
	})
}

func FuzzDiff(f *testing.F) {
	seeds := examples(f)
	for i, e := range seeds {
		for j, kind := range Names() {
			if kind == e.kind {
				f.Add(byte(j), e.data, seeds[(i+1)%len(seeds)].data)
				f.Add(byte(j), e.data, bytes.Replace(e.data, []byte("acme"), []byte("emca"), 3))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which byte, old, new []byte) {
		kind := Names()[int(which)%len(Names())]
		changes, err := Diff(kind, "f.sh", old, new)
		if err == nil && (len(changes) == 0) != bytes.Equal(old, new) {
			t.Fatalf("%d changes for equal %v", len(changes), bytes.Equal(old, new))
		}
		for _, c := range changes {
			if c.What == "" || strings.ContainsAny(c.What+c.Old+c.New, "\x1b\x00") {
				t.Fatalf("odd change %+v", c)
			}
		}
	})
}

const planted = "hunter2-planted-secret"

// FuzzSecret plants a secret where a value stands, with anything around it: it
// is refused where it is sensitive and shown nowhere.
func FuzzSecret(f *testing.F) {
	f.Add("DB.Password", "Sensitive", "sensitive: present", "scope: {Role: [web]}")
	f.Add("DB.Password", "Sensitive", "description: x", "")
	f.Add("A", "Strin", "description: x", "")
	f.Add("A", "WorkerPool", "prompt: {label: [}", "")
	f.Add("A", "'", "scope: {Enviroment: [a]}", "extra: *x")
	f.Fuzz(func(t *testing.T, name, typed, before, after string) {
		if strings.Contains(name+typed+before+after, "planted") || strings.ContainsAny(name+typed+before, "\n\r\u0085\u2028\u2029") {
			t.Skip()
		}
		data := head("VariableSet") + "variables:\n- name: " + name + "\n  type: " + typed + "\n  " + before + "\n  value: \"" + planted + "\"\n  " + after + "\n"
		for _, kind := range Names() {
			_, err := Inspect(kind, "f", []byte(data))
			if err != nil && strings.Contains(err.Error(), planted) {
				t.Fatalf("shown: %v", err)
			}
		}
		if _, err := Inspect("variable-set", "f", []byte(data)); err != nil {
			return
		}
		if typed == "Sensitive" {
			t.Fatalf("taken in clear:\n%s", data)
		}
		sensitive := head("VariableSet") + "variables:\n- name: " + name + "\n  sensitive: present\n  " + after + "\n"
		for _, pair := range [][2]string{{data, sensitive}, {sensitive, data}} {
			changes, _ := Diff("variable-set", "f", []byte(pair[0]), []byte(pair[1]))
			for _, c := range changes {
				if strings.Contains(c.Old+c.New+c.What, planted) {
					t.Fatalf("shown: %+v", c)
				}
			}
		}
	})
}

package kind

import "testing"

func TestDetect(t *testing.T) {
	cases := []struct{ name, file, data, want string }{
		{"own YAML", "a.yaml", head("VariableSet"), "variable-set"},
		{"own JSON", "a.json", `{"kind":"Release","apiVersion":"airlock.example/v1"}`, "release"},
		{"escaped slash", "a.json", `{"apiVersion":"airlock.example/v1","x":{"kind":"Release"},"kind":"Extension"}`, "extension"},
		{"quoted YAML", "a", "\"apiVersion\": 'airlock.example/v1'\n\"kind\" : \"Environments\"\n", "environments"},
		{"broken further down", "a.yaml", head("ScriptModule") + "body: [\n", "script-module"},
		{"later format", "a.yaml", "apiVersion: airlock.example/v2\nkind: VariableSet\n", "variable-set"},
		{"another's YAML", "a.yaml", "apiVersion: v1\nkind: ConfigMap\n", ""},
		{"unknown kind of ours", "a.yaml", "apiVersion: airlock.example/v1\nkind: Policy\n", ""},
		{"kind inside a text", "a.yaml", "apiVersion: v1\ndata: |\n  apiVersion: airlock.example/v1\n  kind: Release\n", ""},
		{"template", "a.json", "\ufeff\n{\"Id\":\"x\",\"ActionType\":\"A\",\"Properties\":{}}", "step-template"},
		{"template without Id", "a", `{"Name":"x","ActionType":"A","Properties":{}}`, "step-template"},
		{"truncated template", "a.json", `{"Name":"x","ActionType":"A","Properties":{"k":"`, "step-template"},
		{"template fields deeper", "a.json", `{"x":{"Name":"x","ActionType":"A","Properties":{}}}`, ""},
		{"names as values", "a.json", `{"a":"Name","b":"ActionType","c":"Properties"}`, ""},
		{"package.json", "a.json", `{"name":"x","version":"1.0.0"}`, ""},
		{"server's variables", "a.json", `{"OwnerId":"Projects-1","Variables":[]}`, "variable-set"},
		{"raw script", "a.ps1", head("VariableSet"), ""},
		{"empty", "a", "", ""},
		{"binary", "a", "\x00\x01", ""},
	}
	for _, c := range cases {
		if kind, ok := Detect(c.file, []byte(c.data)); kind != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", c.name, kind, ok, c.want)
		}
	}
}

func TestOpaque(t *testing.T) {
	cases := []struct {
		kind, file, data string
		title            string
		runs             bool
	}{
		{"file", "dist/acme shop.2.4.1.zip", "\x00\xff", "acme shop.2.4.1.zip", false},
		{"file", "empty", "", "empty", false},
		{"script-module", "tools/Web-Tools.psm1", "\xff\xfea\x00", "Web-Tools", true},
		{"script-module", "a.b.py", "print()", "a.b", true},
	}
	for _, c := range cases {
		doc, err := Inspect(c.kind, c.file, []byte(c.data))
		if err != nil || doc.Title != c.title || doc.Executable != c.runs || doc.Version != "" || doc.Kind != c.kind {
			t.Errorf("%s: %+v, %v", c.file, doc, err)
		}
	}
	for _, c := range [][3]string{{"file", "a\nb", "x"}, {"file", "caf\xe9", "x"}, {"file", "", "x"}, {"script-module", "a.sh", ""}, {"script-module", "a.exe", "x"}, {"nothing", "a", "x"}} {
		if doc, err := Inspect(c[0], c[1], []byte(c[2])); err == nil {
			t.Errorf("%q accepted as %+v", c, doc)
		}
	}
}

// What refers to others comes after them (D21).
func TestApplyOrder(t *testing.T) {
	at := map[string]int{}
	for i, kind := range Names() {
		at[kind] = i + 1
	}
	for _, pair := range [][2]string{{"environments", "variable-set"}, {"environments", "step-template"}, {"step-template", "release"}, {"script-module", "variable-set"}, {"variable-set", "release"}, {"file", "release"}, {"extension", "step-template"}, {"trust-list", "environments"}} {
		if at[pair[0]] == 0 || at[pair[0]] >= at[pair[1]] {
			t.Errorf("%s does not come before %s: %v", pair[0], pair[1], Names())
		}
	}
	if len(at) != 8 {
		t.Errorf("%d kinds", len(at))
	}
}

func TestMediaType(t *testing.T) {
	for _, c := range [][3]string{
		{"variable-set", "a.YAML", "application/vnd.airlock.variable-set.v1+yaml"},
		{"release", "a.json", "application/vnd.airlock.release.v1+json"},
		{"step-template", "anything", "application/vnd.airlock.step-template.v1+json"},
		{"script-module", "a.psm1", "text/x-powershell"},
		{"script-module", "a.yml", "application/vnd.airlock.script-module.v1+yaml"},
		{"extension", "a.dll", "application/octet-stream"},
		{"file", "a.json", "application/octet-stream"},
		{"nothing", "a.json", "application/octet-stream"},
	} {
		if got := MediaType(c[0], c[1]); got != c[2] {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

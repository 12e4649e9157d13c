package kind

import (
	"strings"
	"testing"
)

func TestCheckUnscoped(t *testing.T) {
	const head = "apiVersion: airlock.example/v1\nkind: VariableSet\nname: Db\nversion: \"1\"\nvariables:\n"
	for name, c := range map[string]struct {
		kind, doc string
		want      []string
	}{
		"unscoped":     {"variable-set", head + "  - {name: A, value: x}\n  - {name: B, value: x, scope: {}}\n", nil},
		"no variables": {"environments", "environments: []\n", nil},
		"scoped": {"variable-set", head + "  - {name: A, value: x}\n  - name: B\n    value: secret\n    scope: {Environment: [Staging, Test], Role: [web]}\n  - {name: C, sensitive: present, scope: {Machine: [m1]}}\n",
			[]string{"f.yaml:9:12: variables[1].scope: want no scope, got \"B\" in [Environment: Staging, Test; Role: web]", "f.yaml:10:42: variables[2].scope: want no scope, got \"C\" in [Machine: m1]"}},
		"JSON":    {"variable-set", `{"variables": [{"name": "A", "scope": {"Role": ["web"]}}]}`, []string{"f.yaml:1:39: variables[0].scope: want no scope"}},
		"release": {"release", "variables:\n  - {name: A, value: x, scope: {Channel: [Beta]}}\n", []string{"variables[0].scope"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckUnscoped(c.kind, "f.yaml", []byte(c.doc))
			if len(c.want) == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("let in")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.want) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("got %q", lines)
			}
			for i, line := range lines {
				if !strings.Contains(line, c.want[i]) {
					t.Errorf("got %q, want %q", line, c.want[i])
				}
			}
		})
	}
}

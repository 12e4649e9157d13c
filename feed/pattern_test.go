package feed

import "testing"

func TestPattern(t *testing.T) {
	id, err := ParseID("acme/dev-qa/shared")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]bool{
		"acme/dev-qa/shared": true, "*/*/*": true, "acme/*/shared": true, "acme/dev-*/sh*d": true,
		"acme/dev-qa/share": false, "*/shared/*": false, "acme/prod/*": false,
	} {
		p, err := ParsePattern(pattern)
		if err != nil || p.Match(id) != want {
			t.Errorf("%s: %v, %v", pattern, p.Match(id), err)
		}
	}
	for pattern, want := range map[Pattern]string{"acme/dev-qa/shared": "acme/dev-qa/shared", "*/*/*": "", "acme/*/shared": "acme/", "acme/dev-*/sh*d": "acme/dev-"} {
		if got := pattern.Prefix(); got != want {
			t.Errorf("%s: names begin with %q, want %q", pattern, got, want)
		}
	}
	for _, bad := range []string{"", "*", "acme/*", "acme//shared", "acme/dev-qa/shared/x", "acme/dev-qa/[a]", `acme/dev-qa/\*`, "acme/dev?/shared", "Acme/*/*"} {
		if p, err := ParsePattern(bad); err == nil {
			t.Errorf("%q is %q", bad, p)
		}
	}
}

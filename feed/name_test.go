package feed

import (
	"strings"
	"testing"
	"unicode/utf8"

	"airlock/trust"
)

// wantChecks asks a check about what it must take and what it must refuse.
func wantChecks(t *testing.T, check func(string) error, good, bad []string) {
	t.Helper()
	for _, s := range good {
		if err := check(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range bad {
		err := check(s)
		if err == nil {
			t.Errorf("%q was taken", s)
		} else if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\x1b\r") {
			t.Errorf("%q: the message %q cannot be shown", s, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	wantChecks(t, CheckName,
		[]string{"a", "0", "a-b", "a.b_c-d", "console", "com", "com10", strings.Repeat("a", 128)},
		[]string{"", ".", "..", "../a", "/a", "a/b", `a\b`, "-a", "a-", "a--b", "a._b", "A", "é", "a b", "a\x00", "a\n", "\xff",
			"con", "nul", "nul.txt", "com1", "lpt9.a", "aux", strings.Repeat("a", 129)})
}

func TestCheckVersion(t *testing.T) {
	wantChecks(t, CheckVersion,
		[]string{"1", "1.4.0", "1.0-RC.1", "1.0_build", "v2", "x", strings.Repeat("1", 128)},
		[]string{"", ".", "..", ".1", "-1", "_1", "1+2", "1__2", "1_2_3", "1/2", "../1", "1 2", "1\n", "é", "\xff", strings.Repeat("1", 129)})
	for in, want := range map[string]string{"1.0+b.5": "1.0_b.5", "1": "1"} {
		if got, err := ParseVersion(in); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{"1_0", "1+2+3", "", "+"} {
		if got, err := ParseVersion(bad); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestNameFromTitle(t *testing.T) {
	for title, want := range map[string]string{
		"Run a Script": "run-a-script", "  IIS - Deploy (v2) ": "iis-deploy-v2", "a.b_c": "a-b-c", "Größe": "gr-e", "7": "7",
	} {
		if got, err := NameFromTitle(title); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", title, got, err, want)
		}
	}
	for _, title := range []string{"", "日本語", "---", "CON", "  nul ", strings.Repeat("x", 129)} {
		if got, err := NameFromTitle(title); err == nil {
			t.Errorf("%q gave %q", title, got)
		}
	}
}

func TestCheckTitle(t *testing.T) {
	wantChecks(t, CheckTitle,
		[]string{"a", "Größe: 日本", strings.Repeat("x", 256)},
		[]string{"", "a\nb", "a\x1b[2J", "a\x00", "\xff", "a\u202eb", "a\u200bb", "a\u00a0b", "a\u2028b", strings.Repeat("x", 257)})
}

func TestCheckPath(t *testing.T) {
	long := strings.Repeat("d", 250)
	wantChecks(t, CheckPath,
		[]string{"a", "a/b.txt", "ordner/größe.json", ".gitignore", "a/..b", "a/...b", "-", long + "/" + long, "a b"},
		[]string{"", ".", "..", "/", "/etc/passwd", "../a", "a/../b", "a/..", "./a", "a/.", "a//b", "a/", `a\b`, `\\host\share`, "C:/a", "C:a", "a:b",
			"a*", "a?", `a"b`, "a<b", "a>b", "a|b", "a\x00b", "a\nb", "a\x1bb", "a\x7f", "a\u202eb", "\xff", "a\xc0\xaf",
			"a.", "a ", "a./b", "a /b", "con", "a/NUL.txt", "Com1.log", "lpt¹", "CONIN$", "aux.c/b",
			".airlock", ".airlock-index/a", "a/.airlock.json", strings.Repeat("d", 256), long + "/" + long + "/" + long})
}

func TestRef(t *testing.T) {
	good := Ref{"variable-set", "db", "1.4"}
	if err := good.Check(); err != nil || good.String() != "variable-set/db@1.4" {
		t.Errorf("%s: %v", good, err)
	}
	for _, bad := range []Ref{{"", "db", "1"}, {"file", "", "1"}, {"file", "db", ""}, {"a/b", "db", "1"}, {"file", "d@b", "1"}, {"file", "db", "1@"}, {"File", "db", "1"}} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestParseID(t *testing.T) {
	id, err := ParseID("acme/dev-qa/shared")
	if err != nil || id != (ID{trust.Space{Organisation: "acme", Name: "dev-qa"}, "shared"}) || id.String() != "acme/dev-qa/shared" {
		t.Fatalf("%+v, %v", id, err)
	}
	if got := id.Origin(1); got != testOrigin {
		t.Errorf("origin %s, want %s", got, testOrigin)
	}
	wantChecks(t, func(s string) error { _, err := ParseID(s); return err },
		[]string{"a/b/c", "0/1/2"},
		[]string{"", "a", "a/b", "a/b/c/d", "/a/b/c", "a//c", "a/b/", "a/b/C", "a/b/..", "../b/c", "a/b/c.d", "a/b/-c", "space://a/b/c",
			"con/b/c", "a/nul/c", "a/b/prn", "a/b/" + strings.Repeat("x", 64), "a/b/\xff", "a/b/c\n", "é/b/c"})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a/b/c", "space://a/b/c", "../a", "a/b@1", "1.0+x", "con", "a\u202eb", "\xff", strings.Repeat("a", 600)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Errorf("%q came back as %q", s, id)
		}
		if name, err := NameFromTitle(s); err == nil && CheckName(name) != nil {
			t.Errorf("title %q gives the name %q", s, name)
		}
		if v, err := ParseVersion(s); err == nil && (CheckVersion(v) != nil || strings.ReplaceAll(v, "_", "+") != s) {
			t.Errorf("version %q became %q", s, v)
		}
		if CheckPath(s) == nil && (strings.HasPrefix(s, "/") || strings.Contains("/"+s+"/", "/../") || strings.ContainsAny(s, "\\:\x00")) {
			t.Errorf("path %q was taken", s)
		}
		if CheckTitle(s) == nil && !utf8.ValidString(s) {
			t.Errorf("title %q was taken", s)
		}
	})
}

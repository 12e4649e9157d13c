package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const guarded = `package door

func Enter(age int, drunk bool) bool {
	if age < 18 {
		return false
	}
	if drunk {
		return false
	}
	if sum := age + 1; sum > 200 {
		return false
	}
	return true
}

func Leave(drunk bool) bool {
	if drunk {
		return false
	}
	return true
}
`

const doorTest = `package door

import "testing"

func TestYoung(t *testing.T) {
	t.Run("child", func(t *testing.T) {
		if Enter(12, false) {
			t.Error("a child entered")
		}
	})
}

func TestNothing(t *testing.T) {}

func TestSkips(t *testing.T) { t.Skip() }

func TestPanics(t *testing.T) {
	if Leave(true) {
		panic("left")
	}
}
`

// TestRun tries guards that are tested, untested and wrongly described, on a
// small module of its own.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		name, list, want string
		shown            bool
	}{
		{"tested", "guard young\nfile door.go\ntext if age < 18 {\ntest . TestYoung", "TestYoung/child fails", true},
		{"untested", "guard young\nfile door.go\ntext if age < 18 {\ntest . TestNothing", "passes without it", false},
		{"panics", "guard leave\nfile door.go\nfunc Leave\ntext if drunk {\ntest . TestPanics", "ok", true},
		{"twice in the file", "guard drunk\nfile door.go\ntext if drunk {\ntest . TestYoung", "2 times", false},
		{"gone", "guard drunk\nfile door.go\ntext if sober {\ntest . TestYoung", "does not hold", false},
		{"no such function", "guard drunk\nfile door.go\nfunc Dance\ntext if drunk {\ntest . TestYoung", "no function Dance", false},
		{"no such test", "guard young\nfile door.go\ntext if age < 18 {\ntest . TestGone", "no test of that name", false},
		{"skipped test", "guard young\nfile door.go\ntext if age < 18 {\ntest . TestSkips", "no test of that name", false},
		{"does not compile", "guard young\nfile door.go\ntext if age < 18 {\nwith if (\ntest . TestYoung", "does not compile", false},
		{"no such file", "guard young\nfile window.go\ntext if age < 18 {\ntest . TestYoung", "window.go", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range map[string]string{
				"go.mod": "module door\n\ngo 1.26\n", "door.go": guarded, "door_test.go": doorTest, "guards.txt": c.list,
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			err := run(t.Context(), []string{"-C", dir, filepath.Join(dir, "guards.txt")}, &out, &out)
			if (err == nil) != c.shown {
				t.Errorf("error %v, want shown = %v", err, c.shown)
			}
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("output does not say %q:\n%s", c.want, &out)
			}
			after, _ := os.ReadFile(filepath.Join(dir, "door.go"))
			if string(after) != guarded {
				t.Error("the source was changed")
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for list, want := range map[string]string{
		"guard a\nfile f\ntext if x {":           "needs guard, file, text and test",
		"guard a\nfile f\ntext if x {\ntest ./p": "a package and a regular expression",
		"guard a\nfile f\ntext x()\ntest ./p T":  "needs with",
		"guard a\nguard b":                       "given twice",
		"guard a\ncolour red":                    "list:2: unknown key",
		"guard a\nfile":                          "no value",
		"guard a\nfile f\ntext if x {\ntest ./p T\n\nguard a\nfile f\ntext if y {\ntest ./p T\n": "list:6: a second guard named a",
	} {
		if _, err := parse("list", []byte(list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", list, err, want)
		}
	}
}

func TestNeverTaken(t *testing.T) {
	for text, want := range map[string]string{
		"if x {":                          "if false && (x) {",
		"if a || b {":                     "if false && (a || b) {",
		"if err := f(a, b); err != nil {": "if err := f(a, b); false && (err != nil) {",
		"case a != b:":                    "case false && (a != b):",
	} {
		if got, ok := neverTaken(text); !ok || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, ok, want)
		}
	}
}

func TestFunc(t *testing.T) {
	src := []byte("package p\n\ntype T[K any] struct{}\n\nfunc (t *T[K]) A() { mark() }\n\nfunc (t T[K]) B() { mark() }\n")
	for _, name := range []string{"(*T).A", "T.B"} {
		if _, err := mutant(Guard{Func: name, Text: "mark()", With: "_ = 1"}, src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestList holds the list to the tree: a guard that was moved or changed is
// noticed by make test, and not first by the next make mutate.
func TestList(t *testing.T) {
	list, err := os.ReadFile("guards.txt")
	if err != nil {
		t.Fatal(err)
	}
	guards, err := parse("guards.txt", list)
	if err != nil {
		t.Fatal(err)
	}
	const root = "../.."
	tests := map[string]string{} // of a package, as text
	for _, g := range guards {
		src, err := os.ReadFile(filepath.Join(root, g.File))
		if err == nil {
			_, err = mutant(g, src)
		}
		if err != nil {
			t.Errorf("guards.txt:%d: %s: %v", g.line, g.Name, err)
		}
		if _, ok := tests[g.Package]; !ok {
			tests[g.Package] = testSource(t, filepath.Join(root, g.Package))
		}
		name, _, _ := strings.Cut(strings.Trim(g.Test, "^$"), "/")
		if regexp.QuoteMeta(name) == name && !strings.Contains(tests[g.Package], "func "+name) {
			t.Errorf("guards.txt:%d: %s: no test %s in %s", g.line, g.Name, name, g.Package)
		}
	}
}

// testSource returns the text of a package's tests.
func testSource(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

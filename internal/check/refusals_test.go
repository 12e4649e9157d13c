package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// refusalsPage says what is refused, and which test shows it. Tests are named
// there as `<package> <TestName>` or `<package> <TestName>/<subtest>`, scripts of
// cmd/airlock as `<name>.txtar`.
const refusalsPage = "docs/refusals.md"

const scriptFolder = "cmd/airlock/testdata/script"

// sources stands for the Go files that are no tests, which the page names too.
const sources = "sources"

// badInput are the items that the page has a row for, as its rows begin.
var badInput = []string{
	"truncated", "bit flipped", "oversized", "nested", "names", "JSON keys", "payload type", "high-S", "leaf without the role",
	"unlisted leaf", "dropped leaf", "lineage nobody trusts", "moved to another feed or epoch", "repeated statement", "`previous` that skips",
	"second content for a version", "checkpoint smaller", "fork at the same size", "tile that does not match", "unknown format marker",
	"endless bodies", "slow clients",
}

var (
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
	namedTest = regexp.MustCompile(`^([a-z0-9/]+) ((?:Test|Fuzz)[A-Z]\w*)(?:/(.+))?$`)
	testLike  = regexp.MustCompile(`(^|[ .])(Test|Fuzz)[A-Z]|\.txtar$`)
)

// testNames are the functions and the texts of a package's tests.
type testNames struct {
	funcs map[string]bool
	texts map[string]bool // string literals, as names of subtests
}

func TestRefusalsName(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, refusalsPage))
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range wrongNames(string(page), testsOf(t, projectFiles(t))) {
		t.Errorf("%s: %s", refusalsPage, wrong)
	}
	for _, wrong := range wrongRows(string(page)) {
		t.Errorf("%s: %s", refusalsPage, wrong)
	}
}

// testsOf parses the tests of every package, and knows scripts and other Go files
// by their names.
func testsOf(t *testing.T, files []string) map[string]testNames {
	t.Helper()
	out := map[string]testNames{scriptFolder: {funcs: map[string]bool{}}, sources: {funcs: map[string]bool{}}}
	for _, name := range files {
		folder := path.Dir(name)
		switch {
		case folder == scriptFolder:
			out[folder].funcs[path.Base(name)] = true
		case strings.HasSuffix(name, "_test.go"):
			if _, ok := out[folder]; !ok {
				out[folder] = testNames{map[string]bool{}, map[string]bool{}}
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			out[folder].add(parsed)
		case strings.HasSuffix(name, ".go"):
			out[sources].funcs[name] = true
		}
	}
	return out
}

func (n testNames) add(f *ast.File) {
	ast.Inspect(f, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncDecl:
			if node.Recv == nil {
				n.funcs[node.Name.Name] = true
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(node.Value); err == nil && node.Kind == token.STRING {
				n.texts[text] = true
			}
		}
		return true
	})
}

// wrongNames says what is wrong with each test that a page names.
func wrongNames(page string, tests map[string]testNames) []string {
	var wrong []string
	named := 0
	for _, span := range codeSpan.FindAllStringSubmatch(page, -1) {
		text := span[1]
		m := namedTest.FindStringSubmatch(text)
		switch {
		case strings.HasSuffix(text, ".go"):
			if !tests[sources].funcs[text] {
				wrong = append(wrong, text+": there is no such file")
			}
		case !testLike.MatchString(text):
		case strings.HasSuffix(text, ".txtar"):
			if named++; !tests[scriptFolder].funcs[text] {
				wrong = append(wrong, text+": there is no such script in "+scriptFolder)
			}
		case m == nil:
			wrong = append(wrong, text+": want a package, a test and perhaps a subtest")
		case !tests[m[1]].funcs[m[2]]:
			wrong = append(wrong, text+": package "+m[1]+" has no test of that name")
		default:
			if named++; !tests[m[1]].hasSubtest(m[3]) {
				wrong = append(wrong, text+": no test of package "+m[1]+" says "+strconv.Quote(m[3]))
			}
		}
	}
	if named == 0 {
		wrong = append(wrong, "names no test at all")
	}
	return wrong
}

// hasSubtest reports whether the name of a subtest, or the last text it is put
// together of, stands in the package's tests.
func (n testNames) hasSubtest(name string) bool {
	for rest := name; rest != ""; {
		if n.texts[rest] || n.texts[rest+", "] {
			return true
		}
		_, after, ok := strings.Cut(rest, "/")
		if !ok {
			return false
		}
		rest = after
	}
	return name == ""
}

// wrongRows says which items have no row about the answer or none about tests,
// and which rows name no test where they should: below a head that says "shown
// by", but for what is not there yet.
func wrongRows(page string) []string {
	var wrong []string
	for _, item := range badInput {
		if n := strings.Count(page, "\n| "+item); n < 2 {
			wrong = append(wrong, fmt.Sprintf("there are %d rows about %s, want its answer and its tests", n, item))
		}
	}
	lines, tests := strings.Split(page, "\n"), false
	for i, line := range lines {
		if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---") {
			tests = strings.Contains(line, "shown by")
			continue
		}
		if !tests || !strings.HasPrefix(line, "| ") || strings.Contains(line, notYet) {
			continue
		}
		if !slices.ContainsFunc(codeSpan.FindAllStringSubmatch(line, -1), func(m []string) bool { return testLike.MatchString(m[1]) }) {
			wrong = append(wrong, fmt.Sprintf("the row %.60q names no test", line))
		}
	}
	return wrong
}

// notYet marks a row about what a later version brings.
const notYet = "not there yet"

// TestWrongNames shows that the rules above can fail, case by case.
func TestWrongNames(t *testing.T) {
	tests := map[string]testNames{
		"feed":       {map[string]bool{"TestFollow": true, "FuzzEntry": true}, map[string]bool{"a bit flipped": true, "name, ": true}},
		scriptFolder: {funcs: map[string]bool{"story.txtar": true}},
		sources:      {funcs: map[string]bool{"feed/fold.go": true}},
	}
	for page, ok := range map[string]bool{
		"`feed TestFollow` and `story.txtar`": true,
		"`feed/fold.go`, `feed TestFollow`":   true,
		"`feed/fold_.go`, `feed TestFollow`":  false,
		"`feed FuzzEntry`":                    true,
		"`feed TestFollow/a bit flipped`":     true,
		"`feed TestFollow/300/a bit flipped`": true,
		"`feed TestFollow/name`":              true,
		"`feed TestFollow/two bits flipped`":  false,
		"`feed TestFollowed`":                 false,
		"`trust TestFollow`":                  false,
		"`TestFollow`":                        false,
		"`feed.TestFollow`":                   false,
		"`stories.txtar`":                     false,
		"`feed`, Test in the text":            false, // names none
	} {
		if got := wrongNames(page, tests); (len(got) == 0) != ok {
			t.Errorf("%s: got %q, want it accepted: %v", page, got, ok)
		}
	}
}

// TestWrongRows takes rows, and tests out of rows, away from a good page.
func TestWrongRows(t *testing.T) {
	var answers, tests strings.Builder
	for _, item := range badInput {
		answers.WriteString("| " + item + " | 400 |\n")
		tests.WriteString("| " + item + " | `feed TestFollow` |\n")
	}
	good := "\n| what | answer |\n|---|---|\n" + answers.String() +
		"\n| what | shown by |\n|---|---|\n" + tests.String() + "| approvals | not there yet |\n"
	if got := wrongRows(good); len(got) > 0 {
		t.Errorf("a good page: %q", got)
	}
	for old, new := range map[string]string{
		"| high-S | 400 |":                     "",
		"| high-S | `feed TestFollow` |":       "",
		"| slow clients | `feed TestFollow` |": "| slow clients | by hand |",
		"not there yet":                        "refused",
	} {
		if got := wrongRows(strings.Replace(good, old, new, 1)); len(got) != 1 {
			t.Errorf("%q in the place of %q: got %q, want one thing wrong", new, old, got)
		}
	}
}

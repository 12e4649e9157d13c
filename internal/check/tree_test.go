package check

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "airlock"

// root is the module's folder, seen from this package.
var root = filepath.Join("..", "..")

// projectFiles lists what git tracks or would track, as slash-separated paths
// from the root, without files that are deleted but not yet committed.
func projectFiles(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git checkout, so there is no list of files: %v", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(root, name)); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		t.Fatal("git lists no file at all")
	}
	return files
}

// A goFile is one Go file of this module, with what it imports of it.
type goFile struct {
	name    string // from the root
	pkg     string // folder: "feed/log"
	test    bool
	lines   int
	imports []string // folders within the module, such as "storage"
	others  []string // what it imports of other modules, and of Go's own
}

// goFiles parses every Go file of this module, whatever its build tags.
// Modules nested inside (tools, peers of the benchmark) are not part of it.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	names := projectFiles(t)
	nested := nestedModules(names)
	var files []goFile
	for _, name := range names {
		if path.Ext(name) != ".go" || within(name, nested) || strings.Contains(name, "testdata/") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		own, others := imports(parsed)
		files = append(files, goFile{
			name:    name,
			pkg:     path.Dir(name),
			test:    strings.HasSuffix(name, "_test.go"),
			lines:   bytes.Count(src, []byte("\n")),
			imports: own,
			others:  others,
		})
	}
	return files
}

func imports(f *ast.File) (own, others []string) {
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if folder, ok := strings.CutPrefix(name, module+"/"); ok {
			own = append(own, folder)
		} else {
			others = append(others, name)
		}
	}
	return own, others
}

func nestedModules(names []string) []string {
	var folders []string
	for _, name := range names {
		if dir := path.Dir(name); path.Base(name) == "go.mod" && dir != "." {
			folders = append(folders, dir)
		}
	}
	return folders
}

func within(name string, folders []string) bool {
	for _, folder := range folders {
		if strings.HasPrefix(name, folder+"/") {
			return true
		}
	}
	return false
}

package publish

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"airlock/feed/kind"
	"airlock/storage"
)

func set(name, version, value string) string {
	return "apiVersion: airlock.example/v1\nkind: VariableSet\nname: " + name + "\nversion: " + version + "\nvariables:\n  - name: A\n    value: " + value + "\n"
}

func scoped(name string) string {
	return set(name, "1.0.0", "x") + "    scope: {Environment: [Test]}\n"
}

func extension(file, sum string) string {
	return "apiVersion: airlock.example/v1\nkind: Extension\nname: Tool\nversion: 1.0.0\nhost: \">=2020.1\"\nfiles:\n  - path: " + file + "\n    sha256: " + sum + "\n"
}

func TestCollect(t *testing.T) {
	hex := storage.DigestOf([]byte("binary")).Hex()
	cases := map[string]struct {
		files   map[string]string // "-> x" is a symbolic link
		named   []string          // the folder, where empty
		options Options
		want    []string // kind/name@version
		skipped int
		refused int
		err     string
	}{
		"folder": {files: map[string]string{"a.yaml": set("A", "1.0.0", "x"), "in/b.yaml": set("B", "1.0.0", "x"), "notes.md": "hello"},
			want: []string{"variable-set/a@1.0.0", "variable-set/b@1.0.0"}, skipped: 1},
		"hidden and links": {files: map[string]string{".a.yaml": set("A", "1.0.0", "x"), ".git/b.yaml": set("B", "1.0.0", "x"), "c.yaml": "-> .a.yaml"}},
		"a link that is named": {files: map[string]string{".a.yaml": set("A", "1.0.0", "x"), "c.yaml": "-> .a.yaml"}, named: []string{"c.yaml"},
			want: []string{"variable-set/a@1.0.0"}},
		"no package, named":           {files: map[string]string{"notes.md": "hello"}, named: []string{"notes.md"}, err: "no document of a known kind"},
		"not there":                   {named: []string{"nothing"}, err: "no such file"},
		"extension":                   {files: map[string]string{"x.yaml": extension("bin/tool", hex), "bin/tool": "binary"}, want: []string{"extension/tool@1.0.0"}},
		"attachment of another":       {files: map[string]string{"x.yaml": extension("tool", strings.Repeat("a", 64)), "tool": "binary"}, err: "states " + strings.Repeat("a", 64)},
		"attachment missing":          {files: map[string]string{"x.yaml": extension("tool", hex)}, err: "tool"},
		"attachment is a link":        {files: map[string]string{"x.yaml": extension("tool", hex), "tool": "-> .real", ".real": "binary"}, err: "no regular file"},
		"attachment out of its place": {files: map[string]string{"in/x.yaml": extension("../tool", hex), "tool": "binary"}, err: "path"},
		"attachment is a bad document": {files: map[string]string{"x.yaml": extension("a.yaml", storage.DigestOf([]byte("apiVersion: airlock.example/v1\nkind: VariableSet\n")).Hex()),
			"a.yaml": "apiVersion: airlock.example/v1\nkind: VariableSet\n"}, want: []string{"extension/tool@1.0.0"}},
		"two titles, one name":       {files: map[string]string{"a.yaml": set("My Set", "1.0.0", "x"), "b.yaml": set("my set", "1.1.0", "x")}, err: "would share the name variable-set/my-set"},
		"same version twice":         {files: map[string]string{"a.yaml": set("A", "1.0.0", "x"), "b.yaml": set("A", "1.0.0", "y")}, err: "are both variable-set/a@1.0.0"},
		"same version, kept going":   {files: map[string]string{"a.yaml": set("A", "1.0.0", "x"), "b.yaml": set("A", "1.0.0", "y")}, options: Options{KeepGoing: true}, want: []string{"variable-set/a@1.0.0"}, refused: 1},
		"a file and its folder":      {files: map[string]string{"a.yaml": set("A", "1.0.0", "x")}, named: []string{"a.yaml", "."}, want: []string{"variable-set/a@1.0.0"}},
		"a name for many":            {files: map[string]string{"a.yaml": set("A", "1.0.0", "x"), "b.yaml": set("B", "1.0.0", "x")}, options: Options{Name: "n"}, err: "more than one file"},
		"a name for one":             {files: map[string]string{"a.yaml": set("A", "1.0.0", "x")}, options: Options{Name: "n"}, want: []string{"variable-set/n@1.0.0"}},
		"a bad document":             {files: map[string]string{"a.yaml": set("A", "1.10", "x"), "b.yaml": set("B", "1.0.0", "x")}, err: "a.yaml"},
		"a bad document, kept going": {files: map[string]string{"a.yaml": set("A", "1.10", "x"), "b.yaml": set("B", "1.0.0", "x")}, options: Options{KeepGoing: true}, want: []string{"variable-set/b@1.0.0"}, refused: 1},
		"a file without a version":   {files: map[string]string{"a.bin": "x"}, named: []string{"a.bin"}, options: Options{Kind: "file"}, err: "say --version"},
		"two versions":               {files: map[string]string{"a.yaml": set("A", "1.0.0", "x")}, options: Options{Version: "2.0.0"}, err: "--version says 2.0.0"},
		"a home and a store": {files: map[string]string{"a.yaml": set("A", "1.0.0", "x"), "h/format": "airlock-home 1\n", "h/b.yaml": set("B", "1.0.0", "x"),
			"s/format": "airlock-store 1\n", "s/c.yaml": set("C", "1.0.0", "x"), "o/format": "another", "o/d.yaml": set("D", "1.0.0", "x")},
			want: []string{"variable-set/a@1.0.0", "variable-set/d@1.0.0"}, skipped: 1},
		"scoped":           {files: map[string]string{"a.yaml": scoped("A"), "b.yaml": set("B", "1.0.0", "x")}, want: []string{"variable-set/a@1.0.0", "variable-set/b@1.0.0"}},
		"scoped, refused":  {files: map[string]string{"a.yaml": scoped("A"), "b.yaml": set("B", "1.0.0", "x")}, options: Options{UnscopedOnly: true}, err: `"A" in [Environment: Test]`},
		"scoped, left out": {files: map[string]string{"a.yaml": scoped("A"), "b.yaml": set("B", "1.0.0", "x")}, options: Options{UnscopedOnly: true, KeepGoing: true}, want: []string{"variable-set/b@1.0.0"}, refused: 1},
		"a large file":     {files: map[string]string{"a.bin": strings.Repeat("x", kind.MaxDocument+1)}, named: []string{"a.bin"}, options: Options{Kind: "file", Version: "1"}, want: []string{"file/a-bin@1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range c.files {
				writeFile(t, filepath.Join(dir, file), content)
			}
			if len(c.named) == 0 {
				c.named = []string{"."}
			}
			var paths []string
			for _, n := range c.named {
				paths = append(paths, filepath.Join(dir, n))
			}
			got, err := Collect(context.Background(), paths, c.options)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want an error with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var refs []string
			for _, p := range got.Packages {
				refs = append(refs, p.Ref.String())
			}
			if !slices.Equal(refs, c.want) || len(got.Skipped) != c.skipped || len(got.Refused) != c.refused {
				t.Errorf("got %v, skipped %v, refused %v; want %v, %d, %d", refs, got.Skipped, got.Refused, c.want, c.skipped, c.refused)
			}
		})
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if target, ok := strings.CutPrefix(content, "-> "); ok {
		err = os.Symlink(target, path)
	} else {
		err = os.WriteFile(path, []byte(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

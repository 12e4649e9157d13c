package kind

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// refusedTemplates are the real templates that must be refused, with the rule.
// All the others must be accepted; the test fails when either changes.
var refusedTemplates = map[string]string{
	"ftp-uploadfiles.json":         `because parameter "FtpPassword" is sensitive`,
	"ftp-uploadfiles-package.json": `because parameter "FtpPassword" is sensitive`,
}

// TestCorpus reads 600 community step templates where they lie beside the
// project. What real files do and we take: numeric defaults, dates without
// seconds, null properties and descriptions, version 0, space around the name,
// CRLF lines, a line feed before the brace, a server's own SpaceId.
func TestCorpus(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/step-templates/*.json")
	if len(files) == 0 {
		t.Skip("skipped: no folder shared/data/step-templates beside the project")
	}
	accepted := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(file)
		if kind, ok := Detect(base, data); !ok || kind != "step-template" {
			t.Errorf("%s: detected as %q, %v", base, kind, ok)
		}
		before := string(data)
		doc, err := Inspect("step-template", base, data)
		if string(data) != before {
			t.Errorf("%s: its bytes were changed", base)
		}
		switch rule := refusedTemplates[base]; {
		case rule == "" && err != nil:
			t.Errorf("refused: %v", err)
		case rule != "" && (err == nil || !strings.Contains(err.Error(), rule) || strings.Contains(err.Error(), "guest")):
			t.Errorf("%s: want a refusal with %q, got %v", base, rule, err)
		case err == nil:
			accepted++
			checkTemplate(t, base, doc)
		}
	}
	if refused := len(files) - accepted; refused != len(refusedTemplates) {
		t.Errorf("refused %d, want %d", refused, len(refusedTemplates))
	}
	t.Logf("%d step templates: %d accepted, %d refused", len(files), accepted, len(files)-accepted)
}

func checkTemplate(t *testing.T, file string, doc Document) {
	t.Helper()
	if doc.Kind != "step-template" || doc.Title == "" || !doc.Executable || strings.Trim(doc.Version, "0123456789") != "" || doc.Version == "" {
		t.Errorf("%s: odd summary %+v", file, doc)
	}
}

// TestCorpusDiff compares neighbours of the corpus, which must neither fail nor
// be silent, and each template with itself, which must be silent.
func TestCorpusDiff(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/step-templates/*.json")
	if len(files) == 0 {
		t.Skip("skipped: no folder shared/data/step-templates beside the project")
	}
	var last []byte
	for i, file := range files {
		if _, refused := refusedTemplates[filepath.Base(file)]; refused || i%3 != 0 {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := Diff("step-template", file, data, slices.Clone(data)); err != nil || len(same) != 0 {
			t.Errorf("%s against itself: %v, %v", file, same, err)
		}
		if last != nil {
			changes, err := Diff("step-template", file, last, data)
			if err != nil || len(changes) == 0 {
				t.Errorf("%s against the file before: %v, %v", file, changes, err)
			}
		}
		last = data
	}
}

// TestServerDocuments: what a server's API gives is recognised and refused with
// the reason, never misread (D6, D12).
func TestServerDocuments(t *testing.T) {
	patterns := []string{
		"../../../shared/data/octopus-examples/odu-Variables-*.json",
		"../../../shared/data/octopus-examples/odu-LibraryVariableSets-*.json",
		"../../../shared/data/octopus-export/Variables/*.json",
		"../../../shared/data/octopus-export/LibraryVariableSets/*.json",
	}
	found := 0
	for _, pattern := range patterns {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			found++
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if kind, ok := Detect(file, data); kind != "variable-set" || !ok {
				t.Errorf("%s: detected as %q, %v", file, kind, ok)
			}
			_, err = Inspect("variable-set", filepath.Base(file), data)
			if err == nil || !strings.Contains(err.Error(), "as the Octopus API gives it") || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("%s: want one line with the reason, got %v", file, err)
			}
		}
	}
	if found == 0 {
		t.Skip("skipped: no folder shared/data/octopus-export beside the project")
	}
}

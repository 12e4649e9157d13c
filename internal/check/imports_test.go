package check

import (
	"fmt"
	"path"
	"strings"
	"testing"
)

// layers are the module's folders in the order in which imports may point: a
// package imports from layers before its own, or from within its own folder.
// Folders of one layer do not know each other, except in the last two.
var layers = [][]string{
	{"storage"},
	{"signing"},
	{"trust"},
	{"feed"},
	{"feed/log", "feed/feedhttp", "feed/kind", "bundle", "receipts"},
	{"internal"},
	{"cmd"},
}

// place returns the layer of a package and the folder that puts it there: the
// longest that holds it, so feed/log/x is in feed/log and not in feed.
func place(pkg string) (layer int, folder string, ok bool) {
	for i, folders := range layers {
		for _, f := range folders {
			if (pkg == f || strings.HasPrefix(pkg, f+"/")) && len(f) > len(folder) {
				layer, folder, ok = i, f, true
			}
		}
	}
	return layer, folder, ok
}

// violation says why code in package from may not import package to, or "".
func violation(from, to string) string {
	fromLayer, fromFolder, ok := place(from)
	if !ok {
		return from + " is in no layer"
	}
	toLayer, toFolder, ok := place(to)
	switch {
	case !ok:
		return to + " is in no layer"
	case strings.HasSuffix(path.Base(to), "test"):
		return to + " is for tests only"
	case toLayer > fromLayer:
		return fmt.Sprintf("imports point left only, and %s stands right of %s", toFolder, fromFolder)
	case toLayer == fromLayer && toFolder != fromFolder:
		return fmt.Sprintf("%s and %s are neighbours and do not know each other", fromFolder, toFolder)
	}
	return ""
}

func TestImportsPointLeft(t *testing.T) {
	seen := 0
	for _, f := range goFiles(t) {
		if f.test || strings.HasSuffix(path.Base(f.pkg), "test") {
			continue // tests, and packages made for them, may look anywhere
		}
		for _, to := range f.imports {
			seen++
			if why := violation(f.pkg, to); why != "" {
				t.Errorf("%s imports %s/%s: %s", f.name, module, to, why)
			}
		}
	}
	if seen == 0 {
		t.Error("no import within the module was seen: the test looks in the wrong place")
	}
}

// TestViolation shows that the rule above can fail, case by case.
func TestViolation(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"signing", "storage", true},
		{"storage", "signing", false},
		{"feed", "trust", true},
		{"trust", "feed", false},
		{"feed", "feed/kind", false},
		{"feed/kind", "feed", true},
		{"feed/log", "feed/kind", false},
		{"feed/log", "feed/log/inner", true},
		{"bundle", "receipts", false},
		{"receipts", "feed", true},
		{"internal/server", "feed/log", true},
		{"internal/server", "internal/home", true},
		{"feed/feedhttp", "internal/server", false},
		{"cmd/airlock", "internal/server", true},
		{"internal/web", "cmd/airlock", false},
		{"storage/s3", "storage", true},
		{"feed", "storage/storetest", false},
		{"misc", "storage", false},
	} {
		if why := violation(c.from, c.to); (why == "") != c.allowed {
			t.Errorf("%s imports %s: got %q, want allowed = %v", c.from, c.to, why, c.allowed)
		}
	}
}

// onlyFor are what one package knows of another module, so that nothing else hangs on
// it.
var onlyFor = map[string]string{
	"go.opentelemetry.io/otel/sdk":       "internal/tracing",
	"go.opentelemetry.io/otel/exporters": "internal/tracing",
	"go.opentelemetry.io/proto":          "internal/tracing",
}

func TestOnlyFor(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, to := range f.others {
			for what, pkg := range onlyFor {
				if f.test || !strings.HasPrefix(to+"/", what+"/") {
					continue
				}
				if seen[what] = true; f.pkg != pkg {
					t.Errorf("%s imports %s, which is for %s alone", f.name, to, pkg)
				}
			}
		}
	}
	if len(seen) != len(onlyFor) {
		t.Errorf("of what one package alone imports only %v was seen", seen)
	}
}

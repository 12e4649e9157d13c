package kind

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The example in the package's documentation is a valid document.
func TestDocumentationExample(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var example strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^//\t(.*)$`).FindAllStringSubmatch(string(source), -1) {
		example.WriteString(m[1] + "\n")
	}
	kind, ok := Detect("doc.yaml", []byte(example.String()))
	if kind != "variable-set" || !ok {
		t.Fatalf("detected as %q", kind)
	}
	doc, err := Inspect(kind, "doc.yaml", []byte(example.String()))
	if err != nil || doc.Title != "Shop shared" || doc.Version != "1.4.0" {
		t.Errorf("%+v, %v", doc, err)
	}
}

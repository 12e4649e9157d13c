package kind

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

type example struct {
	kind, file string
	data       []byte
}

const examplesDir = "../../docs/examples"

// examples are the shipped documents, by the kind that Detect finds in them.
func examples(t testing.TB) []example {
	t.Helper()
	var found []example
	err := filepath.WalkDir(examplesDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if kind, ok := Detect(path, data); ok {
			found = append(found, example{kind: kind, file: path, data: data})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestExamples(t *testing.T) {
	count := map[string]int{}
	for _, e := range examples(t) {
		count[e.kind]++
		doc, err := Inspect(e.kind, filepath.Base(e.file), e.data)
		if err != nil {
			t.Errorf("refused: %v", err)
			continue
		}
		if doc.Title == "" || doc.Version == "" || doc.Description == "" || len(doc.Facts) == 0 {
			t.Errorf("%s says too little: %+v", e.file, doc)
		}
		if err, ok := schemaErr(e.kind, e.data); err != nil || !ok {
			t.Errorf("%s against its schema: %v", e.file, err)
		}
		for _, name := range doc.Attachments {
			content, err := os.ReadFile(filepath.Join(filepath.Dir(e.file), name))
			if err != nil {
				t.Error(err)
			}
			if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != doc.Digests[name] {
				t.Errorf("%s: %s has another SHA-256 than stated", e.file, name)
			}
		}
	}
	want := map[string]int{"step-template": 6, "script-module": 1, "variable-set": 1, "environments": 1, "release": 1, "extension": 1, "trust-list": 1}
	for kind, n := range want {
		if count[kind] != n {
			t.Errorf("%d examples of %s, want %d", count[kind], kind, n)
		}
	}
}

func TestExampleFacts(t *testing.T) {
	data, err := os.ReadFile(examplesDir + "/vars/shop-shared.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Inspect("variable-set", "shop-shared.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	want := []Fact{{"variables", "22"}, {"sensitive", "4 present"}, {"scoped", "10"}}
	if len(doc.Facts) != len(want) || doc.Executable {
		t.Fatalf("facts %v, executable %v", doc.Facts, doc.Executable)
	}
	for i, f := range want {
		if doc.Facts[i] != f {
			t.Errorf("fact %v, want %v", doc.Facts[i], f)
		}
	}
}

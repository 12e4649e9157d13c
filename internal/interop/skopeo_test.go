//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSkopeoReadsLayout: skopeo reads the packages that airlock extracts, byte
// for byte, and finds a blob that was changed.
func TestSkopeoReadsLayout(t *testing.T) {
	p := publishAndPull(t)
	p.run("--home", "prod", "bundle", "extract", p.url, "acme/dev-qa/shared", "--name", "set-7", "--oci", "look")
	p.run("--home", "prod", "--server", p.url, "show", "acme/dev-qa/shared/set-7@1.0.0", "--manifest", "-o", "m.json")
	image := "oci:" + p.file("look") + ":acme/dev-qa/shared/variable-set/set-7:1.0.0"
	accepts(t, "skopeo", "copy", image, "dir:"+p.file("got"))
	want, err := os.ReadFile(p.file("m.json"))
	must(t, err)
	got, err := os.ReadFile(p.file("got", "manifest.json"))
	must(t, err)
	if string(got) != string(want) {
		t.Errorf("skopeo read the manifest %s, want %s", got, want)
	}
	blobs, err := filepath.Glob(p.file("look", "blobs", "sha256", "*"))
	must(t, err)
	for _, blob := range blobs {
		b, err := os.ReadFile(blob)
		must(t, err)
		if strings.Contains(string(b), "host-7.example") {
			b[0] ^= 1
			must(t, os.WriteFile(blob, b, 0o644))
		}
	}
	refuses(t, "skopeo", "copy", image, "dir:"+p.file("damaged"))
}

package feed

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"airlock/storage"
)

func exampleManifest() Manifest {
	return Manifest{Kind: "file", Title: "Größe", Version: "1.0_b.5", Layers: []Layer{
		{storage.RefOf([]byte("hello")), "motd.txt", "text/plain"},
		{storage.RefOf(nil), "folder/empty", "application/octet-stream"},
	}}
}

// TestManifestExample compares the format with testdata, byte for byte.
func TestManifestExample(t *testing.T) {
	got, err := exampleManifest().Format()
	want, readErr := os.ReadFile("testdata/manifest.json")
	if err != nil || readErr != nil || !bytes.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s\n%v, %v", got, want, err, readErr)
	}
	m, err := ParseManifest(want)
	if err != nil || m.Kind != "file" || m.Title != "Größe" || m.Version != "1.0_b.5" || len(m.Layers) != 2 || m.Layers[0].Path != "motd.txt" {
		t.Errorf("read as %+v, %v", m, err)
	}
}

// TestManifestLayers are lists of files that no system, or not every system,
// can hold.
func TestManifestLayers(t *testing.T) {
	file := func(p string) Layer { return Layer{storage.RefOf([]byte(p)), p, "text/plain"} }
	many := make([]Layer, MaxLayers+1)
	for i := range many {
		many[i] = file(fmt.Sprint(i))
	}
	for name, c := range map[string]struct {
		layers []Layer
		ok     bool
	}{
		"two":                     {[]Layer{file("a"), file("b/a")}, true},
		"as many as allowed":      {many[:MaxLayers], true},
		"none":                    {nil, false},
		"more than allowed":       {many, false},
		"twice":                   {[]Layer{file("a"), file("a")}, false},
		"differ in case":          {[]Layer{file("a/B"), file("A/b")}, false},
		"differ in the long s":    {[]Layer{file("maſs"), file("MASS")}, false},
		"file and folder":         {[]Layer{file("a"), file("a/b")}, false},
		"folder and file by case": {[]Layer{file("X/y/z"), file("x")}, false},
		"up":                      {[]Layer{file("../a")}, false},
		"no media type":           {[]Layer{{storage.RefOf(nil), "a", ""}}, false},
		"no digest":               {[]Layer{{storage.Ref{Size: 1}, "a", "text/plain"}}, false},
		"size below zero":         {[]Layer{{storage.Ref{Digest: storage.Digest{1}, Size: -1}, "a", "text/plain"}}, false},
		"size past the bound":     {[]Layer{{storage.Ref{Digest: storage.Digest{1}, Size: MaxPayload + 1}, "a", "text/plain"}}, false},
	} {
		m := exampleManifest()
		m.Layers = c.layers
		if _, err := m.Format(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManifestRefused changes the example's text, each time in one thing.
func TestManifestRefused(t *testing.T) {
	raw, err := exampleManifest().Format()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"another media type":     {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"},
		"an index":               {`"schemaVersion":2`, `"schemaVersion":3`},
		"another artifact type":  {"application/vnd.airlock.file.v1", "application/vnd.airlock.file.v2"},
		"no kind":                {"application/vnd.airlock.file.v1", "application/vnd.airlock..v1"},
		"kind with a slash":      {"airlock.file.v1", "airlock.a/b.v1"},
		"another config":         {`"data":"e30="`, `"data":"e31="`},
		"config without data":    {`"data":"e30=",`, ``},
		"unknown member":         {`"schemaVersion":2`, `"schemaVersion":2,"subject":{}`},
		"member twice":           {`"schemaVersion":2`, `"schemaVersion":2,"schemaVersion":2`},
		"member in another case": {`"schemaVersion":2`, `"SchemaVersion":2`},
		"white space":            {`"schemaVersion":2`, `"schemaVersion": 2`},
		"more annotations":       {`"annotations":{"org.opencontainers.image.title":"G`, `"annotations":{"a":"b","org.opencontainers.image.title":"G`},
		"layer without a path":   {`{"annotations":{"org.opencontainers.image.title":"motd.txt"},`, `{`},
		"layer with data":        {`"digest":"sha256:2cf2`, `"data":"aGVsbG8=","digest":"sha256:2cf2`},
		"digest in capitals":     {"sha256:2cf2", "sha256:2CF2"},
		"another algorithm":      {"sha256:2cf2", "sha512:2cf2"},
		"path up":                {"motd.txt", "../motd.txt"},
		"title with escape":      {"Größe", `\u001b[2J`},
		"trailing data":          {`"schemaVersion":2}`, `"schemaVersion":2}{}`},
	} {
		changed := strings.Replace(string(raw), c[0], c[1], 1)
		if changed == string(raw) {
			t.Errorf("%s: %q is not in the example", name, c[0])
		}
		if m, err := ParseManifest([]byte(changed)); err == nil {
			t.Errorf("%s: read as %+v", name, m)
		}
	}
	if _, err := ParseManifest(make([]byte, MaxManifest+1)); err == nil || !strings.Contains(err.Error(), "allowed") {
		t.Errorf("too long: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	raw, err := exampleManifest().Format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			return
		}
		if again, err := m.Format(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s came back as %s, %v", b, again, err)
		}
	})
}

package bundle

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// What lies beside the volumes says what people need, in plain ASCII where it
// must be readable anywhere, and lets no markup through.
func TestTextsBeside(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.MaxVolume = 80 << 10
	o.Label, o.Classification = `<script>alert("1")</script>`, "VERTRAULICH – ü"
	dir, w := s.write(o)
	readme := readAll(t, filepath.Join(dir, "README.txt"))
	if i := bytes.IndexFunc(readme, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("README.txt is not plain at byte %d", i)
	}
	text := string(readAll(t, filepath.Join(dir, labelName(w.ID, ".txt"))))
	html := string(readAll(t, filepath.Join(dir, labelName(w.ID, ".html"))))
	for _, want := range []string{"acme/dev-qa", "acme/production", w.ID.String(), w.Files[0]} {
		for name, page := range map[string]string{"README.txt": string(readme), "label.txt": text, "label.html": html} {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %s", name, want)
			}
		}
	}
	for _, want := range []string{"volume 2 of", "VERTRAULICH – ü", w.Files[1], "never"} {
		if !strings.Contains(text, want) || !strings.Contains(html, want) {
			t.Errorf("the labels do not say %s", want)
		}
	}
	if strings.Contains(html, "<script>") || !strings.Contains(html, "&lt;script&gt;") {
		t.Error("markup got through")
	}
	o.Label = "two\nlines"
	if _, err := Prepare(t.Context(), o); err == nil {
		t.Error("a label with a line break was taken")
	}
}

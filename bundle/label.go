package bundle

import (
	"bytes"
	"embed"
	htmltemplate "html/template"
	"io"
	texttemplate "text/template"

	"airlock/storage"
)

//go:embed text
var texts embed.FS

var (
	plainTexts = texttemplate.Must(texttemplate.ParseFS(texts, "text/*.txt"))
	htmlTexts  = htmltemplate.Must(htmltemplate.ParseFS(texts, "text/*.html"))
)

// page is what README.txt and the labels are made from.
type page struct {
	*Document
	ID     ID
	Short  string
	First  string // the first volume's file
	Labels []volumeLabel
}

// volumeLabel is what stands on one volume.
type volumeLabel struct {
	Number int
	File   string
	Sum    string // SHA-256, in hexadecimal digits
}

// labelName is the name of the page with a bundle's labels: several bundles may
// lie on a medium.
func labelName(id ID, extension string) string { return "label-" + id.Short() + extension }

// texts writes README.txt and the pages to print labels from. The document was
// checked: what it says moves no cursor, and html/template escapes it.
func (w *writer) texts(m *manifest, files []string, sums map[string]storage.Digest) error {
	p := page{Document: m.doc, ID: m.id, Short: m.id.Short(), First: files[0]}
	for i, name := range files {
		p.Labels = append(p.Labels, volumeLabel{i + 1, name, sums[name].Hex()})
	}
	for _, t := range []struct {
		name, template string
		execute        func(io.Writer, string, any) error
	}{
		{"README.txt", "README.txt", plainTexts.ExecuteTemplate},
		{labelName(m.id, ".txt"), "label.txt", plainTexts.ExecuteTemplate},
		{labelName(m.id, ".html"), "label.html", htmlTexts.ExecuteTemplate},
	} {
		var b bytes.Buffer
		if err := t.execute(&b, t.template, p); err != nil {
			return err
		}
		if err := writeFile(w.folder, t.name, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

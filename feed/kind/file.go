package kind

import (
	"path"
	"strings"
	"unicode/utf8"
)

const fileKind = "file"

// opaque reports whether the content of file is taken as it is, unread.
func opaque(kind, file string) bool {
	return kind == fileKind || kind == "script-module" && scriptSyntax(file) != ""
}

// inspectOpaque describes a file or a raw script by its name alone; of data it
// only looks whether a script is there at all, so the head of a long one does.
func inspectOpaque(r *report, kind, file string, data []byte) Document {
	base := path.Base(strings.ReplaceAll(file, `\`, "/"))
	if !utf8.ValidString(base) || !isName(base) || base == "." || base == "/" {
		r.at(nil, "", "a file with a name of printable UTF-8 text", "another name")
		return Document{}
	}
	if kind == fileKind {
		return Document{Kind: kind, Title: base}
	}
	if len(data) == 0 {
		r.at(nil, "", "a script", "an empty file")
	}
	return Document{
		Kind:       kind,
		Title:      strings.TrimSuffix(base, path.Ext(base)),
		Executable: true,
		Facts:      []Fact{{"syntax", scriptSyntax(file)}},
	}
}

package settings

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Field is a setting. Its tags in the struct are
//
//	about     one line, which says what it is; for --help too
//	more      what else is worth knowing, in whole sentences
//	without   what it is without a word, where no default says it
//	example   a value, for settings without a default
//	flag      the name of its flag, where it is not that of its path
//	common    a flag of all commands
//	form      of text: address, url, file, store or log
//	words     of text: what it may say, with commas between
//	positive  not zero
//	most      the largest value
//	hidden    its flag is not shown by --help
//	live      a change is taken up while the server runs, at SIGHUP
//	restart   not this one of a struct that is live
//
// common, positive, hidden and live on a struct are for all fields in it.
//
// Its path is made of the names in Go: Limits.URLBytes is limits.urlBytes.
type Field struct {
	Path, Flag, About, More, Without, Example string
	Common, Hidden, Live                      bool

	form  form
	value reflect.Value
}

// Section is a struct in the struct: settings that stand together.
type Section struct {
	Path, About string // Path is empty for the first, of which there is nothing to say
	Fields      []Field
}

// Sections returns all settings, which read from s and write to it.
func (s *Server) Sections() []Section { return sections(s) }

// Fields returns all settings, in their order.
func (s *Server) Fields() (out []Field) {
	for _, section := range s.Sections() {
		out = append(out, section.Fields...)
	}
	return out
}

// Field returns the setting at a path.
func (s *Server) Field(path string) Field {
	for _, f := range s.Fields() {
		if f.Path == path {
			return f
		}
	}
	return Field{}
}

// sections takes a pointer to a struct apart.
func sections(of any) []Section {
	v := reflect.ValueOf(of).Elem()
	out := []Section{{}}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Type.Kind() != reflect.Struct {
			out[0].Fields = append(out[0].Fields, newField("", f.Tag, f, v.Field(i)))
			continue
		}
		section := Section{Path: fieldName(f.Name), About: f.Tag.Get("about")}
		for j := range f.Type.NumField() {
			section.Fields = append(section.Fields, newField(section.Path+".", f.Tag, f.Type.Field(j), v.Field(i).Field(j)))
		}
		out = append(out, section)
	}
	return out
}

// newField describes a setting; outer are the tags of the struct in which it is.
func newField(prefix string, outer reflect.StructTag, f reflect.StructField, v reflect.Value) Field {
	has := func(tag string) bool { return f.Tag.Get(tag) != "" || outer.Get(tag) != "" }
	out := Field{Path: prefix + fieldName(f.Name), Flag: f.Tag.Get("flag"), About: f.Tag.Get("about"), More: f.Tag.Get("more"),
		Without: f.Tag.Get("without"), Example: f.Tag.Get("example"), Common: has("common"), Hidden: has("hidden"),
		Live: has("live") && !has("restart"), value: v}
	if out.Flag == "" {
		out.Flag = flagName(out.Path)
	}
	out.form = newForm(v.Type(), f.Tag, has("positive"))
	return out
}

// fieldName is how documents call a field: URLBytes is urlBytes.
func fieldName(name string) string {
	capitals := strings.IndexFunc(name, unicode.IsLower)
	switch {
	case capitals < 0:
		capitals = len(name)
	case capitals > 1:
		capitals-- // the last one begins a word
	}
	return strings.ToLower(name[:capitals]) + name[capitals:]
}

// flagName is how the command line calls what documents call limits.urlBytes:
// limits-url-bytes.
func flagName(path string) string {
	var b strings.Builder
	for i, c := range path {
		begins := unicode.IsUpper(c) && (unicode.IsLower(rune(path[i-1])) || i+1 < len(path) && unicode.IsLower(rune(path[i+1])))
		if c == '.' || begins {
			b.WriteByte('-')
		}
		if c != '.' {
			b.WriteRune(unicode.ToLower(c))
		}
	}
	return b.String()
}

// Usage is what --help says of it.
func (f Field) Usage() string {
	if f.Without != "" {
		return f.About + " (default " + f.Without + ")"
	}
	return f.About
}

// sentences are all that there is to say of it, for documents.
func (f Field) sentences() string {
	first, n := utf8.DecodeRuneInString(f.About)
	return strings.TrimSpace(string(unicode.ToUpper(first)) + f.About[n:] + ". " + f.More)
}

// Set, String and Type make it a flag (pflag.Value).
func (f Field) Set(text string) error {
	if !f.form.set(f.value, text) {
		return wantError(f.form.want)
	}
	return nil
}

type wantError string

func (e wantError) Error() string { return "want " + string(e) }

// String returns what the setting says, as Set reads it; "" for nothing.
func (f Field) String() string {
	if !f.value.IsValid() { // of a flag that is compared with its zero value
		return ""
	}
	return f.form.text(f.value)
}

// Zero reports whether the setting says nothing, or zero.
func (f Field) Zero() bool { return f.value.IsZero() }

func (f Field) Type() string { return f.form.name }

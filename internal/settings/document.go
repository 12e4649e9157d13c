package settings

import (
	"cmp"
	_ "embed"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"airlock/feed/kind"
)

// width is how long lines of the example are at most.
const width = 100

const exampleHead = `Configuration of airlock serve --config FILE: every setting, with what it is without a word. Each is a flag of airlock serve too, and a variable of the environment: commitWindow is --commit-window and AIRLOCK_COMMIT_WINDOW. The flag beats the environment, which beats this file. Paths are from the folder of this file on. airlock config check FILE says what is wrong with it.`

// Example returns a configuration file that says of every setting what it is, and
// the default. Settings without one are there as comments.
func Example() []byte {
	var b strings.Builder
	comment(&b, "", exampleHead)
	b.WriteString("apiVersion: airlock.example/v1\nkind: " + Document + "\n")
	s := Default()
	for _, section := range s.Sections() {
		indent := ""
		if section.Path != "" {
			indent = "  "
			b.WriteByte('\n')
			comment(&b, "", section.About)
			b.WriteString(section.Path + ":\n")
		}
		for _, f := range section.Fields {
			if indent == "" {
				b.WriteByte('\n')
			}
			f.example(&b, indent)
		}
	}
	return []byte(b.String())
}

func (f Field) example(b *strings.Builder, indent string) {
	text := f.sentences()
	if f.Without != "" {
		text += " Default: " + f.Without + "."
	}
	comment(b, indent, text)
	name, value, mark := f.Path[strings.LastIndexByte(f.Path, '.')+1:], f.String(), ""
	if !f.hasDefault() {
		value, mark = f.Example, "#"
	}
	fmt.Fprintf(b, "%s%s%s: %s\n", indent, mark, name, f.yaml(value))
}

// hasDefault reports whether a setting says something without a word.
func (f Field) hasDefault() bool { return f.String() != "" }

// yaml writes a value as documents have it.
func (f Field) yaml(value string) string {
	if f.form.Form == kind.List {
		return "[" + value + "]"
	}
	if f.form.Form != kind.Text {
		return value
	}
	text, err := yaml.Marshal(value)
	if err != nil { // not of a text
		return fmt.Sprintf("%q", value)
	}
	return strings.TrimSpace(string(text))
}

// comment writes text in lines of comments.
func comment(b *strings.Builder, indent, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(indent)+len("# ")+len(line)+len(" ")+len(word) > width {
			b.WriteString(indent + "# " + line + "\n")
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		b.WriteString(indent + "# " + line + "\n")
	}
}

//go:embed reference.md
var reference string

// Reference returns docs/configuration.md.
func Reference() []byte {
	var b strings.Builder
	s := Default()
	for _, section := range s.Sections() {
		if section.Path != "" {
			fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", section.Path, section.About)
		}
		b.WriteString("| setting | takes | default | flag | |\n|---|---|---|---|---|\n")
		for _, f := range section.Fields {
			f.row(&b)
		}
	}
	return []byte(strings.Replace(reference, "{{settings}}\n", b.String(), 1))
}

func (f Field) row(b *strings.Builder) {
	without, live := cmp.Or(f.Without, "none"), ""
	if f.hasDefault() {
		without = "`" + f.String() + "`"
	}
	if f.Live {
		live = " *"
	}
	fmt.Fprintf(b, "| `%s`%s | %s | %s | `--%s` | %s |\n", f.Path, live, f.form.want, without, f.Flag, f.sentences())
}

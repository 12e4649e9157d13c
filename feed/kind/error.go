package kind

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxErrors bounds what one refusal lists.
const maxErrors = 20

// Error says what is wrong at one place of a document. Line and Column count
// from 1, Column in characters; 0 is "nowhere in particular". Got holds types,
// names and words of short lists, never a value of a variable.
type Error struct {
	File         string
	Line, Column int
	Field        string
	Want, Got    string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(printable(e.File))
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Field != "" {
		b.WriteString(printable(e.Field) + ": ")
	}
	b.WriteString("want " + e.Want)
	if e.Got != "" {
		b.WriteString(", got " + e.Got)
	}
	return b.String()
}

// report collects the errors of one document.
type report struct {
	file string
	data []byte // of a JSON document, to find places in
	errs []*Error
}

// at records that the field at n (nil: nowhere) is not as wanted.
func (r *report) at(n *node, field, want, got string) {
	if len(r.errs) >= maxErrors {
		return
	}
	e := &Error{File: r.file, Field: field, Want: want, Got: got}
	e.Line, e.Column = r.place(n)
	r.errs = append(r.errs, e)
}

func (r *report) place(n *node) (line, column int) {
	if n != nil && n.line == 0 && r.data != nil {
		n = place(r.data, n.offset)
	}
	if n == nil {
		return 0, 0
	}
	return n.line, n.column
}

// syntax names the syntax of the document.
func (r *report) syntax() string {
	if r.data != nil {
		return "JSON"
	}
	return "YAML"
}

func (r *report) err() error {
	switch len(r.errs) {
	case 0:
		return nil
	case 1:
		return r.errs[0]
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	all := make([]error, len(r.errs))
	for i, e := range r.errs {
		all[i] = e
	}
	return errors.Join(all...)
}

var plainWord = pattern(`^[A-Za-z0-9 ._/@:+#(){}<>=,*[\]-]{1,60}$`)

// quote shows a name or a word of a list, and only counts what is longer or
// stranger than such words are: it may be a secret in the wrong place.
func quote(s string) string {
	switch {
	case s == "":
		return "an empty text"
	case plainWord().MatchString(s):
		return `"` + s + `"`
	}
	return fmt.Sprintf("a text of %d bytes", len(s))
}

// oneOf lists what is allowed.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + strings.Join(words, ", ")
}

// printable makes control and direction characters visible, so that a document
// cannot steer the terminal that shows it.
func printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if unprintable(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func unprintable(c rune) bool {
	if c == '\n' || c == '\t' {
		return false
	}
	return unicode.IsControl(c) || c == 0x200e || c == 0x200f || c == 0x2028 || c == 0x2029 ||
		c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069
}

package kind

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shape is what a value is. Its text is how errors call it.
type shape string

const (
	isNull    shape = "null"
	isFlag    shape = "true or false"
	isNumber  shape = "a number"
	isDate    shape = "a date"
	isText    shape = "text"
	isList    shape = "a list"
	isMapping shape = "a mapping"
)

// node is one value of a document, of YAML and JSON alike.
type node struct {
	shape        shape
	text         string  // of texts, and of numbers, flags and dates as written
	offset       int     // in JSON, from which line and column are found when needed
	line, column int     // in YAML
	fields       []field // of a mapping, in order
	items        []*node // of a list
}

type field struct {
	name  string
	key   *node // where the name stands
	value *node
}

// get finds a field by its exact name; nil where there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// index has the fields by name, for mappings of any size.
func (n *node) index() map[string]*node {
	m := make(map[string]*node, len(n.fields))
	for _, f := range n.fields {
		m[f.name] = f.value
	}
	return m
}

// is reports whether n is there and the given text.
func (n *node) is(text string) bool {
	return n != nil && n.shape == isText && n.text == text
}

// got names what n is, for errors.
func (n *node) got() string {
	if n == nil {
		return "nothing"
	}
	return string(n.shape)
}

// trail leads from the top of a document to one of its values.
type trail []step

type step struct {
	name    string
	index   int
	element bool // of a list
}

// String is the form in errors: variables[3].scope.
func (t trail) String() string {
	path := ""
	for _, s := range t {
		if s.element {
			path += fmt.Sprintf("[%d]", s.index)
		} else {
			path = join(path, s.name)
		}
	}
	return path
}

// fold maps names that differ only in case to one text, as Unicode's simple
// folding does.
func fold(s string) string {
	return strings.Map(func(c rune) rune {
		if c < utf8.RuneSelf && c != 'k' && c != 's' { // which fold with signs beyond ASCII
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			return c
		}
		least := c
		for next := unicode.SimpleFold(c); next != c; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, s)
}

// join makes the path of a field. A name that is no such thing is left out: it
// may be a secret in the wrong place.
func join(path, name string) string {
	if !plainWord().MatchString(name) {
		name = "…"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

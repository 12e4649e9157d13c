package kind

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxConfig bounds a configuration, in bytes.
const MaxConfig = 256 << 10

// Form is how YAML and JSON may write a setting.
type Form int

const (
	Text   Form = iota
	Number      // a number, in no quotes
	Size        // text such as 64MiB, or a number
	Flag        // true or false
	List        // of texts
	Scalar      // all of them but a list: for the program's own flags
)

// forms are the shapes that a form takes, with their words for errors.
var forms = map[Form][]shape{
	Text: {isText}, Number: {isNumber}, Size: {isText, isNumber}, Flag: {isFlag}, List: {isList},
	Scalar: {isText, isNumber, isFlag, isDate},
}

// Setting is one thing that a configuration may say.
type Setting struct {
	// Path is names of fields with dots between, such as limits.uploads. A last
	// name "*" stands for all that no other setting names.
	Path string
	Form Form
	Want string // what it takes, for errors: "a size such as 64MiB"
	// Set takes what the document says, of a list each text; false refuses it.
	Set func(text string) bool
}

// Config is a document that configures a program. It is read under the rules of
// documents and collects what is wrong with it, up to 20 things; Err has them.
type Config struct {
	r    *report
	root *node // nil for what is no document
}

// OpenConfig begins to read a configuration; file is its name in errors.
func OpenConfig(file string, data []byte) *Config {
	c := &Config{r: &report{file: file}}
	if len(data) > MaxConfig {
		c.r.at(nil, "", fmt.Sprintf("a configuration of at most %d bytes", MaxConfig), fmt.Sprintf("%d bytes", len(data)))
		return c
	}
	if root := parse(c.r, data); root != nil && c.r.err() == nil {
		c.root = root
	}
	return c
}

// Document returns what the field "kind" says, "" for nothing.
func (c *Config) Document() string {
	if n := c.root.get("kind"); n != nil && n.shape == isText {
		return n.text
	}
	return ""
}

// Says reports whether the document says anything at path.
func (c *Config) Says(path string) bool { return c.find(path) != nil }

// find returns the value at path, nil where there is none.
func (c *Config) find(path string) *node {
	n := c.root
	for name := range strings.SplitSeq(path, ".") {
		n = n.get(name)
	}
	return n
}

// Read gives each setting what the document says of it. document is what its kind
// must be; fields that are no setting are refused.
func (c *Config) Read(document string, settings []Setting) {
	if c.root == nil {
		return
	}
	o, ok := c.mapping(c.root, "", settings, "apiVersion", "kind")
	if ok {
		o.required("apiVersion", word(apiVersion))
		o.required("kind", word(document))
	}
}

// mapping reads the settings below path, and what is below them.
func (c *Config) mapping(n *node, path string, settings []Setting, known ...string) (object, bool) {
	at := map[string]int{} // of the setting of just that name, -1 for names on the way to one
	for i, s := range settings {
		rest, below := s.below(path)
		name, _, further := strings.Cut(rest, ".")
		switch {
		case !below:
		case further:
			at[name] = -1
		default:
			at[name] = i
		}
	}
	every, free := at["*"]
	delete(at, "*")
	for _, f := range n.fields {
		if _, named := at[f.name]; !named && free && !slices.Contains(known, f.name) {
			at[f.name] = every
		}
	}
	o, ok := c.r.object(n, path, append(known, slices.Sorted(maps.Keys(at))...)...)
	for _, f := range n.fields {
		switch i, named := at[f.name]; {
		case named && i < 0 && f.value.shape == isNull: // all in it is a comment
		case named && i < 0:
			c.mapping(f.value, join(path, f.name), settings)
		case named:
			c.set(settings[i], f.value, join(path, f.name))
		}
	}
	return o, ok
}

// below returns what follows path in that of a setting, and whether it is below it.
func (s Setting) below(path string) (rest string, ok bool) {
	if path == "" {
		return s.Path, true
	}
	return strings.CutPrefix(s.Path, path+".")
}

func (c *Config) set(s Setting, n *node, at string) {
	switch {
	case !slices.Contains(forms[s.Form], n.shape):
		c.r.at(n, at, s.Want, n.got())
	case n.shape == isList:
		names := unique{r: c.r}
		for _, it := range c.r.list(n, at) {
			if c.r.text(it.node, it.path, rule{want: s.Want, ok: anyText.ok}) && names.add(it.node, it.path, it.text) {
				c.take(s, it.node, it.path)
			}
		}
	default:
		c.take(s, n, at)
	}
}

// plainNumber leaves out what readers of YAML differ about: 010 is 8 to some.
var plainNumber = pattern(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func (c *Config) take(s Setting, n *node, at string) {
	if n.shape == isNumber && !plainNumber().MatchString(n.text) || !s.Set(n.text) {
		c.r.at(n, at, s.Want, quote(n.text))
	}
}

// Refuse says that what stands at path, or is missing there, is not as wanted. What
// was got is shown, but for control characters.
func (c *Config) Refuse(path, want, got string) { c.r.at(c.find(path), path, want, printable(got)) }

// Err returns what is wrong: nothing, an *Error, or several joined in the order of
// the document.
func (c *Config) Err() error { return c.r.err() }

package kind

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// Detect says which kind a file holds, from its content: the kind of a document
// of our own, or the shape of a step template. It reads leniently, so that a
// broken document still gets Inspect's exact words. ok is false for anything
// else, raw scripts and plain files among them; the caller then has to ask.
func Detect(file string, data []byte) (kind string, ok bool) {
	if len(data) > MaxDocument {
		return "", false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		return detectJSON(trimmed)
	}
	if scriptSyntax(file) != "" {
		return "", false
	}
	return ownKind(yamlField(data, "apiVersion"), yamlField(data, "kind"))
}

// ownKind gives the kind of a document of ours, of any version of the format.
func ownKind(api, document string) (string, bool) {
	if !strings.HasPrefix(api, strings.TrimSuffix(apiVersion, "v1")) {
		return "", false
	}
	i := slices.IndexFunc(definitions, func(d definition) bool {
		return d.document != "" && strings.EqualFold(d.document, document)
	})
	if i < 0 {
		return "", false
	}
	return definitions[i].name, true
}

var yamlFields = map[string]func() *regexp.Regexp{
	"apiVersion": pattern(`(?m)^["']?apiVersion["']?\s*:\s*["']?([\w./-]+)`),
	"kind":       pattern(`(?m)^["']?kind["']?\s*:\s*["']?(\w+)`),
}

// yamlField finds a field at the left margin, where only the document's own
// fields can be.
func yamlField(data []byte, name string) string {
	m := yamlFields[name]().FindSubmatch(data)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// detectJSON reads the names at the top of an object, as far as it is readable.
func detectJSON(data []byte) (string, bool) {
	top := topLevel(data)
	if kind, ok := ownKind(top["apiVersion"], top["kind"]); ok {
		return kind, true
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { _, ok := top[name]; return !ok })
	}
	switch {
	case has("ActionType", "Properties") && (has("Name") || has("Id")):
		return "step-template", true
	case has("OwnerId", "Variables"), has("VariableSetId", "ContentType"):
		return "variable-set", true // refused by Inspect, with the reason
	}
	return "", false
}

// topLevel gives the fields of an object with their texts as written ("" for
// other values). It follows quotes and brackets only, so a mistake further down
// does not hide what the document is. It keeps at most 256 fields.
func topLevel(data []byte) map[string]string {
	top := map[string]string{}
	depth, last, name := 0, "", ""
	for i := 0; i < len(data) && len(top) < 256; i++ {
		switch data[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := endOfText(data, i+1)
			if depth == 1 {
				last = string(data[i+1 : min(end, i+1+maxName)])
				if name != "" {
					top[name] = last
				}
			}
			i = end
		case ':':
			if depth == 1 {
				name = last
				top[name] = ""
			}
		case ',':
			if depth == 1 {
				name = ""
			}
		}
	}
	return top
}

// endOfText finds the closing quote of a text that begins at start, or the end.
func endOfText(data []byte, start int) int {
	for i := start; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(data)
}

package kind

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

const (
	maxDepth = 32
	maxNodes = 1 << 18
)

// parse reads data into a tree; nil after it has reported why not.
func parse(r *report, data []byte) *node {
	if len(data) > MaxDocument {
		r.at(nil, "", fmt.Sprintf("a document of at most %d bytes", MaxDocument), fmt.Sprintf("%d bytes", len(data)))
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at := invalidUTF8(data); at >= 0 {
		r.at(place(data, at), "", "UTF-8", "other bytes")
		return nil
	}
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		r.at(nil, "", "a document", "an empty file")
		return nil
	case trimmed[0] == '{' || trimmed[0] == '[':
		return parseJSON(r, data)
	}
	return parseYAML(r, data)
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// place is an empty node at a byte offset, for errors found before the tree.
func place(data []byte, offset int) *node {
	before := data[:min(max(offset, 0), len(data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return &node{line: bytes.Count(before, []byte("\n")) + 1, column: utf8.RuneCount(before[start:]) + 1}
}

// checkKeys refuses a key that is there twice, be it in another spelling: a
// reader that ignores case would see another document.
func checkKeys(r *report, n *node, path trail) {
	if len(n.fields) < 2 {
		return
	}
	seen := make(map[string]string, len(n.fields))
	for _, f := range n.fields {
		folded := fold(f.name)
		first, dup := seen[folded]
		switch {
		case dup && first == f.name:
			r.at(f.key, path.String(), "each field once", quote(f.name)+" twice")
		case dup:
			r.at(f.key, path.String(), "each field in one spelling", quote(first)+" and "+quote(f.name))
		}
		seen[folded] = f.name
	}
}

func limits() string {
	return fmt.Sprintf("a document of at most %d levels and %d values", maxDepth, maxNodes)
}

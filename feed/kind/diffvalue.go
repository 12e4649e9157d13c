package kind

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSummary bounds one side of a change, in bytes.
const maxSummary = 240

// isSecret knows a value that is marked as one: {sensitive: present}, or the
// API's sensitive object.
func isSecret(n *node) bool {
	return n.shape == isMapping && (n.get("sensitive") != nil || isSensitiveObject(n))
}

// show is the summary of something added or removed.
func (d *treeDiff) show(what string, n *node) string {
	if isSecret(n) || d.secret != nil && d.secret(what) {
		return hidden
	}
	if d.secret != nil && holdsSecret(d, what, n) {
		return ""
	}
	return summary(n)
}

// holdsSecret looks for a secret below n: one parameter, or the whole list.
func holdsSecret(d *treeDiff, what string, n *node) bool {
	return slices.ContainsFunc(n.fields, func(f field) bool {
		at := extend(what, f.name)
		return d.secret(at) || isSecret(f.value) || holdsSecret(d, at, f.value)
	}) || slices.ContainsFunc(n.items, func(c *node) bool { return holdsSecret(d, what, c) })
}

// summary is a value in one line: a text as it is, anything else by its parts.
func summary(n *node) string {
	var b strings.Builder
	summarize(&b, n)
	return shorten(b.String())
}

func summarize(b *strings.Builder, n *node) {
	switch {
	case b.Len() > maxSummary:
	case isSecret(n):
		b.WriteString(hidden)
	case n.shape == isMapping:
		for i, f := range n.fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.name + ": ")
			summarize(b, f.value)
		}
	case n.shape == isList:
		b.WriteString("[")
		for i, c := range n.items {
			if i > 0 {
				b.WriteString("; ")
			}
			summarize(b, c)
		}
		b.WriteString("]")
	case n.shape == isNull:
		b.WriteString("null")
	default:
		b.WriteString(n.text)
	}
}

// shorten makes one printable line of at most maxSummary bytes.
func shorten(s string) string {
	s = printable(strings.NewReplacer("\r\n", "⏎", "\n", "⏎").Replace(s))
	if len(s) <= maxSummary {
		return s
	}
	cut := maxSummary
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// equal compares two values; the order of a mapping's fields means nothing.
func equal(a, b *node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.shape != b.shape || a.text != b.text || len(a.fields) != len(b.fields) || len(a.items) != len(b.items) {
		return false
	}
	names := b.index()
	for _, f := range a.fields {
		if !equal(f.value, names[f.name]) {
			return false
		}
	}
	for i := range a.items {
		if !equal(a.items[i], b.items[i]) {
			return false
		}
	}
	return true
}

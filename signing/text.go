package signing

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckText refuses text that people cannot be shown as it is: longer than most
// bytes, not UTF-8, or with a character that could move a terminal's cursor or
// turn text around (Go's unicode.IsPrint, so neither a line feed nor a tab).
func CheckText(s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("%.60q has %d bytes, at most %d are allowed", s, len(s), most)
	}
	for i, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError && !utf8.ValidString(s) {
			return fmt.Errorf("%.60q: byte %d is not printable", s, i)
		}
	}
	return nil
}

// Printable returns s as CheckText accepts it, and unchanged where it does: at
// most that many bytes, on one line, with "?" for what cannot be printed.
func Printable(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

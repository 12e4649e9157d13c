package signing

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxInt bounds numbers: what every reader takes exactly (RFC 7493, section 2.2).
const maxInt = 1<<53 - 1

// text reads a string and returns what it says, never nil.
func (s *scanner) text() (text []byte, why string) {
	if !s.skip('"') {
		return nil, "want a string"
	}
	start, escaped := s.at, false
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			raw := s.data[start:s.at]
			s.at++
			if escaped {
				return unescape(s.data[start-1 : s.at]), ""
			}
			return raw, ""
		case c == '\\':
			n := escape(s.data[s.at:])
			if n == 0 {
				return nil, "not the shortest escape"
			}
			s.at, escaped = s.at+n-1, true
		case c < ' ':
			return nil, "control character in a string"
		case c == 0xe2 && (bytes.HasPrefix(s.data[s.at:], []byte("\u2028")) || bytes.HasPrefix(s.data[s.at:], []byte("\u2029"))):
			return nil, "line and paragraph separators are not allowed"
		}
	}
	return nil, "string without an end"
}

// unescape returns what a string says whose escapes were checked.
func unescape(quoted []byte) []byte {
	var text string
	_ = json.Unmarshal(quoted, &text)
	return []byte(text)
}

// escape returns the length of the escape at the start of b, 0 where RFC 8785,
// section 3.2.2.2, writes the character in another way.
func escape(b []byte) int {
	if len(b) >= 2 && strings.IndexByte(`"\bfnrt`, b[1]) >= 0 {
		return 2
	}
	if len(b) < 6 || string(b[1:4]) != "u00" || b[4] != '0' && b[4] != '1' || strings.IndexByte("0123456789abcdef", b[5]) < 0 {
		return 0
	}
	if b[4] == '0' && strings.IndexByte("89acd", b[5]) >= 0 { // \b \t \n \f \r
		return 0
	}
	return 6
}

// number reads an integer. It has no plus sign, leading zero, fraction or exponent.
func (s *scanner) number() (why string) {
	negative := s.skip('-')
	start, n := s.at, int64(0)
	for ; s.peek() >= '0' && s.peek() <= '9'; s.at++ {
		if n = n*10 + int64(s.peek()-'0'); n > maxInt {
			return "a number above 2^53-1"
		}
	}
	switch digits := s.at - start; {
	case digits == 0:
		return "want a value"
	case s.data[start] == '0' && (digits > 1 || negative):
		return "a zero too many"
	case s.peek() == '.' || s.peek() == 'e' || s.peek() == 'E':
		return "a number that is not a plain integer"
	}
	return ""
}

// compareUTF16 orders names by their UTF-16 code units (RFC 8785, section
// 3.2.3). For ASCII that is the order of bytes.
func compareUTF16(a, b []byte) int {
	if isASCII(a) && isASCII(b) {
		return bytes.Compare(a, b)
	}
	return slices.Compare(utf16.Encode([]rune(string(a))), utf16.Encode([]rune(string(b))))
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}

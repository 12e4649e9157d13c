package signing

import (
	"bytes"
	"fmt"
	"iter"
	"unicode/utf8"
)

// maxDepth bounds objects and arrays within each other.
const maxDepth = 32

// checkCanonical reports where data departs from the form that MarshalCanonical
// describes.
func checkCanonical(data []byte) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: not UTF-8", ErrNotCanonical)
	}
	s := scanner{data: data}
	why := s.value()
	if why == "" && s.at < len(data) {
		why = "something follows the value"
	}
	if why != "" {
		return fmt.Errorf("%w at byte %d: %s", ErrNotCanonical, s.at, why)
	}
	return nil
}

// Members returns the members of an object in canonical JSON, such as a
// Statement's predicate, by their exact names.
func Members(object []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		s := scanner{data: object}
		if s.peek() == '{' {
			_ = s.object(yield) // whoever parsed the object checked it
		}
	}
}

// scanner walks canonical JSON. Its methods return what is wrong at s.at, or "".
type scanner struct {
	data      []byte
	at, depth int
}

func (s *scanner) value() (why string) {
	switch s.peek() {
	case '{':
		return s.object(nil)
	case '[':
		return s.array()
	case '"':
		_, why = s.text()
		return why
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return "null has no place, a member without a value is left out"
	}
	return s.number()
}

// object reads an object and hands out its members until each returns false.
func (s *scanner) object(each func(name string, value []byte) bool) (why string) {
	if s.depth++; s.depth > maxDepth {
		return fmt.Sprintf("nested deeper than %d", maxDepth)
	}
	defer func() { s.depth-- }()
	if s.at++; s.skip('}') {
		return ""
	}
	for last := []byte(nil); ; {
		start := s.at
		name, why := s.text()
		if why != "" {
			return why
		}
		// RFC 8785, section 3.2.3: sorted, which leaves no room for duplicates.
		if last != nil && compareUTF16(last, name) >= 0 {
			s.at = start
			return fmt.Sprintf("member %.60q is given twice or out of order", name)
		}
		last = name
		if !s.skip(':') {
			return "want a colon"
		}
		start = s.at
		if why := s.value(); why != "" {
			return why
		}
		if each != nil && !each(string(name), s.data[start:s.at]) {
			return ""
		}
		if s.skip('}') {
			return ""
		}
		if !s.skip(',') {
			return "want a comma or the end of the object"
		}
	}
}

func (s *scanner) array() (why string) {
	if s.depth++; s.depth > maxDepth {
		return fmt.Sprintf("nested deeper than %d", maxDepth)
	}
	defer func() { s.depth-- }()
	if s.at++; s.skip(']') {
		return ""
	}
	for {
		if why := s.value(); why != "" {
			return why
		}
		if s.skip(']') {
			return ""
		}
		if !s.skip(',') {
			return "want a comma or the end of the array"
		}
	}
}

func (s *scanner) word(w string) (why string) {
	if !bytes.HasPrefix(s.data[s.at:], []byte(w)) {
		return "want a value"
	}
	s.at += len(w)
	return ""
}

func (s *scanner) skip(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// peek returns the next byte, 0 at the end: no byte of JSON.
func (s *scanner) peek() byte {
	if s.at >= len(s.data) {
		return 0
	}
	return s.data[s.at]
}

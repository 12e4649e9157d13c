package signing

import (
	"bytes"
	"unicode/utf8"

	"airlock/storage"
)

// The literal parts of a statement's canonical JSON.
const (
	beforePredicate     = `{"_type":"` + StatementType + `","predicate":`
	beforePredicateType = `,"predicateType":"`
	beforeDigest        = `","subject":[{"digest":{"sha256":"`
	beforeName          = `"},"name":`
	statementEnd        = `}]}`
)

// fastStatement reads what nearly all statements look like, in one pass and
// without reflection: a newcomer reads a million of them. It takes nothing that
// ParseStatement would not, and what it does not take is for ParseStatement to
// judge.
func fastStatement(b []byte) (st Statement, ok bool) {
	s := scanner{data: b, depth: 1} // within the statement's object
	if !s.literal(beforePredicate) || s.peek() != '{' || !utf8.Valid(b) {
		return st, false
	}
	start := s.at
	if s.value() != "" {
		return st, false
	}
	st.Predicate = b[start:s.at:s.at]
	if !s.literal(beforePredicateType) {
		return st, false
	}
	end := bytes.IndexByte(b[s.at:], '"')
	if end < 0 {
		return st, false
	}
	if st.Kind, ok = kindOf(string(b[s.at : s.at+end])); !ok {
		return st, false
	}
	s.at += end
	const digits = 2 * len(storage.Digest{})
	if !s.literal(beforeDigest) || len(b)-s.at < digits {
		return st, false
	}
	var err error
	if st.Subject, err = storage.ParseHex(string(b[s.at : s.at+digits])); err != nil {
		return st, false
	}
	s.at += digits
	if !s.literal(beforeName) {
		return st, false
	}
	name, why := s.text()
	if why != "" || string(b[s.at:]) != statementEnd {
		return st, false
	}
	st.SubjectName = string(name)
	return st, st.check() == nil
}

// literal goes past text that must stand here.
func (s *scanner) literal(text string) bool {
	if len(s.data)-s.at < len(text) || string(s.data[s.at:s.at+len(text)]) != text {
		return false
	}
	s.at += len(text)
	return true
}

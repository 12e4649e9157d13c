package signing

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"airlock/storage"
)

// Types of the in-toto attestation framework, v1.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PayloadType   = "application/vnd.in-toto+json"
)

// MaxStatement bounds the JSON of a statement, in bytes.
const MaxStatement = 32 << 10

// Kind says what a statement is about. Kinds that this version does not know
// are verified, kept and shown, never acted on.
type Kind string

// The kinds of statement.
const (
	Feed        Kind = "feed"        // opens a feed: origin, checkpoint key, epoch
	Identity    Kind = "identity"    // a version of the Space's identity
	Publication Kind = "publication" // a package was published
	Withdrawal  Kind = "withdrawal"  // a version is not to be used any more
	Approval    Kind = "approval"    // a person approves publications
	Sealed      Kind = "sealed"      // secrets for one receiver
	Holdings    Kind = "holdings"    // what a Space has live
	Bundle      Kind = "bundle"      // what travels on a medium, and for whom
	Receipt     Kind = "receipt"     // what was deployed
	Override    Kind = "override"    // an authorised step back
	Enrolment   Kind = "enrolment"   // a Space asks an operator for admission; stands in no feed
)

// Predicate types are identifiers: "https://airlock.example/<kind>/v1". They
// are compared and never fetched.
const (
	predicatePrefix = "https://airlock.example/"
	predicateSuffix = "/v1"
)

// PredicateType returns the in-toto predicate type of k.
func (k Kind) PredicateType() string { return predicatePrefix + string(k) + predicateSuffix }

// kindOf returns the kind of a predicate type of ours.
func kindOf(predicateType string) (Kind, bool) {
	rest, ok := strings.CutPrefix(predicateType, predicatePrefix)
	if !ok {
		return "", false
	}
	k, ok := strings.CutSuffix(rest, predicateSuffix)
	if !ok || k == "" || len(k) > 40 || strings.Trim(k, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return "", false
	}
	return Kind(k), true
}

// Statement is an in-toto Statement v1 with one subject.
type Statement struct {
	Kind        Kind
	Subject     storage.Digest  // what the statement speaks of
	SubjectName string          // for people and for cosign: printable, 1 to 512 bytes
	Predicate   json.RawMessage // canonical JSON of the kind's own type
}

// wireStatement has the statement's members in the order of RFC 8785.
type wireStatement struct {
	Type          string          `json:"_type"`
	Predicate     json.RawMessage `json:"predicate"`
	PredicateType string          `json:"predicateType"`
	Subject       []wireSubject   `json:"subject"`
}

type wireSubject struct {
	Digest wireDigest `json:"digest"`
	Name   string     `json:"name"`
}

type wireDigest struct {
	SHA256 string `json:"sha256"`
}

// Format returns the canonical JSON of s, at most MaxStatement bytes.
func (s Statement) Format() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	out, err := MarshalCanonical(wireStatement{
		Type:          StatementType,
		Predicate:     s.Predicate,
		PredicateType: s.Kind.PredicateType(),
		Subject:       []wireSubject{{Digest: wireDigest{s.Subject.Hex()}, Name: s.SubjectName}},
	})
	if err != nil {
		return nil, err
	}
	if len(out) > MaxStatement {
		return nil, fmt.Errorf("statement about %.100q has %d bytes, at most %d are allowed", s.SubjectName, len(out), MaxStatement)
	}
	return out, nil
}

// ParseStatement reads the canonical JSON of a statement; testdata/statement.json
// is one. The predicate is canonical too, so that no two readers take it for
// two things; what it says is checked by whoever knows its kind.
func ParseStatement(b []byte) (Statement, error) {
	if len(b) > MaxStatement {
		return Statement{}, fmt.Errorf("statement: %d bytes, at most %d are allowed", len(b), MaxStatement)
	}
	if st, ok := fastStatement(b); ok {
		return st, nil
	}
	return slowStatement(b)
}

// slowStatement reads any statement, and says what is wrong with it.
func slowStatement(b []byte) (Statement, error) {
	var w wireStatement
	if err := UnmarshalCanonical(b, &w); err != nil {
		return Statement{}, fmt.Errorf("statement: %w", err)
	}
	if w.Type != StatementType {
		return Statement{}, fmt.Errorf("statement: _type %.80q, want %q", w.Type, StatementType)
	}
	kind, ok := kindOf(w.PredicateType)
	if !ok {
		return Statement{}, fmt.Errorf("statement: predicateType %.80q is not of the form %s<kind>%s", w.PredicateType, predicatePrefix, predicateSuffix)
	}
	if len(w.Subject) != 1 {
		return Statement{}, fmt.Errorf("statement: %d subjects, want one", len(w.Subject))
	}
	subject, err := storage.ParseHex(w.Subject[0].Digest.SHA256)
	if err != nil {
		return Statement{}, fmt.Errorf("statement: subject: %w", err)
	}
	st := Statement{Kind: kind, Subject: subject, SubjectName: w.Subject[0].Name, Predicate: w.Predicate}
	return st, st.check()
}

// check holds for every statement, read or written.
func (s Statement) check() error {
	if _, ok := kindOf(s.Kind.PredicateType()); !ok {
		return fmt.Errorf("statement: kind %.60q: want 1 to 40 of a-z and \"-\"", s.Kind)
	}
	if s.SubjectName == "" || CheckText(s.SubjectName, 512) != nil {
		return fmt.Errorf("statement: subject name %.80q: want 1 to 512 printable bytes", s.SubjectName)
	}
	if len(s.Predicate) == 0 || s.Predicate[0] != '{' {
		return errors.New("statement: predicate is not an object")
	}
	return nil
}

// ID names a statement: the SHA-256 of its pre-authentication encoding.
type ID storage.Digest

// String returns "sha256:" and 64 hexadecimal digits.
func (id ID) String() string { return storage.Digest(id).String() }

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText writes the form of String.
func (id ID) MarshalText() ([]byte, error) { return storage.Digest(id).MarshalText() }

// UnmarshalText accepts only the form of String.
func (id *ID) UnmarshalText(b []byte) error { return (*storage.Digest)(id).UnmarshalText(b) }

// pae is the DSSE pre-authentication encoding (DSSE protocol, "Signature
// Definition"): what is signed, and what an ID is the digest of.
func pae(payload []byte) []byte {
	out := make([]byte, 0, len(payload)+64)
	out = append(out, "DSSEv1 "...)
	out = strconv.AppendInt(out, int64(len(PayloadType)), 10)
	out = append(out, ' ')
	out = append(out, PayloadType...)
	out = append(out, ' ')
	out = strconv.AppendInt(out, int64(len(payload)), 10)
	out = append(out, ' ')
	return append(out, payload...)
}

func idOf(payload []byte) ID { return sha256.Sum256(pae(payload)) }

// ID returns the name that the statement has once it is signed, by whomever.
func (s Statement) ID() (ID, error) {
	payload, err := s.Format()
	return idOf(payload), err
}

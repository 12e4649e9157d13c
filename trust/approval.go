package trust

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
)

// Bounds of an approval.
const (
	MaxApproves = 256 // publications
	maxAudience = 32  // Spaces
	maxComment  = 500 // bytes
)

// Approval is the predicate of an approval: a person approves publications, for
// receivers, until a day. It counts by the key that signed, which the
// receiver's policy lists with its person; the certificate beside it, self-signed
// or a leaf of the person's Space, is no evidence.
//
// It may lie in a file, as an attestation in its stored form, or stand in a feed
// of the approver's Space, signed by a leaf with role approver. Epoch, Feed and
// Lineage bind it to that feed; in one that is for files alone all three are
// absent. testdata/approval.json is one.
//
// The subject is the SHA-256 of the ids as lines of text, see List, so that stock
// tools can check it; its name is "approval of <n> publications".
type Approval struct {
	Approves []signing.ID `json:"approves"`           // publications: 1 to 256 statement ids, sorted
	Audience []Lineage    `json:"audience"`           // receivers: 1 to 32, sorted
	Comment  string       `json:"comment,omitempty"`  // for people, at most 500 printable bytes
	Critical bool         `json:"critical,omitempty"` // as in Bound
	Epoch    uint64       `json:"epoch,omitempty"`
	Expires  string       `json:"expires"` // RFC 3339, UTC: the last moment at which it counts
	Feed     string       `json:"feed,omitempty"`
	// Key is the thumbprint of the key that signs. Without it two persons who
	// approve the same would make one statement, by its ID.
	Key     storage.Digest `json:"key"`
	Lineage *Lineage       `json:"lineage,omitempty"` // of the approver's Space
	Time    string         `json:"time"`              // RFC 3339, UTC, the approver's clock: for people
}

// List returns the ids that are approved, each on a line ended by a line feed:
// what the subject is the digest of.
func (p Approval) List() []byte {
	var out bytes.Buffer
	for _, id := range p.Approves {
		out.WriteString(id.String() + "\n")
	}
	return out.Bytes()
}

func (p Approval) subjectName() string {
	if len(p.Approves) == 1 {
		return "approval of 1 publication"
	}
	return fmt.Sprintf("approval of %d publications", len(p.Approves))
}

// Statement checks p and returns the statement for the person to sign. Approves
// and Audience are sorted first, and what is there twice goes.
func (p Approval) Statement() (signing.Statement, error) {
	p.Approves = sorted(p.Approves)
	p.Audience = sorted(p.Audience)
	if err := p.check(); err != nil {
		return signing.Statement{}, err
	}
	raw, err := signing.MarshalCanonical(p)
	return signing.Statement{Kind: signing.Approval, Subject: storage.DigestOf(p.List()), SubjectName: p.subjectName(), Predicate: raw}, err
}

func sorted[D ~[32]byte](list []D) []D {
	list = slices.Clone(list)
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}

func compare[D ~[32]byte](a, b D) int { return bytes.Compare(a[:], b[:]) }

// ascending reports whether a list is sorted, with nothing twice.
func ascending[D ~[32]byte](list []D) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

func (p Approval) check() error {
	if len(p.Approves) < 1 || len(p.Approves) > MaxApproves || !ascending(p.Approves) {
		return fmt.Errorf("approves: want 1 to %d statement ids, sorted, each once", MaxApproves)
	}
	if len(p.Audience) < 1 || len(p.Audience) > maxAudience || !ascending(p.Audience) {
		return fmt.Errorf("audience: want 1 to %d lineages, sorted, each once", maxAudience)
	}
	if p.Key.IsZero() {
		return errors.New("key is missing")
	}
	if err := signing.CheckText(p.Comment, maxComment); err != nil {
		return fmt.Errorf("comment: %w", err)
	}
	if bound := p.Feed != ""; bound != (p.Epoch != 0) || bound != (p.Lineage != nil) {
		return errors.New("epoch, feed and lineage: want all of them, or none in an approval that is for files alone")
	}
	made, err := signing.ParseTime(p.Time)
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	expires, err := signing.ParseTime(p.Expires)
	if err != nil {
		return fmt.Errorf("expires: %w", err)
	}
	if !expires.After(made) {
		return fmt.Errorf("expires on %s, before it was made on %s", p.Expires, p.Time)
	}
	return nil
}

// Approved is an approval whose signature fits the key that came along. Whose
// key that is, and whether it counts, is the receiver's policy's word.
type Approved struct {
	Approval    Approval
	ID          signing.ID
	Expires     time.Time
	Attestation signing.Attestation
}

// OpenApproval verifies an attestation under the key of its certificate and then
// reads it. An error is a *DeniedError by rule signature, kind or form.
func OpenApproval(a signing.Attestation) (Approved, error) {
	deny := func(reason Reason, rule string, err error) (Approved, error) {
		return Approved{}, &DeniedError{Reason: reason, Rule: rule, Thing: "approval " + a.ID().String(), Why: err.Error()}
	}
	cert, err := signing.ParseCertificate(a.CertificateDER())
	if err != nil {
		return deny(Malformed, "form", err)
	}
	// Rule 4.1: nothing is parsed that was not signed.
	if err := a.VerifySignature(cert.PublicKey.(*ecdsa.PublicKey)); err != nil {
		return deny(BadSignature, "signature", errors.New("is not signed by the key that it names"))
	}
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return deny(Malformed, "form", err)
	}
	if st.Kind != signing.Approval {
		return deny(Malformed, "kind", fmt.Errorf("is a statement of kind %s, not %s", st.Kind, signing.Approval))
	}
	p, err := parseApproval(st)
	if err != nil {
		return deny(Malformed, "form", err)
	}
	expires, _ := signing.ParseTime(p.Expires) // checked with the rest
	if key := signing.KeyThumbprint(cert); p.Key != key {
		return deny(Malformed, "form", fmt.Errorf("is signed by key %s, and says %s", key, p.Key))
	}
	return Approved{Approval: p, ID: a.ID(), Expires: expires, Attestation: a}, nil
}

// parseApproval reads the predicate of an approval.
func parseApproval(st signing.Statement) (Approval, error) {
	var p Approval
	if err := signing.UnmarshalCanonical(st.Predicate, &p); err != nil {
		return p, err
	}
	if err := p.check(); err != nil {
		return p, err
	}
	if st.Subject != storage.DigestOf(p.List()) || st.SubjectName != p.subjectName() {
		return p, fmt.Errorf("subject %.80q, %s: want that of the list of what it approves", st.SubjectName, st.Subject)
	}
	return p, nil
}

// personID is what tells persons apart: names that differ in case or spaces
// around them are one.
func personID(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

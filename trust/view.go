package trust

import (
	"crypto/ecdsa"
	"fmt"
	"maps"
	"slices"
	"time"

	"airlock/signing"
	"airlock/storage"
)

// Position is a place in a feed. Trust goes by position and not by time: a
// leaf is good from the entry that lists it until the entry that drops it.
type Position struct {
	Feed  string // "<organisation>/<space>/<feed>"
	Epoch uint64
	Index int64
}

// AtEnd as an Index stands for the position of the next entry, and AtEnd+i for
// that of statement i of a batch that is to be appended: past every revocation,
// and in the order of the batch.
const AtEnd = 1 << 62

func (p Position) String() string {
	if p.Index >= AtEnd {
		return fmt.Sprintf("%s epoch %d, statement %d of the batch", p.Feed, p.Epoch, p.Index-AtEnd)
	}
	return fmt.Sprintf("%s epoch %d entry %d", p.Feed, p.Epoch, p.Index)
}

// View is what is known and believed of one Space: its identities as learned
// so far, in which order its feeds put them in force, and the local policy. It
// is the only maker of Verified. A View is not for concurrent Learn calls;
// Verify may be called concurrently between them.
type View struct {
	history  *History
	policy   *Policy // nil for the Space itself and for a server: authenticity only
	timeline map[feedEpoch][]inForce
	evidence Evidence
	approved map[signing.ID][]Approved // of the evidence, by publication
}

type feedEpoch struct {
	feed  string
	epoch uint64
}

type inForce struct {
	from    int64
	version int
}

// NewView returns a view of the Space with that history. A policy must be for
// the same lineage.
func NewView(h *History, p *Policy) (*View, error) {
	if p != nil && p.Lineage != h.Lineage() {
		return nil, &DeniedError{Reason: Untrusted, Rule: "lineage", File: p.File(), Thing: h.Space().String(),
			Why: fmt.Sprintf("is lineage %s, the policy trusts %s", h.Lineage(), p.Lineage)}
	}
	return &View{history: h, policy: p, timeline: map[feedEpoch][]inForce{}}, nil
}

// Clone returns a view that believes the same and learns on its own.
func (v *View) Clone() *View {
	c := &View{history: v.history.Clone(), policy: v.policy, timeline: maps.Clone(v.timeline), evidence: v.evidence, approved: v.approved}
	for key, line := range c.timeline {
		c.timeline[key] = slices.Clip(line)
	}
	return c
}

// History returns the identities learned so far.
func (v *View) History() *History { return v.history }

// Policy returns the policy, nil where none restricts.
func (v *View) Policy() *Policy { return v.policy }

// Verify decides whether an attestation counts at a position: signed by a leaf
// that the identity in force lists for the role, bound to this lineage, feed and
// epoch, and not revoked. A refusal is a *DeniedError. Whether the policy lets
// the thing in is Authorize's question.
func (v *View) Verify(a signing.Attestation, want Want, at Position) (Verified, error) {
	s, err := v.signed(a, want, at, true)
	if err != nil {
		return Verified{}, err
	}
	return v.Counts(s)
}

// Signed is Verify but for the revocation, for which Counts asks: what it
// accepts was said by the Space at that place, whatever became of the key.
func (v *View) Signed(a signing.Attestation, at Position) (Signed, error) {
	return v.signed(a, Want{}, at, true)
}

// Believed is Signed without a look at the signature itself, for a log that
// reads back what was verified before it was appended.
func (v *View) Believed(a signing.Attestation, at Position) (Signed, error) {
	return v.signed(a, Want{}, at, false)
}

// Counts reports whether what was signed still counts: its key was not revoked
// from its place on.
func (v *View) Counts(s Signed) (Verified, error) {
	if r := v.revoked(s.key, s.at); r != nil {
		return Verified{}, &DeniedError{Reason: Untrusted, Rule: "revocation", Thing: thingAt(s.at, s.statement),
			Why: fmt.Sprintf("the key of %s was revoked from here on: %s", s.person, r.Reason)}
	}
	return Verified{s}, nil
}

func thingAt(at Position, st signing.Statement) string {
	return fmt.Sprintf("%s (%s)", at, st.SubjectName)
}

func (v *View) signed(a signing.Attestation, want Want, at Position, check bool) (Signed, error) {
	thing := at.String()
	deny := func(reason Reason, rule, format string, args ...any) (Signed, error) {
		return Signed{}, &DeniedError{Reason: reason, Rule: rule, Thing: thing, Why: fmt.Sprintf(format, args...)}
	}
	// Rule 4.1: nothing is parsed that was not signed. The leaf decides which
	// key that is, so it comes first.
	version := v.at(at)
	id := v.history.Version(version)
	if id == nil {
		return deny(Untrusted, "position", "stands under identity version %d, of which only %d are known", version, v.history.Current().Version)
	}
	number := id.leaf(a.CertificateDER())
	if number < 0 {
		return deny(Untrusted, "position", "%s", v.whyUnlisted(a.CertificateDER(), id))
	}
	leaf := id.Leaves[number]
	if check {
		if err := a.VerifySignature(leaf.cert.PublicKey.(*ecdsa.PublicKey)); err != nil {
			return deny(BadSignature, "signature", "is not signed by the key of %s", leaf.Person)
		}
	}
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return deny(Malformed, "form", "%v", err)
	}
	thing = thingAt(at, st)
	if want.Kind != "" && st.Kind != want.Kind {
		return deny(Malformed, "kind", "is a statement of kind %s, not %s", st.Kind, want.Kind)
	}
	if !want.Subject.IsZero() && st.Subject != want.Subject {
		return deny(Malformed, "subject", "speaks of %s, not of %s", st.Subject, want.Subject)
	}
	if st.Kind == signing.Identity {
		return deny(Untrusted, "role", "is an identity signed by %s, and only roots sign those", leaf.Person)
	}
	if role := roleFor(st.Kind); role != "" && !leaf.Has(role) {
		return deny(Untrusted, "role", "is signed by %s, whose key has no role %s", leaf.Person, role)
	}
	if leaf.Has(TLS) { // of a kind that needs no role
		return deny(Untrusted, "role", "is signed by %s, whose key is for connections alone", leaf.Person)
	}
	bound, err := parseBound(st.Predicate)
	if err != nil {
		return deny(Malformed, "form", "predicate: %v", err)
	}
	if bound.Lineage != v.history.Lineage() || bound.Feed != at.Feed || bound.Epoch != at.Epoch {
		return deny(Malformed, "binding", "was made for feed %.200s, epoch %d, lineage %s", bound.Feed, bound.Epoch, bound.Lineage)
	}
	return Signed{statement: st, id: a.ID(), person: leaf.Person, key: leaf.Key(), leaf: number, bound: bound, at: at}, nil
}

// whyUnlisted tells a leaf of another time from one that was never listed.
func (v *View) whyUnlisted(der []byte, inForce *Identity) string {
	for _, other := range v.history.versions {
		if number := other.Identity.leaf(der); number >= 0 {
			return fmt.Sprintf("is signed by a key of %s that identity version %d lists, and version %d, in force here, does not",
				other.Identity.Leaves[number].Person, other.Identity.Version, inForce.Version)
		}
	}
	return fmt.Sprintf("is signed by a certificate that no known identity of %s lists", v.history.Space())
}

// revoked looks into the newest identity: a revocation holds for the past too.
func (v *View) revoked(key storage.Digest, at Position) *Revocation {
	revocations := v.history.Current().Revocations
	i := slices.IndexFunc(revocations, func(r Revocation) bool { return r.Key == key })
	if i < 0 {
		return nil
	}
	for _, s := range revocations[i].Since {
		if s.Feed == at.Feed && s.Epoch == at.Epoch && at.Index < s.Size {
			return nil
		}
	}
	return &revocations[i]
}

// Revoked reports whether what a leaf signed at a position is void by
// revocation. leaf is Signed.Leaf there; one that is not listed is not revoked.
func (v *View) Revoked(leaf int, at Position) bool {
	l, ok := v.Leaf(leaf, at)
	return ok && v.revoked(l.Key(), at) != nil
}

// Leaf returns the leaf at a place in the list of the identity version in force
// at a position, as Signed.Leaf and rows of an index name it.
func (v *View) Leaf(number int, at Position) (Leaf, bool) {
	id := v.history.Version(v.at(at))
	if id == nil || number < 0 || number >= len(id.Leaves) {
		return Leaf{}, false
	}
	return id.Leaves[number], true
}

// roleFor names the role that may sign a kind. Unknown kinds need only a leaf:
// they are kept and shown, never acted on.
func roleFor(k signing.Kind) Role {
	switch k {
	case signing.Approval:
		return Approver
	case signing.Override:
		return Operator
	case signing.Feed, signing.Publication, signing.Withdrawal, signing.Sealed,
		signing.Holdings, signing.Bundle, signing.Receipt, signing.Enrolment:
		return Publisher
	}
	return ""
}

// CheckDates reports whether the certificate of a is within its dates. That is
// asked when a statement is appended, and by stock tools; never afterwards.
func (v *View) CheckDates(a signing.Attestation, now time.Time) error {
	cert, err := signing.ParseCertificate(a.CertificateDER())
	if err != nil {
		return err
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return &DeniedError{Reason: Untrusted, Rule: "dates", Thing: v.history.Space().String(),
			Why: fmt.Sprintf("the leaf certificate is valid from %s to %s", cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))}
	}
	return nil
}

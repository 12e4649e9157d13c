package trust

import (
	"crypto/ecdsa"
	"fmt"
	"time"

	"airlock/signing"
	"airlock/storage"
)

// Enrolment is the predicate with which a Space asks an operator for admission. A
// publisher of the Space signs it, and its subject is the newest version of the
// identity that comes along, so it proves that who asks holds the Space's key.
// Invitation, log key and pin bind it to one request: shown elsewhere it says
// nothing. testdata/enrolment.json is one.
type Enrolment struct {
	Invitation storage.Digest `json:"invitation"` // its ID
	Lineage    Lineage        `json:"lineage"`
	LogKey     []byte         `json:"logKey"` // of the operator, as the server told it, 32 bytes
	Pin        storage.Digest `json:"pin"`    // the key that the server showed
	Space      string         `json:"space"`
	Time       string         `json:"time"` // RFC 3339, UTC, by the Space's clock
}

// maxProofAge is how far the time of an enrolment and the clock of who checks it
// may be apart: twice as far as clocks that nobody sets may go wrong.
const maxProofAge = 2 * time.Hour

// RuleEnrolment is the rule of a *DeniedError about a proof that does not fit, and
// RuleInvitation of one about the code.
const (
	RuleEnrolment  = "enrolment"
	RuleInvitation = "invitation"
)

// NewEnrolment returns what a Space says at a moment to ask for admission.
func NewEnrolment(h *History, invitation Invitation, logKey []byte, now time.Time) Enrolment {
	return Enrolment{Invitation: invitation.ID(), Lineage: h.Lineage(), LogKey: logKey, Pin: invitation.Pin(),
		Space: h.Space().String(), Time: signing.FormatTime(now)}
}

// Statement returns the statement for a publisher of the Space to sign.
func (e Enrolment) Statement(h *History) (signing.Statement, error) {
	raw, err := signing.MarshalCanonical(e)
	id := h.Current()
	return signing.Statement{Kind: signing.Enrolment, Subject: id.Digest(), SubjectName: identityName(id), Predicate: raw}, err
}

// CheckEnrolment checks that an attestation proves what want says, but for its
// time, which has to be about now: that a publisher of the Space's newest identity
// signed just that. An error is a *DeniedError.
func CheckEnrolment(a signing.Attestation, h *History, want Enrolment, now time.Time) error {
	deny := func(reason Reason, format string, args ...any) error {
		return &DeniedError{Reason: reason, Rule: RuleEnrolment, Thing: "the proof of " + h.Space().String(), Why: fmt.Sprintf(format, args...)}
	}
	number := h.Current().leaf(a.CertificateDER())
	if number < 0 || !h.Current().Leaves[number].Has(Publisher) {
		return deny(Untrusted, "is not signed by a publisher whom identity version %d lists", h.Current().Version)
	}
	// Rule 4.1: nothing is parsed that was not signed.
	if err := a.VerifySignature(h.Current().Leaves[number].cert.PublicKey.(*ecdsa.PublicKey)); err != nil {
		return deny(BadSignature, "is not signed by the key that it names")
	}
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return deny(Malformed, "%v", err)
	}
	if st.Kind != signing.Enrolment {
		return deny(Malformed, "is a statement of kind %s, not %s", st.Kind, signing.Enrolment)
	}
	var got Enrolment
	if err := signing.UnmarshalCanonical(st.Predicate, &got); err != nil {
		return deny(Malformed, "%v", err)
	}
	made, err := signing.ParseTime(got.Time)
	if err != nil {
		return deny(Malformed, "time: %v", err)
	}
	switch {
	case st.Subject != h.Current().Digest() || got.Lineage != want.Lineage || got.Space != want.Space:
		return deny(Untrusted, "speaks of another identity")
	case got.Invitation != want.Invitation:
		return deny(Untrusted, "was made for %s, not for %s", InvitationName(got.Invitation), InvitationName(want.Invitation))
	case got.Pin != want.Pin:
		return deny(Untrusted, "was made for a server with key %s, not for that of the invitation", got.Pin)
	case string(got.LogKey) != string(want.LogKey):
		return deny(Untrusted, "was made for another operator's server")
	case made.Before(now.Add(-maxProofAge)) || made.After(now.Add(maxProofAge)):
		return deny(Untrusted, "was made at %s, and it is %s here", got.Time, signing.FormatTime(now))
	}
	v, err := NewView(h, nil)
	if err != nil {
		return err
	}
	return v.CheckDates(a, now)
}

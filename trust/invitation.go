package trust

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"airlock/storage"
)

// Invitation is a code that an operator gives to the people of a Space, once: it
// lets them ask for admission, and names the server that they shall ask, by the
// thumbprint of its TLS key, so that nobody between can stand for it.
//
// Its text is "airlock-1-" and 80 characters of base32 (RFC 4648, section 6) in
// lower case: 16 random bytes, the 32 of the pin, and the first two of the SHA-256
// of "airlock invitation 1\n" and these 48, against mistakes in copying.
// testdata/invitation.txt is one.
type Invitation struct {
	secret [16]byte
	pin    storage.Digest
}

const (
	invitationPrefix = "airlock-1-"
	invitationSum    = "airlock invitation 1\n"
	invitationSize   = (16 + 32 + 2) * 8 / 5 // characters
)

var invitationText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewInvitation returns a code of 128 random bits for the server with that key.
func NewInvitation(pin storage.Digest) Invitation {
	i := Invitation{pin: pin}
	_, _ = rand.Read(i.secret[:]) // never fails, see crypto/rand
	return i
}

// ParseInvitation reads the form of Text, and no other. The error does not repeat
// what it was given.
func ParseInvitation(s string) (Invitation, error) {
	var i Invitation
	text, ok := strings.CutPrefix(s, invitationPrefix)
	b, err := invitationText.DecodeString(text)
	if !ok || err != nil || len(text) != invitationSize {
		return i, fmt.Errorf("invitation: want %q and %d characters of a-z and 2-7", invitationPrefix, invitationSize)
	}
	copy(i.secret[:], b)
	copy(i.pin[:], b[len(i.secret):])
	if i.Text() != s {
		return Invitation{}, fmt.Errorf("invitation: a character is wrong: copy it anew")
	}
	return i, nil
}

// Text is the code itself: a secret until it was used.
func (i Invitation) Text() string {
	b := append(i.secret[:], i.pin[:]...)
	sum := sha256.Sum256(append([]byte(invitationSum), b...))
	return invitationPrefix + invitationText.EncodeToString(append(b, sum[:2]...))
}

// ID is the SHA-256 of the text: what a server keeps of it.
func (i Invitation) ID() storage.Digest { return storage.DigestOf([]byte(i.Text())) }

// Pin is the thumbprint of the server's TLS key.
func (i Invitation) Pin() storage.Digest { return i.pin }

// String names an invitation in logs, and gives nothing away.
func (i Invitation) String() string { return InvitationName(i.ID()) }

// InvitationName is what an invitation is called in texts for people, by its ID.
func InvitationName(id storage.Digest) string { return "invitation " + id.Hex()[:8] }

package feedtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"

	"airlock/signing"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// Pen is a publisher whose private key is at hand. It signs any bytes, also
// those that signing.Signer would never write.
type Pen struct {
	*signing.Signer
	key *ecdsa.PrivateKey
}

// NewPen makes the next version of a Space's identity, which lists one more
// publisher, and returns that publisher's pen.
func NewPen(tb testing.TB, s *trusttest.Space, person string) *Pen {
	tb.Helper()
	key, err := signing.GenerateKey()
	check(tb, err)
	profile := signing.Profile{Space: s.Name.URI(), Issuer: trusttest.Issuer, Name: person,
		NotBefore: trusttest.NotBefore, NotAfter: trusttest.NotAfter}
	cert, err := signing.NewLeaf(profile, &key.PublicKey, s.History().Current().Root, s.Root)
	check(tb, err)
	signer, err := signing.NewSigner(key, cert)
	check(tb, err)
	s.Next(func(id *trust.Identity) {
		id.Leaves = append(id.Leaves, trust.Leaf{Certificate: cert, Person: person, Roles: []trust.Role{trust.Publisher}})
	})
	return &Pen{signer, key}
}

// SignBytes signs a payload as it is, whatever it holds, with its low-S
// signature. The payload must fit an attestation.
func (p *Pen) SignBytes(tb testing.TB, payload []byte, objects ...[]byte) Signed {
	tb.Helper()
	pae := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(signing.PayloadType), signing.PayloadType, len(payload), payload))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, pae[:])
	check(tb, err)
	if other := mirror(s); other.Cmp(s) < 0 {
		s = other
	}
	a, err := signing.ParseAttestation(StoredForm(payload, derOf(tb, r, s), p.CertificateDER()))
	check(tb, err)
	return Signed{Attestation: a, Objects: objects}
}

// StoredForm writes an attestation without a time stamp, of any parts, as
// docs/formats.md has it.
func StoredForm(payload, signature, certificate []byte) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `{"dsseEnvelope":{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"%s"}]},`+
		`"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{"rawBytes":"%s"}}}`,
		b64(payload), b64(signature), b64(certificate))
}

// HighS returns the stored form of an attestation with the other signature
// that verifies: s becomes n-s.
func HighS(tb testing.TB, a signing.Attestation) []byte {
	tb.Helper()
	var sig struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(a.Signature(), &sig)
	check(tb, err)
	return StoredForm(a.Payload(), derOf(tb, sig.R, mirror(sig.S)), a.CertificateDER())
}

func mirror(s *big.Int) *big.Int { return new(big.Int).Sub(elliptic.P256().Params().N, s) }

func derOf(tb testing.TB, r, s *big.Int) []byte {
	tb.Helper()
	out, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	check(tb, err)
	return out
}

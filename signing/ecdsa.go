package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// halfOrder is half the order of P-256. Of the two signatures (r, s) and
// (r, n-s), which verify alike, only the one with s at or below it is stored.
var halfOrder = new(big.Int).Rsh(elliptic.P256().Params().N, 1)

// Signer signs statements with one key and its certificate.
type Signer struct {
	signer      signature.Signer
	certificate []byte
}

// NewSigner returns a signer for a P-256 key whose certificate, in DER, goes
// into every attestation.
func NewSigner(key *ecdsa.PrivateKey, certificate []byte) (*Signer, error) {
	cert, err := ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("certificate: is for another key than the private one")
	}
	s, err := signature.LoadECDSASigner(key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return &Signer{signer: s, certificate: certificate}, nil
}

// Sign returns the attestation of s. It may be called concurrently.
func (s *Signer) Sign(_ context.Context, st Statement) (Attestation, error) {
	payload, err := st.Format()
	if err != nil {
		return Attestation{}, err
	}
	sig, err := s.signer.SignMessage(bytes.NewReader(pae(payload)))
	if err != nil {
		return Attestation{}, fmt.Errorf("sign %s: %w", st.SubjectName, err)
	}
	if sig, err = lowS(sig); err != nil {
		return Attestation{}, fmt.Errorf("sign %s: %w", st.SubjectName, err)
	}
	return newAttestation(payload, sig, s.certificate, nil), nil
}

// CertificateDER returns the certificate of the signing key.
func (s *Signer) CertificateDER() []byte { return s.certificate }

// VerifySignature reports whether the attestation was signed by key, a P-256
// public key: ErrBadSignature where it was not.
func (a Attestation) VerifySignature(key *ecdsa.PublicKey) error {
	if a.unsound {
		return ErrBadSignature
	}
	v, err := signature.LoadECDSAVerifier(key, crypto.SHA256)
	if err != nil {
		return err
	}
	// The id is the digest of what was signed (rule 4.1), so the PAE need not be
	// written out and hashed once more.
	if err := v.VerifySignature(bytes.NewReader(a.signature), nil, options.WithDigest(a.id[:])); err != nil {
		return ErrBadSignature
	}
	return nil
}

// checkSignatureForm refuses every encoding of a signature but the stored one:
// DER, r and s positive and s in the lower half.
func checkSignatureForm(sig []byte) error {
	_, s, err := parseSignature(sig)
	if err != nil {
		return err
	}
	if s.Cmp(halfOrder) > 0 {
		return errors.New("signature: is in its high-S form, only the low-S form is stored")
	}
	return nil
}

func lowS(sig []byte) ([]byte, error) {
	r, s, err := parseSignature(sig)
	if err != nil {
		return nil, err
	}
	if s.Cmp(halfOrder) > 0 {
		s.Sub(elliptic.P256().Params().N, s)
	}
	return formatSignature(r, s), nil
}

// parseSignature reads DER and no other encoding; cryptobyte takes nothing else.
func parseSignature(sig []byte) (r, s *big.Int, err error) {
	r, s = new(big.Int), new(big.Int)
	input := cryptobyte.String(sig)
	var inner cryptobyte.String
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) || !inner.Empty() {
		return nil, nil, errors.New("signature: not an ECDSA signature in DER")
	}
	if order := elliptic.P256().Params().N; r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(order) >= 0 || s.Cmp(order) >= 0 {
		return nil, nil, errors.New("signature: integers outside the group of P-256")
	}
	return r, s, nil
}

func formatSignature(r, s *big.Int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.BytesOrPanic()
}

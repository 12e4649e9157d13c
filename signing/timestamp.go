package signing

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"airlock/storage"
)

// ErrTimestamp reports a token that is not by an authority that is believed,
// or not over the bytes.
var ErrTimestamp = errors.New("time stamp does not hold")

// ErrNoTimestamp reports an attestation without a token.
var ErrNoTimestamp = errors.New("carries no time stamp")

// Bounds of a file with certificates of authorities.
const (
	maxAuthorityFile = 256 << 10 // bytes
	maxAuthorities   = 64
)

// Stamp is what a token says once it was checked: the bytes were there at Time,
// by the word of the authority.
type Stamp struct {
	Time      time.Time // UTC
	Accuracy  time.Duration
	Authority string   // the subject of the certificate that signed, for people
	Nonce     *big.Int // of the request; nil where it had none
}

// Authorities are the time authorities that are believed, by their certificates
// alone: what a token brings along only leads to one of them. It may be used
// concurrently.
type Authorities struct {
	certs []*x509.Certificate
	roots *x509.CertPool // of certs

	mu     sync.Mutex
	leaves map[storage.Digest]stampLeaf
}

// stampLeaf is a certificate whose chain was built, and when all of it holds.
type stampLeaf struct {
	cert     *x509.Certificate
	from, to time.Time
}

// ParseAuthorities reads certificates in PEM, 1 to 64 of them, at most 256 KiB:
// roots, or the authorities' own. Other PEM blocks are passed over.
func ParseAuthorities(text []byte) (*Authorities, error) {
	if len(text) > maxAuthorityFile {
		return nil, fmt.Errorf("time authorities: %d bytes, at most %d are allowed", len(text), maxAuthorityFile)
	}
	t := &Authorities{roots: x509.NewCertPool(), leaves: map[storage.Digest]stampLeaf{}}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("time authorities: certificate %d: %w", len(t.certs)+1, err)
		}
		t.certs = append(t.certs, cert)
		t.roots.AddCert(cert)
	}
	switch n := len(t.certs); {
	case n == 0:
		return nil, errors.New("time authorities: holds no root certificate, nor an authority's own, in PEM")
	case n > maxAuthorities:
		return nil, fmt.Errorf("time authorities: %d certificates, at most %d are allowed", n, maxAuthorities)
	}
	return t, nil
}

// Certificates returns the certificates that are believed, in the order of the
// file. They are not to be changed.
func (t *Authorities) Certificates() []*x509.Certificate { return slices.Clone(t.certs) }

// Verify checks the time stamp of an attestation: ErrNoTimestamp where it has
// none, ErrTimestamp where it does not hold. It says nothing of the attestation's
// own signature.
func (t *Authorities) Verify(a Attestation) (Stamp, error) {
	if len(a.timestamp) == 0 {
		return Stamp{}, fmt.Errorf("statement %s: %w", a.id, ErrNoTimestamp)
	}
	s, err := t.VerifyToken(a.timestamp, a.signature)
	if err != nil {
		return Stamp{}, fmt.Errorf("statement %s: %w", a.id, err)
	}
	return s, nil
}

// VerifyToken checks an RFC 3161 response, DER of at most 16 KiB, over message:
// granted, its token signed once by a certificate for time stamping alone that
// leads to an authority, all of the chain valid at that time, accuracy
// included. Errors match ErrTimestamp.
func (t *Authorities) VerifyToken(response, message []byte) (Stamp, error) {
	tok, err := parseToken(response)
	if err == nil {
		err = tok.info.checkImprint(message)
	}
	var leaf stampLeaf
	if err == nil {
		leaf, err = t.leaf(tok)
	}
	if err == nil {
		err = tok.checkSignature(leaf.cert)
	}
	if err != nil {
		return Stamp{}, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	return Stamp{Time: tok.info.time, Accuracy: tok.info.accuracy, Authority: leaf.cert.Subject.String(), Nonce: tok.info.nonce}, nil
}

// leaf returns the certificate that a token names, once it leads to a root. A
// feed has thousands of tokens by one certificate, whose chain is built once.
func (t *Authorities) leaf(tok *token) (stampLeaf, error) {
	t.mu.Lock()
	l, ok := t.leaves[tok.leafDigest]
	t.mu.Unlock()
	if !ok || !l.holds(tok.info) {
		var err error
		if l, err = t.build(tok); err != nil {
			return l, err
		}
		t.mu.Lock()
		t.leaves[tok.leafDigest] = l
		t.mu.Unlock()
	}
	if !l.holds(tok.info) {
		return l, fmt.Errorf("says %s, and the certificates are valid from %s to %s", FormatTime(tok.info.time),
			FormatTime(l.from), FormatTime(l.to))
	}
	// RFC 3161, section 2.4.2: the token names its signer, which is the one found.
	if !bytes.Equal(l.cert.RawIssuer, tok.issuer) || l.cert.SerialNumber.Cmp(tok.serial) != 0 {
		return l, errors.New("names another certificate than the one that it identifies by digest")
	}
	return l, nil
}

// holds reports whether all of the time that a token may mean is within the
// chain's validity.
func (l stampLeaf) holds(i tstInfo) bool {
	return !i.time.Add(-i.accuracy).Before(l.from) && !i.time.Add(i.accuracy).After(l.to)
}

// build leads the token's certificate to a root.
func (t *Authorities) build(tok *token) (stampLeaf, error) {
	cert, err := x509.ParseCertificate(tok.leaf)
	if err != nil {
		return stampLeaf{}, fmt.Errorf("certificate: %w", err)
	}
	if err := checkStampUsage(cert); err != nil {
		return stampLeaf{}, err
	}
	between := x509.NewCertPool()
	for _, der := range tok.others {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	chains, err := cert.Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: between, CurrentTime: tok.info.time,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	if err != nil {
		return stampLeaf{}, fmt.Errorf("certificate of %s: %w", cert.Subject, err)
	}
	l := stampLeaf{cert, cert.NotBefore, cert.NotAfter}
	for _, c := range chains[0][1:] {
		if c.NotBefore.After(l.from) {
			l.from = c.NotBefore
		}
		if c.NotAfter.Before(l.to) {
			l.to = c.NotAfter
		}
	}
	return l, nil
}

var oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// checkStampUsage: RFC 3161, section 2.3: the extension is critical and holds
// timeStamping alone.
func checkStampUsage(cert *x509.Certificate) error {
	if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(cert.UnknownExtKeyUsage) > 0 {
		return fmt.Errorf("certificate of %s: extended key usage is not timeStamping alone", cert.Subject)
	}
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oidExtKeyUsage) && !ext.Critical {
			return fmt.Errorf("certificate of %s: extended key usage is not critical", cert.Subject)
		}
	}
	return nil
}

// WithTimestamp returns the attestation with an RFC 3161 response over its
// signature: the same statement in another stored form. The token is not
// checked.
func (a Attestation) WithTimestamp(response []byte) (Attestation, error) {
	if len(response) == 0 || len(response) > maxTimestamp {
		return Attestation{}, fmt.Errorf("time stamp of %d bytes, want 1 to %d", len(response), maxTimestamp)
	}
	return newAttestation(a.payload, a.signature, a.certificate, response), nil
}

package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"airlock/storage"
)

// Profile is what a certificate of ours says. Root certificates sign leaves
// and identity versions; leaves sign everything else, or open connections.
type Profile struct {
	Space     string // first URI SAN: "space://<organisation>/<space>"
	Issuer    string // the organisation's issuer URL, in the extension oidIssuer
	Name      string // subject common name, for people only
	NotBefore time.Time
	NotAfter  time.Time
	Use       Use // of a leaf; a root is for statements
}

// Use is what the key of a certificate is for: its extended key usage (RFC
// 5280, section 4.2.1.12), and no other beside it.
type Use int

// The uses of a leaf.
const (
	ForStatements  Use = iota // codeSigning, which stock cosign asks for
	ForConnections            // clientAuth and serverAuth: TLS
)

func (u Use) extended() []x509.ExtKeyUsage {
	if u == ForConnections {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
}

func (u Use) String() string {
	if u == ForConnections {
		return "clientAuth and serverAuth"
	}
	return "codeSigning"
}

// NewRoot returns a self-signed root certificate, in DER.
func NewRoot(p Profile, key *ecdsa.PrivateKey) ([]byte, error) {
	t, err := p.template()
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	return x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
}

// NewLeaf returns a leaf certificate for pub, issued by root, in DER.
func NewLeaf(p Profile, pub *ecdsa.PublicKey, root []byte, rootKey *ecdsa.PrivateKey) ([]byte, error) {
	t, err := p.template()
	if err != nil {
		return nil, err
	}
	parent, err := ParseCertificate(root)
	if err != nil {
		return nil, err
	}
	t.BasicConstraintsValid = true
	t.KeyUsage = x509.KeyUsageDigitalSignature
	return x509.CreateCertificate(rand.Reader, t, parent, pub, rootKey)
}

// NewSelfSigned returns a certificate in DER that its own key signs: that of a
// person, for attestations outside every identity, or of a server. It says nothing
// but the name, for people: who receives goes by the key. It has no end (RFC 5280,
// section 4.1.2.5).
func NewSelfSigned(name string, key *ecdsa.PrivateKey, notBefore time.Time, use Use) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             notBefore.UTC().Truncate(time.Second),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           use.extended(),
		BasicConstraintsValid: true,
	}
	return x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return serial.Add(serial, big.NewInt(1)), nil // RFC 5280, section 4.1.2.2: positive
}

func (p Profile) template() (*x509.Certificate, error) {
	space, err := url.Parse(p.Space)
	if err != nil {
		return nil, fmt.Errorf("certificate: space: %w", err)
	}
	issuer, err := asn1.MarshalWithParams(p.Issuer, "utf8")
	if err != nil {
		return nil, fmt.Errorf("certificate: issuer: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:    serial,
		Subject:         pkix.Name{CommonName: p.Name},
		NotBefore:       p.NotBefore.UTC().Truncate(time.Second),
		NotAfter:        p.NotAfter.UTC().Truncate(time.Second),
		URIs:            []*url.URL{space},
		ExtKeyUsage:     p.Use.extended(),
		ExtraExtensions: []pkix.Extension{{Id: oidIssuer, Value: issuer}},
	}, nil
}

// ParseCertificate reads one certificate in DER, at most 4 KiB, for a P-256 key.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("certificate: %d bytes, at most %d are allowed", len(der), maxCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("certificate: key is not ECDSA P-256, the only kind that every verifier accepts")
	}
	// A key has one thumbprint. Go reads past what follows the curve in the
	// key's algorithm, so one key could pass for two.
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if !bytes.Equal(spki, cert.RawSubjectPublicKeyInfo) {
		return nil, errors.New("certificate: key is not in its shortest encoding (RFC 5480, section 2.1.1)")
	}
	return cert, nil
}

// CheckRoot reports where a root certificate departs from the profile.
func CheckRoot(cert *x509.Certificate, space, issuer string) error {
	if !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return errors.New("root certificate: may not sign certificates (CA:TRUE, keyCertSign)")
	}
	if err := checkProfile(cert, space, issuer, ForStatements); err != nil {
		return fmt.Errorf("root certificate: %w", err)
	}
	if err := cert.CheckSignatureFrom(cert); err != nil {
		return fmt.Errorf("root certificate: %w", err)
	}
	return nil
}

// CheckLeaf reports where a leaf for a use departs from the profile or is not
// root's.
func CheckLeaf(cert, root *x509.Certificate, space, issuer string, use Use) error {
	if cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage != x509.KeyUsageDigitalSignature {
		return errors.New("leaf certificate: want CA:FALSE and digitalSignature alone")
	}
	if err := checkProfile(cert, space, issuer, use); err != nil {
		return fmt.Errorf("leaf certificate: %w", err)
	}
	if err := cert.CheckSignatureFrom(root); err != nil {
		return fmt.Errorf("leaf certificate: not issued by the root: %w", err)
	}
	if !bytes.Equal(cert.RawIssuer, root.RawSubject) { // by which stock tools find the root
		return fmt.Errorf("leaf certificate: issuer %q is not the root's subject %q", cert.Issuer, root.Subject)
	}
	return nil
}

// KeyThumbprint names a key: the SHA-256 of its SubjectPublicKeyInfo.
func KeyThumbprint(cert *x509.Certificate) storage.Digest {
	return storage.DigestOf(cert.RawSubjectPublicKeyInfo)
}

// PublicThumbprint is KeyThumbprint for a bare key.
func PublicThumbprint(pub *ecdsa.PublicKey) (storage.Digest, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return storage.Digest{}, err
	}
	return storage.DigestOf(spki), nil
}

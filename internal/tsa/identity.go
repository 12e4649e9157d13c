package tsa

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"airlock/signing"
)

// years is how long the certificates of an authority hold. The key of the root
// is thrown away, so nobody can ever issue another beside the authority's own.
const years = 20

// Identity is an authority's key with its certificates.
//
// Its file is PEM: CERTIFICATE of the authority, CERTIFICATE of its root,
// PRIVATE KEY in PKCS#8. The key is plain, since tokens are made without a
// person.
type Identity struct {
	Key  *ecdsa.PrivateKey
	Leaf *x509.Certificate
	Root *x509.Certificate
}

// maxIdentity bounds the file of an identity, in bytes.
const maxIdentity = 32 << 10

// NewIdentity makes an authority of that name: a root, and a certificate for
// time stamping alone (RFC 3161, section 2.3).
func NewIdentity(name string, now time.Time) (*Identity, error) {
	rootKey, err := signing.GenerateKey()
	if err != nil {
		return nil, err
	}
	root, err := issue(pkix.Name{CommonName: name + " time authority root"}, now, nil, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	key, err := signing.GenerateKey()
	if err != nil {
		return nil, err
	}
	leaf, err := issue(pkix.Name{CommonName: name + " time authority"}, now, root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	return &Identity{Key: key, Leaf: leaf, Root: root}, nil
}

// issue makes the root, where parent is nil, or the certificate under it.
func issue(subject pkix.Name, now time.Time, parent *x509.Certificate, pub *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: subject, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour).UTC().Truncate(time.Second), NotAfter: now.AddDate(years, 0, 0).UTC().Truncate(time.Second)}
	if parent == nil {
		t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		parent = t
	} else {
		usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}) // id-kp-timeStamping
		if err != nil {
			return nil, err
		}
		// Go writes this extension as not critical, which RFC 3161 demands.
		t.KeyUsage, t.ExtraExtensions = x509.KeyUsageDigitalSignature, []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Format returns the identity's file.
func (id *Identity) Format() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return nil, err
	}
	return append(id.Chain(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), nil
}

// Chain returns the certificates in PEM: the authority's own, then the root.
func (id *Identity) Chain() []byte {
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Leaf.Raw}), id.RootPEM()...)
}

// RootPEM returns the root in PEM, by which others believe the authority.
func (id *Identity) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Root.Raw})
}

// ParseIdentity reads what Format wrote.
func ParseIdentity(text []byte) (*Identity, error) {
	if len(text) > maxIdentity {
		return nil, fmt.Errorf("time authority: %d bytes, at most %d are allowed", len(text), maxIdentity)
	}
	var blocks []*pem.Block
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
		text = rest
	}
	if len(blocks) != 3 || blocks[0].Type != "CERTIFICATE" || blocks[1].Type != "CERTIFICATE" || blocks[2].Type != "PRIVATE KEY" || len(bytes.TrimSpace(text)) > 0 {
		return nil, errors.New("time authority: want its certificate, the root and the private key in PEM, in this order")
	}
	id := &Identity{}
	var err error
	if id.Leaf, err = x509.ParseCertificate(blocks[0].Bytes); err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	if id.Root, err = x509.ParseCertificate(blocks[1].Bytes); err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(blocks[2].Bytes)
	if err != nil {
		return nil, errors.New("time authority: not a PKCS#8 private key") // the cause may quote key material
	}
	var ok bool
	if id.Key, ok = key.(*ecdsa.PrivateKey); !ok || id.Key.Curve != elliptic.P256() || !id.Key.PublicKey.Equal(id.Leaf.PublicKey) {
		return nil, errors.New("time authority: the private key is not the certificate's, or not ECDSA P-256")
	}
	if err := id.Leaf.CheckSignatureFrom(id.Root); err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	return id, nil
}

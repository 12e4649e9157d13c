//go:build interop

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	space         = "space://acme/dev-qa"
	issuerURL     = "https://acme.airlock.example"
	predicateType = "https://airlock.example/publication/v1"
	payloadType   = "application/vnd.in-toto+json"
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	trustedType   = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
)

// fulcioIssuer is Sigstore's OID for the issuer (1.3.6.1.4.1.57264.1.8): a
// DER-encoded UTF8String.
var fulcioIssuer = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}

// A profile is a choice of certificate fields; profiles differ from the one
// the design asks for so that a test can tell what a stranger insists on.
type profile struct {
	rootCA        bool
	rootKeyUsage  x509.KeyUsage
	rootExtended  []x509.ExtKeyUsage
	leafKeyUsage  x509.KeyUsage
	leafExtended  []x509.ExtKeyUsage
	noIssuer      bool
	selfSignedEnd bool // the leaf is its own authority
}

var designProfile = profile{
	rootCA:       true,
	rootKeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	leafKeyUsage: x509.KeyUsageDigitalSignature,
	leafExtended: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
}

// A fixture is one signed statement about an artifact, made from nothing but
// the standard library, and the chain behind it.
type fixture struct {
	dir        string
	artifact   []byte
	root, leaf *x509.Certificate
	key        *ecdsa.PrivateKey
	statement  []byte
	signature  []byte
}

func newFixture(t *testing.T, p profile) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), artifact: []byte(`{"schemaVersion":2}`)}
	rootKey := newKey(t)
	f.key = newKey(t)
	rootTemplate := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "acme/dev-qa root"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: p.rootCA, BasicConstraintsValid: true, KeyUsage: p.rootKeyUsage, ExtKeyUsage: p.rootExtended,
	}
	f.root = certify(t, rootTemplate, rootTemplate, &rootKey.PublicKey, rootKey)

	identity, err := url.Parse(space)
	must(t, err)
	leafTemplate := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "publisher"}, URIs: []*url.URL{identity},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: p.leafKeyUsage, ExtKeyUsage: p.leafExtended,
	}
	if !p.noIssuer {
		value, err := asn1.MarshalWithParams(issuerURL, "utf8")
		must(t, err)
		leafTemplate.ExtraExtensions = []pkix.Extension{{Id: fulcioIssuer, Value: value}}
	}
	if p.selfSignedEnd {
		f.leaf = certify(t, leafTemplate, leafTemplate, &f.key.PublicKey, f.key)
		f.root = f.leaf
	} else {
		f.leaf = certify(t, leafTemplate, f.root, &f.key.PublicKey, rootKey)
	}
	f.sign(t)
	return f
}

// sign writes the in-toto statement and the signature over its DSSE PAE.
func (f *fixture) sign(t *testing.T) {
	digest := sha256.Sum256(f.artifact)
	f.statement = marshal(t, map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": "variable-set/db@1.4", "digest": map[string]any{"sha256": hex.EncodeToString(digest[:])}}},
		"predicateType": predicateType,
		"predicate":     map[string]any{"kind": "variable-set", "name": "db", "version": "1.4"},
	})
	pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(f.statement), f.statement)
	sum := sha256.Sum256(pae)
	var err error
	f.signature, err = ecdsa.SignASN1(rand.Reader, f.key, sum[:])
	must(t, err)
}

// bundle is the Sigstore bundle v0.3 with the certificate or a key's hint.
func (f *fixture) bundle(material map[string]any) map[string]any {
	return map[string]any{
		"mediaType":            bundleType,
		"verificationMaterial": material,
		"dsseEnvelope": map[string]any{
			"payloadType": payloadType,
			"payload":     base64.StdEncoding.EncodeToString(f.statement),
			"signatures":  []any{map[string]any{"sig": base64.StdEncoding.EncodeToString(f.signature)}},
		},
	}
}

func (f *fixture) withCertificate() map[string]any {
	return map[string]any{"certificate": map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(f.leaf.Raw)}}
}

func withHint(hint string) map[string]any {
	return map[string]any{"publicKey": map[string]any{"hint": hint}}
}

// trustedRoot is the smallest trusted_root.json with these authorities.
func trustedRoot(roots ...*x509.Certificate) map[string]any {
	var authorities []any
	for _, root := range roots {
		authorities = append(authorities, map[string]any{
			"certChain": map[string]any{"certificates": []any{map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(root.Raw)}}},
		})
	}
	return map[string]any{"mediaType": trustedType, "certificateAuthorities": authorities}
}

// write puts content, or its JSON, into a file of the fixture and returns the path.
func (f *fixture) write(t *testing.T, name string, content any) string {
	t.Helper()
	raw, ok := content.([]byte)
	if !ok {
		raw = marshal(t, content)
	}
	path := filepath.Join(f.dir, name)
	must(t, os.WriteFile(path, raw, 0o600))
	return path
}

func (f *fixture) publicKey(t *testing.T) []byte {
	der, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func pemCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func certify(t *testing.T, template, parent *x509.Certificate, pub *ecdsa.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, by)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	must(t, err)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

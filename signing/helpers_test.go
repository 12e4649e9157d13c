package signing

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"airlock/storage"
)

const (
	testSpace  = "space://acme/dev-qa"
	testIssuer = "https://id.acme.example"
)

func testProfile() Profile {
	return Profile{
		Space: testSpace, Issuer: testIssuer, Name: "alice",
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func testKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func testRoot(tb testing.TB) (*ecdsa.PrivateKey, []byte) {
	tb.Helper()
	key := testKey(tb)
	p := testProfile()
	p.Name = "root of acme/dev-qa"
	der, err := NewRoot(p, key)
	if err != nil {
		tb.Fatal(err)
	}
	return key, der
}

func testSigner(tb testing.TB) (*Signer, *ecdsa.PublicKey) {
	tb.Helper()
	rootKey, root := testRoot(tb)
	key := testKey(tb)
	leaf, err := NewLeaf(testProfile(), &key.PublicKey, root, rootKey)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := NewSigner(key, leaf)
	if err != nil {
		tb.Fatal(err)
	}
	return s, &key.PublicKey
}

func testStatement() Statement {
	return Statement{
		Kind: Publication, Subject: storage.DigestOf([]byte("manifest")), SubjectName: "variable-set/shop@1.4.0",
		Predicate: []byte(`{"epoch":1,"feed":"acme/dev-qa/shared"}`),
	}
}

func testAttestation(tb testing.TB) (Attestation, *ecdsa.PublicKey) {
	tb.Helper()
	s, pub := testSigner(tb)
	a, err := s.Sign(context.Background(), testStatement())
	if err != nil {
		tb.Fatal(err)
	}
	return a, pub
}

func parsed(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	cert, err := ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// wantError fails the test unless err says want; "" stands for no error.
func wantError(tb testing.TB, err error, want string) {
	tb.Helper()
	if want == "" && err != nil {
		tb.Error(err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		tb.Errorf("error %v, want %q", err, want)
	}
}

// decodeNumbers decodes one JSON value without rounding numbers.
func decodeNumbers(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(v)
}

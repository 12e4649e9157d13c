package signing

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"errors"
	"math/big"
	"testing"
)

func TestSignatureForm(t *testing.T) {
	n := elliptic.P256().Params().N
	one := big.NewInt(1)
	above := new(big.Int).Add(halfOrder, one)
	for name, test := range map[string]struct {
		sig  []byte
		want string
	}{
		"smallest":            {formatSignature(one, one), ""},
		"largest":             {formatSignature(new(big.Int).Sub(n, one), halfOrder), ""},
		"high S":              {formatSignature(one, above), "high-S"},
		"highest S":           {formatSignature(one, new(big.Int).Sub(n, one)), "high-S"},
		"r is zero":           {formatSignature(new(big.Int), one), "outside the group"},
		"s is zero":           {formatSignature(one, new(big.Int)), "outside the group"},
		"r is negative":       {formatSignature(big.NewInt(-1), one), "outside the group"},
		"r is the order":      {formatSignature(n, one), "outside the group"},
		"s is above":          {formatSignature(one, new(big.Int).Add(n, one)), "outside the group"},
		"r with leading zero": {[]byte{0x30, 7, 2, 2, 0, 1, 2, 1, 1}, "in DER"},
		"long length":         {[]byte{0x30, 0x81, 6, 2, 1, 1, 2, 1, 1}, "in DER"},
		"indefinite length":   {[]byte{0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0}, "in DER"},
		"trailing byte":       {[]byte{0x30, 6, 2, 1, 1, 2, 1, 1, 0}, "in DER"},
		"third integer":       {[]byte{0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1}, "in DER"},
		"one integer":         {[]byte{0x30, 3, 2, 1, 1}, "in DER"},
		"set":                 {[]byte{0x31, 6, 2, 1, 1, 2, 1, 1}, "in DER"},
		"raw":                 {bytes.Repeat([]byte{1}, 64), "in DER"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, checkSignatureForm(test.sig), test.want)
			if r, s, err := parseSignature(test.sig); err == nil && !bytes.Equal(formatSignature(r, s), test.sig) {
				t.Errorf("%x has another encoding, %x", test.sig, formatSignature(r, s))
			}
			a := newAttestation([]byte("{}"), test.sig, []byte("certificate"), nil)
			_, err := ParseAttestation(a.Bytes())
			wantError(t, err, test.want)
		})
	}
}

// ECDSA is malleable: (r, n-s) verifies as (r, s) does, so only the form that
// is stored keeps one statement from being two.
func TestHighS(t *testing.T) {
	a, key := testAttestation(t)
	r, s, err := parseSignature(a.Signature())
	if err != nil {
		t.Fatal(err)
	}
	twin := newAttestation(a.Payload(), formatSignature(r, s.Sub(elliptic.P256().Params().N, s)), a.CertificateDER(), nil)
	if err := twin.VerifySignature(key); err != nil {
		t.Fatalf("the twin of a signature does not verify, so this test shows nothing: %v", err)
	}
	_, err = ParseAttestation(twin.Bytes())
	wantError(t, err, "high-S")
	// Its parts can be told, and still it never verifies.
	form, ok := errors.AsType[*SignatureFormError](err)
	if !ok || form.Attestation.ID() != a.ID() || !bytes.Equal(form.Attestation.Signature(), twin.Signature()) {
		t.Fatalf("got %v, want a *SignatureFormError about statement %s", err, a.ID())
	}
	if err := form.Attestation.VerifySignature(key); !errors.Is(err, ErrBadSignature) {
		t.Errorf("the high-S twin: %v, want ErrBadSignature", err)
	}
	low, err := lowS(twin.Signature())
	if err != nil || !bytes.Equal(low, a.Signature()) {
		t.Errorf("low-S form %x, %v, want %x", low, err, a.Signature())
	}
}

// A second signature over the same statement is another attestation of the
// same statement, and always in its low-S form.
func TestSignTwice(t *testing.T) {
	s, key := testSigner(t)
	ids, signatures := map[ID]bool{}, map[string]bool{}
	for range 16 {
		a, err := s.Sign(context.Background(), testStatement())
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, checkSignatureForm(a.Signature()), "")
		wantError(t, a.VerifySignature(key), "")
		ids[a.ID()], signatures[string(a.Signature())] = true, true
	}
	if len(ids) != 1 || len(signatures) < 2 {
		t.Errorf("%d ids and %d signatures of one statement", len(ids), len(signatures))
	}
}

func TestNewSigner(t *testing.T) {
	rootKey, root := testRoot(t)
	key := testKey(t)
	leaf, err := NewLeaf(testProfile(), &key.PublicKey, root, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewSigner(testKey(t), leaf)
	wantError(t, err, "another key")
	_, err = NewSigner(key, []byte("leaf"))
	wantError(t, err, "certificate")
	s, err := NewSigner(key, leaf)
	if err != nil || !bytes.Equal(s.CertificateDER(), leaf) {
		t.Errorf("signer with another certificate, %v", err)
	}
	_, err = s.Sign(context.Background(), Statement{Kind: Receipt, SubjectName: "x"})
	wantError(t, err, "predicate is not an object")
}

package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPublicKey bounds a public key file, in bytes.
const maxPublicKey = 1 << 10

// FormatPublicKey returns the public key file of a P-256 key: its
// SubjectPublicKeyInfo as one PEM block (RFC 7468, section 13), the form of
// "openssl pkey -pubout". testdata/leaf.pub is one.
func FormatPublicKey(pub *ecdsa.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), nil
}

// ParsePublicKey reads a public key file of at most 1 KiB. Only the bytes that
// FormatPublicKey writes are taken: one key has one file, and so one digest.
func ParsePublicKey(file []byte) (*ecdsa.PublicKey, error) {
	if len(file) > maxPublicKey {
		return nil, fmt.Errorf("public key: more than %d bytes", maxPublicKey)
	}
	block, _ := pem.Decode(file)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("public key: want one PEM block PUBLIC KEY")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	pub, ok := parsed.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, errors.New("public key: is not ECDSA P-256, the only kind that every verifier accepts")
	}
	again, err := FormatPublicKey(pub)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, file) {
		return nil, errors.New("public key: want the PEM block alone, as openssl pkey -pubout writes it")
	}
	return pub, nil
}

package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest is the SHA-256 of some bytes. The zero Digest names nothing.
type Digest [sha256.Size]byte

// digestPrefix is the algorithm part of a digest's text form (OCI image
// specification, "Digests"). It is the only algorithm there is.
const digestPrefix = "sha256:"

// DigestOf returns the SHA-256 of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads the text form "sha256:" and 64 lower-case hexadecimal
// digits, the one that String writes. Nothing else is accepted.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestPrefix)
	if !ok {
		return Digest{}, fmt.Errorf("digest %.80q: want %q and 64 hexadecimal digits", s, digestPrefix)
	}
	return ParseHex(digits)
}

// ParseHex reads the 64 lower-case hexadecimal digits that Hex writes.
func ParseHex(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) || strings.ToLower(s) != s {
		return Digest{}, fmt.Errorf("digest %.80q: want 64 lower-case hexadecimal digits", s)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("digest %.80q: want 64 lower-case hexadecimal digits", s)
	}
	return d, nil
}

// String returns "sha256:" and 64 lower-case hexadecimal digits.
func (d Digest) String() string { return digestPrefix + d.Hex() }

// Hex returns 64 lower-case hexadecimal digits.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes the form of String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts only the form of String.
func (d *Digest) UnmarshalText(b []byte) error {
	parsed, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Ref names bytes by digest and size in bytes. Who reads by a Ref knows where
// to stop before the first byte arrives.
type Ref struct {
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
}

// RefOf returns the reference to b.
func RefOf(b []byte) Ref { return Ref{Digest: DigestOf(b), Size: int64(len(b))} }

package signing

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// MediaType is the media type of a Sigstore bundle v0.3.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Bounds of an attestation's parts, in bytes.
const (
	MaxAttestation = 96 << 10
	maxSignature   = 72 // two 32-byte integers in DER
	maxCertificate = 4 << 10
	maxTimestamp   = 16 << 10
)

// The literal parts of the stored form, see the package documentation.
const (
	beforePayload   = `{"dsseEnvelope":{"payload":"`
	beforeSignature = `","payloadType":"` + PayloadType + `","signatures":[{"sig":"`
	beforeCert      = `"}]},"mediaType":"` + MediaType + `","verificationMaterial":{"certificate":{"rawBytes":"`
	afterCert       = `"}`
	beforeTimestamp = `,"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"`
	afterTimestamp  = `"}]}`
	theEnd          = `}}`
)

// ErrBadSignature reports a signature that is not by the key or not over the
// bytes.
var ErrBadSignature = errors.New("signature does not match")

// Attestation is a signed statement as it arrived: parsed, and not verified.
type Attestation struct {
	raw         []byte
	payload     []byte
	signature   []byte
	certificate []byte
	timestamp   []byte
	id          ID
	unsound     bool // taken out of a SignatureFormError
}

// SignatureFormError reports bytes that are the stored form of an attestation
// in everything but the signature itself, which is not in its one encoding: in
// its high-S form, not in DER, outside the group. Attestation holds the parts as
// they stand there, so that a log which took them in can be read on. It never
// verifies.
type SignatureFormError struct {
	Attestation Attestation
	Err         error
}

func (e *SignatureFormError) Error() string { return "attestation: " + e.Err.Error() }

// Unwrap returns what is wrong with the signature.
func (e *SignatureFormError) Unwrap() error { return e.Err }

// ParseAttestation reads the stored form. It refuses every other encoding of
// the same content, so equal statements by the same signature are equal bytes.
// Where nothing but the signature is wrong the error is a *SignatureFormError.
// The attestation keeps b, which the caller does not change afterwards.
func ParseAttestation(b []byte) (Attestation, error) {
	if len(b) > MaxAttestation {
		return Attestation{}, fmt.Errorf("attestation: %d bytes, at most %d are allowed", len(b), MaxAttestation)
	}
	a := Attestation{raw: b}
	rest := b
	for _, part := range []struct {
		name   string
		before string
		limit  int
		into   *[]byte
	}{
		{"payload", beforePayload, MaxStatement, &a.payload},
		{"signature", beforeSignature, maxSignature, &a.signature},
		{"certificate", beforeCert, maxCertificate, &a.certificate},
	} {
		var err error
		if *part.into, rest, err = cutBase64(rest, part.before, part.limit); err != nil {
			return Attestation{}, fmt.Errorf("attestation: %s at byte %d: %w", part.name, len(b)-len(rest), err)
		}
	}
	rest, ok := bytes.CutPrefix(rest, []byte(afterCert))
	if ok && bytes.HasPrefix(rest, []byte(beforeTimestamp)) {
		var err error
		if a.timestamp, rest, err = cutBase64(rest, beforeTimestamp, maxTimestamp); err != nil {
			return Attestation{}, fmt.Errorf("attestation: time stamp: %w", err)
		}
		rest, ok = bytes.CutPrefix(rest, []byte(afterTimestamp))
	}
	if !ok || string(rest) != theEnd {
		return Attestation{}, fmt.Errorf("attestation: at byte %d: %w", len(b)-len(rest), errStoredForm)
	}
	a.id = idOf(a.payload)
	if err := checkSignatureForm(a.signature); err != nil {
		a.unsound = true
		return Attestation{}, &SignatureFormError{Attestation: a, Err: err}
	}
	return a, nil
}

var errStoredForm = errors.New("not the stored form of a Sigstore bundle v0.3 with one certificate and one DSSE signature")

// cutBase64 reads a literal, then base64 up to the next quote.
func cutBase64(b []byte, before string, limit int) (value, rest []byte, err error) {
	rest, ok := bytes.CutPrefix(b, []byte(before))
	if !ok {
		return nil, b, errStoredForm
	}
	end := bytes.IndexByte(rest, '"')
	if end <= 0 || end > base64.StdEncoding.EncodedLen(limit) {
		return nil, rest, fmt.Errorf("want 1 to %d bytes in base64", limit)
	}
	value, err = base64.StdEncoding.Strict().AppendDecode(make([]byte, 0, base64.StdEncoding.DecodedLen(end)), rest[:end])
	switch {
	case err != nil:
		return nil, rest, err
	case base64.StdEncoding.EncodedLen(len(value)) != end:
		// The decoder skips line breaks, which would be a second encoding.
		return nil, rest, errors.New("line break in base64")
	case len(value) > limit:
		return nil, rest, fmt.Errorf("%d bytes, at most %d are allowed", len(value), limit)
	}
	return value, rest[end:], nil
}

// newAttestation assembles the stored form.
func newAttestation(payload, signature, certificate, timestamp []byte) Attestation {
	raw := make([]byte, 0, 512+(len(payload)+len(signature)+len(certificate)+len(timestamp))*4/3)
	raw = base64.StdEncoding.AppendEncode(append(raw, beforePayload...), payload)
	raw = base64.StdEncoding.AppendEncode(append(raw, beforeSignature...), signature)
	raw = base64.StdEncoding.AppendEncode(append(raw, beforeCert...), certificate)
	raw = append(raw, afterCert...)
	if len(timestamp) > 0 {
		raw = base64.StdEncoding.AppendEncode(append(raw, beforeTimestamp...), timestamp)
		raw = append(raw, afterTimestamp...)
	}
	raw = append(raw, theEnd...)
	return Attestation{raw: raw, payload: payload, signature: signature, certificate: certificate, timestamp: timestamp, id: idOf(payload)}
}

// Bytes returns the stored form. The caller does not change it.
func (a Attestation) Bytes() []byte { return a.raw }

// ID names the statement.
func (a Attestation) ID() ID { return a.id }

// Payload returns the statement's JSON as it was signed.
func (a Attestation) Payload() []byte { return a.payload }

// Signature returns the DER signature, in its low-S form.
func (a Attestation) Signature() []byte { return a.signature }

// CertificateDER returns the certificate that came along. It says who claims
// to have signed; package trust decides whether that counts.
func (a Attestation) CertificateDER() []byte { return a.certificate }

// Timestamp returns the RFC 3161 response over the signature, or nil.
func (a Attestation) Timestamp() []byte { return a.timestamp }

package feed

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
)

// LogEntry returns what the log holds of an attestation: an entry of type
// hashedrekord 0.0.2 (Rekor v2) over the statement's pre-authentication
// encoding, in canonical JSON, so that stock cosign can check our proofs. The
// statement itself lies beside the log, in segments.
func LogEntry(a signing.Attestation) []byte {
	id := a.ID()
	out := make([]byte, 0, 400+(len(a.Signature())+len(a.CertificateDER()))*4/3)
	out = append(out, `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"`...)
	out = base64.StdEncoding.AppendEncode(out, id[:])
	out = append(out, `"},"signature":{"content":"`...)
	out = base64.StdEncoding.AppendEncode(out, a.Signature())
	out = append(out, `","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"`...)
	out = base64.StdEncoding.AppendEncode(out, a.CertificateDER())
	return append(out, `"}}}}}}`...)
}

// Logged returns the attestation whose log entry a log holds for stored bytes,
// also where its signature is in a form in which nobody may store it: the log
// entry has those bytes as they are, so they say which entry it is. No other
// bytes do; of them there is an error.
func Logged(raw []byte) (signing.Attestation, error) {
	a, err := signing.ParseAttestation(raw)
	if form, ok := errors.AsType[*signing.SignatureFormError](err); ok {
		return form.Attestation, nil
	}
	return a, err
}

// LeafHash is the Merkle leaf hash of the attestation's log entry (RFC 6962,
// section 2.1).
func LeafHash(a signing.Attestation) tlog.Hash {
	return tlog.RecordHash(LogEntry(a))
}

// LogID is the key id that Sigstore's tooling knows the log by:
// SHA-256(origin, "\n", 0x01, public key).
func LogID(origin string, publicKey []byte) [32]byte {
	b := append([]byte(origin+"\n\x01"), publicKey...)
	return sha256.Sum256(b)
}

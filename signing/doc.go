// Package signing makes and reads the signed sentences of Airlock.
//
// A statement is an in-toto Statement v1 with one subject. It is signed as a
// DSSE envelope (protocol v1.0.2) with one ECDSA P-256 signature over SHA-256,
// and carried as a Sigstore bundle v0.3 together with the certificate of the
// key. Stock cosign verifies the result, see docs/formats.md.
//
// An [Attestation] is parsed and not verified. Only package trust turns one
// into something that may be acted on.
//
// # Stored form
//
// One statement has one stored form: the bytes below, nothing between or after
// them, with standard padded base64 (RFC 4648, section 4) in the places of P
// (the statement), S (the signature, DER, low-S), C (the certificate, DER) and,
// where there is a time stamp, T (an RFC 3161 response over S):
//
//	{"dsseEnvelope":{"payload":"P","payloadType":"application/vnd.in-toto+json",
//	"signatures":[{"sig":"S"}]},"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
//	"verificationMaterial":{"certificate":{"rawBytes":"C"}
//	,"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"T"}]}}}
//
// without the line breaks; testdata/attestation.json is one. The keys are in the
// order of RFC 8785. Proofs of
// inclusion (tlogEntries) are added when a bundle is handed to other tools.
//
// # Identity of a statement
//
// A statement's [ID] is the SHA-256 of its DSSE pre-authentication encoding:
// neither a second signature by the same key (ECDSA is randomised and
// malleable) nor a time stamp makes it another statement.
//
// # Canonical JSON
//
// Documents and statements are JSON in the form of RFC 8785, see
// [MarshalCanonical]. What parses re-encodes to the same bytes; everything
// else is refused. So duplicate keys, keys in another case, unknown fields and
// trailing data have no reading.
//
// # Keys and certificates
//
// Keys are ECDSA P-256, in files that [WriteKeyFile] and [FormatPublicKey] describe. Certificates
// follow one [Profile]; testdata/root.der and leaf.der are a root and its leaf.
package signing

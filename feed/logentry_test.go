package feed

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"airlock/signing"
)

func exampleAttestation(t testing.TB) signing.Attestation {
	t.Helper()
	raw, err := os.ReadFile("testdata/attestation.json")
	if err != nil {
		t.Fatal(err)
	}
	a, err := signing.ParseAttestation(raw)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestLogEntry compares a log entry with testdata, byte for byte, and with the
// members of Rekor v2's hashedrekord 0.0.2 in canonical JSON (encoding/json
// sorts a map's keys).
func TestLogEntry(t *testing.T) {
	a := exampleAttestation(t)
	got := LogEntry(a)
	want, err := os.ReadFile("testdata/logentry.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s\n%v", got, want, err)
	}
	type object = map[string]any
	id := a.ID()
	rekor, err := json.Marshal(object{
		"apiVersion": "0.0.2", "kind": "hashedrekord",
		"spec": object{"hashedRekordV002": object{
			"data": object{"algorithm": "SHA2_256", "digest": id[:]},
			"signature": object{"content": a.Signature(), "verifier": object{
				"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": object{"rawBytes": a.CertificateDER()}}},
		}},
	})
	if err != nil || !bytes.Equal(got, rekor) {
		t.Errorf("got\n%s\nRekor would hold\n%s\n%v", got, rekor, err)
	}
	if got := LeafHash(a).String(); got != "aYUQFEO/T7y4NyAjBnRjOImCJNW/iq+1iPu6xUQ0p8M=" {
		t.Errorf("leaf hash %s", got)
	}
}

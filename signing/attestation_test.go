package signing

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// accepts is what package trust does with an attestation: it parses, it comes
// with the listed certificate, and the key of that certificate signed it.
func accepts(raw, certificate []byte, key *ecdsa.PublicKey) error {
	a, err := ParseAttestation(raw)
	if err != nil {
		return err
	}
	if !bytes.Equal(a.CertificateDER(), certificate) {
		return ErrBadSignature
	}
	return a.VerifySignature(key)
}

func TestAttestationRoundTrip(t *testing.T) {
	a, key := testAttestation(t)
	b, err := ParseAttestation(a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if b.ID() != a.ID() || !bytes.Equal(b.Payload(), a.Payload()) || b.Timestamp() != nil {
		t.Errorf("what was signed does not come back: %+v", b)
	}
	wantError(t, b.VerifySignature(key), "")
	wantError(t, b.VerifySignature(&testKey(t).PublicKey), ErrBadSignature.Error())

	// To stock tools it is JSON with the members of a Sigstore bundle.
	var bundle struct {
		MediaType    string
		DSSEEnvelope struct {
			PayloadType, Payload string
			Signatures           []map[string]string
		}
	}
	if err := json.Unmarshal(a.Bytes(), &bundle); err != nil {
		t.Fatal(err)
	}
	if e := bundle.DSSEEnvelope; bundle.MediaType != MediaType || e.PayloadType != PayloadType || len(e.Signatures) != 1 || len(e.Signatures[0]) != 1 {
		t.Errorf("not the shape that cosign reads: %s", a.Bytes())
	}
	if err := checkCanonical(a.Bytes()); err != nil {
		t.Errorf("stored form: %v", err)
	}
}

// A time stamp comes later and changes neither statement nor signature.
func TestAttestationTimestamp(t *testing.T) {
	plain, key := testAttestation(t)
	stamped := newAttestation(plain.Payload(), plain.Signature(), plain.CertificateDER(), []byte("an RFC 3161 response"))
	got, err := ParseAttestation(stamped.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Timestamp()) != "an RFC 3161 response" || got.ID() != plain.ID() {
		t.Errorf("time stamp %q, id %s", got.Timestamp(), got.ID())
	}
	wantError(t, got.VerifySignature(key), "")
	if err := checkCanonical(stamped.Bytes()); err != nil {
		t.Errorf("stored form: %v", err)
	}
}

// Every change of one bit, one byte more and one byte less is refused.
func TestAttestationDamage(t *testing.T) {
	a, key := testAttestation(t)
	for i := range a.Bytes() {
		for bit := range 8 {
			bad := bytes.Clone(a.Bytes())
			bad[i] ^= 1 << bit
			if accepts(bad, a.CertificateDER(), key) == nil {
				t.Fatalf("byte %d, bit %d flipped: accepted", i, bit)
			}
		}
		if accepts(a.Bytes()[:i], a.CertificateDER(), key) == nil {
			t.Fatalf("cut at byte %d: accepted", i)
		}
		if accepts(append(bytes.Clone(a.Bytes()[:i]), a.Bytes()[i+1:]...), a.CertificateDER(), key) == nil {
			t.Fatalf("without byte %d: accepted", i)
		}
	}
}

func TestParseAttestationRefuses(t *testing.T) {
	a, _ := testAttestation(t)
	good := string(a.Bytes())
	b64 := base64.StdEncoding.EncodeToString
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the attestation", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	with := func(payload, sig, cert, stamp []byte) string {
		return string(newAttestation(payload, sig, cert, stamp).Bytes())
	}
	payload, sig, cert := a.Payload(), a.Signature(), a.CertificateDER()
	body := strings.TrimSuffix(good, theEnd)
	loose := b64([]byte("ab")) // "YWI=", of which "YWJ=" is another spelling
	for name, test := range map[string]struct{ raw, want string }{
		"oversized":                   {good + strings.Repeat(" ", MaxAttestation), "at most"},
		"empty":                       {"", "stored form"},
		"trailing data":               {good + "\n", "stored form"},
		"twice":                       {good + good, "stored form"},
		"white space":                 {swap(`,"payloadType"`, `, "payloadType"`), "stored form"},
		"foreign payload type":        {swap(PayloadType, "application/json"), "stored form"},
		"empty payload type":          {swap(PayloadType, ""), "stored form"},
		"payload type left out":       {swap(`"payloadType":"`+PayloadType+`",`, ""), "stored form"},
		"payload key in another case": {swap(`"payload"`, `"Payload"`), "stored form"},
		"payload twice":               {swap(`{"payload"`, `{"payload":"e30=","payload"`), "stored form"},
		"two signatures":              {swap(`"}]},`, `"},{"sig":"`+b64(sig)+`"}]},`), "stored form"},
		"no signature":                {swap(`{"sig":"`+b64(sig)+`"}`, ``), "stored form"},
		"key id":                      {swap(`{"sig"`, `{"keyid":"","sig"`), "stored form"},
		"another media type":          {swap("v0.3+json", "v0.2+json"), "stored form"},
		"public key":                  {swap(`"certificate":{"rawBytes":"`+b64(cert)+`"}`, `"publicKey":{"hint":"alice"}`), "certificate at byte"},
		"certificate chain":           {swap(`"certificate":{"rawBytes":"`+b64(cert)+`"}`, `"x509CertificateChain":{"certificates":[{"rawBytes":"`+b64(cert)+`"}]}`), "stored form"},
		"log entries":                 {swap(`"}}}`, `"},"tlogEntries":[]}}`), "stored form"},
		"empty payload":               {with(nil, sig, cert, nil), "payload at byte"},
		"empty certificate":           {with(payload, sig, nil, nil), "certificate at byte"},
		"empty time stamp":            {body + beforeTimestamp + afterTimestamp + theEnd, "time stamp"},
		"two time stamps":             {body + beforeTimestamp + `YQ=="},{"signedTimestamp":"YQ==` + afterTimestamp + theEnd, "stored form"},
		"payload too long":            {with(make([]byte, MaxStatement+1), sig, cert, nil), "at most 32768"},
		"payload far too long":        {with(make([]byte, MaxStatement+10), sig, cert, nil), "want 1 to 32768"},
		"certificate too long":        {with(payload, sig, make([]byte, maxCertificate+1), nil), "at most 4096"},
		"time stamp too long":         {with(payload, sig, cert, make([]byte, maxTimestamp+1)), "at most 16384"},
		"signature too long":          {with(payload, make([]byte, 73), cert, nil), "want 1 to 72"},
		"base64 with loose bits":      {with(payload, sig, []byte("ab"), nil), ""},
		"base64 with loose bits set":  {strings.Replace(with(payload, sig, []byte("ab"), nil), loose, "YWJ=", 1), "illegal base64"},
		"base64 without padding":      {strings.Replace(with(payload, sig, []byte("ab"), nil), loose, "YWI", 1), "illegal base64"},
		"base64 with line feed":       {strings.Replace(with(payload, sig, []byte("ab"), nil), loose, "YW\nI=", 1), "line break"},
		"base64 with return":          {strings.Replace(with(payload, sig, []byte("ab"), nil), loose, "YWI=\r", 1), "line break"},
		"base64 with escaped slash":   {strings.Replace(with(payload, sig, []byte("\xff\xff"), nil), "//8=", `\/\/8=`, 1), "illegal base64"},
		"URL alphabet":                {strings.Replace(with(payload, sig, []byte("\xff\xff"), nil), "//8=", "__8=", 1), "illegal base64"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseAttestation([]byte(test.raw))
			wantError(t, err, test.want)
		})
	}
}

func FuzzAttestation(f *testing.F) {
	a, key := testAttestation(f)
	f.Add(a.Bytes())
	f.Add(newAttestation(a.Payload(), a.Signature(), a.CertificateDER(), []byte("stamp")).Bytes())
	f.Add(a.Bytes()[:400])
	f.Add([]byte(beforePayload + "e30=" + beforeSignature))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := ParseAttestation(raw)
		if err != nil {
			return
		}
		again := newAttestation(b.Payload(), b.Signature(), b.CertificateDER(), b.Timestamp())
		if !bytes.Equal(again.Bytes(), raw) || again.ID() != b.ID() {
			t.Errorf("%q became %q", raw, again.Bytes())
		}
		if b.ID() != a.ID() && b.VerifySignature(key) == nil {
			t.Errorf("a forgery: %q", raw)
		}
	})
}

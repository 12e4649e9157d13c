package signing_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"

	"airlock/internal/tsa"
	"airlock/signing"
)

var stampedAt = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// authority returns an authority whose clock stands still, and who believes it.
func authority(tb testing.TB) (*tsa.Authority, *signing.Authorities, *tsa.Identity) {
	tb.Helper()
	id, err := tsa.NewIdentity("acme/production", stampedAt)
	if err != nil {
		tb.Fatal(err)
	}
	return tsa.New(id, func() time.Time { return stampedAt }), believe(tb, id.RootPEM()), id
}

func believe(tb testing.TB, pem []byte) *signing.Authorities {
	tb.Helper()
	t, err := signing.ParseAuthorities(pem)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func stamp(tb testing.TB, by *tsa.Authority, message []byte) []byte {
	tb.Helper()
	token, err := by.Stamp(tb.Context(), message)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func exampleAttestation(tb testing.TB) signing.Attestation {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "attestation.json"))
	if err != nil {
		tb.Fatal(err)
	}
	a, err := signing.ParseAttestation(b)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// A token makes another stored form of the same statement, and is over the
// signature of that one alone.
func TestStampedAttestation(t *testing.T) {
	by, believed, _ := authority(t)
	a := exampleAttestation(t)
	if _, err := believed.Verify(a); !errors.Is(err, signing.ErrNoTimestamp) {
		t.Errorf("without a token: %v", err)
	}
	stamped, err := a.WithTimestamp(stamp(t, by, a.Signature()))
	if err != nil {
		t.Fatal(err)
	}
	again, err := signing.ParseAttestation(stamped.Bytes())
	if err != nil || again.ID() != a.ID() || bytes.Equal(again.Bytes(), a.Bytes()) {
		t.Fatalf("stored form: %v", err)
	}
	for range 2 { // the second time the chain is known
		got, err := believed.Verify(again)
		if err != nil || !got.Time.Equal(stampedAt) || got.Accuracy != time.Second || !strings.Contains(got.Authority, "acme/production") || got.Nonce != nil {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, other, _ := authority(t); !errors.Is(verify(other, again), signing.ErrTimestamp) {
		t.Error("an authority that nobody believes")
	}
	foreign, _ := a.WithTimestamp(stamp(t, by, []byte("another signature")))
	if err := verify(believed, foreign); !errors.Is(err, signing.ErrTimestamp) || !strings.Contains(err.Error(), "over another signature") {
		t.Errorf("a token over another signature: %v", err)
	}
	for _, n := range []int{0, 16<<10 + 1} {
		if _, err := a.WithTimestamp(make([]byte, n)); err == nil {
			t.Errorf("a token of %d bytes", n)
		}
	}
}

func verify(t *signing.Authorities, a signing.Attestation) error {
	_, err := t.Verify(a)
	return err
}

// Every byte of a token counts: none can be another, left out or added.
func TestTokenDamage(t *testing.T) {
	by, believed, _ := authority(t)
	message := []byte("signature")
	good := stamp(t, by, message)
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			if _, err := believed.VerifyToken(bad, message); !errors.Is(err, signing.ErrTimestamp) {
				t.Fatalf("byte %d of %d, bit %x: %v", i, len(good), bit, err)
			}
		}
		if _, err := believed.VerifyToken(good[:i], message); err == nil {
			t.Fatalf("cut at %d", i)
		}
	}
	if _, err := believed.VerifyToken(append(bytes.Clone(good), 0), message); err == nil {
		t.Error("with a byte behind it")
	}
	if _, err := believed.VerifyToken(make([]byte, 16<<10+1), message); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("oversized: %v", err)
	}
}

// issued is a certificate that a test makes as it likes.
type issued struct {
	change func(*x509.Certificate)
	want   string
}

func timeStamping(critical bool, usages ...int) []pkix.Extension {
	var oids []asn1.ObjectIdentifier
	for _, u := range usages {
		oids = append(oids, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, u})
	}
	value, _ := asn1.Marshal(oids)
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: value}}
}

// The certificate behind a token must be for time stamping alone, and all of
// its chain valid at that time.
func TestTokenCertificates(t *testing.T) {
	for name, c := range map[string]issued{
		"good":                   {func(*x509.Certificate) {}, ""},
		"usage not critical":     {func(c *x509.Certificate) { c.ExtraExtensions = timeStamping(false, 8) }, "not critical"},
		"another usage beside":   {func(c *x509.Certificate) { c.ExtraExtensions = timeStamping(true, 8, 3) }, "not timeStamping alone"},
		"code signing":           {func(c *x509.Certificate) { c.ExtraExtensions = timeStamping(true, 3) }, "not timeStamping alone"},
		"no usage":               {func(c *x509.Certificate) { c.ExtraExtensions = nil }, "not timeStamping alone"},
		"not yet valid":          {func(c *x509.Certificate) { c.NotBefore = stampedAt.Add(time.Hour) }, "not yet valid"},
		"expired":                {func(c *x509.Certificate) { c.NotAfter = stampedAt.Add(-time.Hour) }, "has expired"},
		"ends within accuracy":   {func(c *x509.Certificate) { c.NotAfter = stampedAt }, "are valid from"},
		"starts within accuracy": {func(c *x509.Certificate) { c.NotBefore = stampedAt }, "are valid from"},
	} {
		t.Run(name, func(t *testing.T) {
			token, believed := tokenBy(t, c.change, nil)
			_, err := believed.VerifyToken(token, []byte("message"))
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, signing.ErrTimestamp) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// tokenBy makes a token by a certificate under a root of its own; both may be
// changed.
func tokenBy(t *testing.T, change func(*x509.Certificate), of func(*timestamp.Timestamp)) ([]byte, *signing.Authorities) {
	t.Helper()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: stampedAt.AddDate(-1, 0, 0), NotAfter: stampedAt.AddDate(1, 0, 0)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "clock"}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: root.NotBefore, NotAfter: root.NotAfter, ExtraExtensions: timeStamping(true, 8)}
	change(leaf)
	rootKey, key := newKey(t), newKey(t)
	rootCert := create(t, root, root, &rootKey.PublicKey, rootKey)
	cert := create(t, leaf, rootCert, &key.PublicKey, rootKey)
	sum := crypto.SHA256.New()
	sum.Write([]byte("message"))
	ts := timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: sum.Sum(nil), Time: stampedAt, Accuracy: time.Second,
		Policy: asn1.ObjectIdentifier{2, 999}, AddTSACertificate: true, Certificates: []*x509.Certificate{rootCert}}
	if of != nil {
		of(&ts)
	}
	token, err := ts.CreateResponseWithOpts(cert, key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return token, believe(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootCert.Raw}))
}

// What a token may leave out, and what it must not bring along.
func TestTokenContent(t *testing.T) {
	same := func(*x509.Certificate) {}
	for name, c := range map[string]struct {
		of   func(*timestamp.Timestamp)
		want string
	}{
		"nonce, fine accuracy": {func(ts *timestamp.Timestamp) {
			ts.Nonce = big.NewInt(7)
			ts.Accuracy = 1002003 * time.Microsecond
			ts.Ordering = true
		}, ""},
		"no certificate": {func(ts *timestamp.Timestamp) { ts.AddTSACertificate = false; ts.Certificates = nil }, "certificate"},
		"SHA-512": {func(ts *timestamp.Timestamp) {
			ts.HashAlgorithm = crypto.SHA512
			ts.HashedMessage = make([]byte, 64)
		}, "want SHA-256"},
		"critical extension": {func(ts *timestamp.Timestamp) {
			ts.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 999, 9}, Critical: true, Value: []byte{5, 0}}}
		}, "critical extension"},
		"extension": {func(ts *timestamp.Timestamp) {
			ts.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 999, 9}, Value: []byte{5, 0}}}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			token, believed := tokenBy(t, same, c.of)
			got, err := believed.VerifyToken(token, []byte("message"))
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, signing.ErrTimestamp) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if name == "nonce, fine accuracy" && (got.Nonce == nil || got.Nonce.Int64() != 7 || got.Accuracy != 1002003*time.Microsecond) {
				t.Errorf("%+v", got)
			}
		})
	}
	refused, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadRequest)
	if err != nil {
		t.Fatal(err)
	}
	_, believed, _ := authority(t)
	if _, err := believed.VerifyToken(refused, nil); err == nil || !strings.Contains(err.Error(), "refused, status 2") {
		t.Errorf("a refusal: %v", err)
	}
}

func TestParseAuthoritiesRefuses(t *testing.T) {
	_, _, id := authority(t)
	for name, text := range map[string]string{
		"empty":     "",
		"no PEM":    "certificate",
		"a key":     "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"damaged":   "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"too many":  strings.Repeat(string(id.RootPEM()), 65),
		"oversized": strings.Repeat(" ", 256<<10+1),
	} {
		if _, err := signing.ParseAuthorities([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

var updateStamp = flag.Bool("update-stamp", false, "write the example of a time stamp anew")

// testdata/timestamp.tsr is a token over the signature of attestation.json by
// the authority of tsa-root.pem, and attestation-stamped.json holds it.
func TestStampExample(t *testing.T) {
	a := exampleAttestation(t)
	if *updateStamp {
		by, _, id := authority(t)
		token := stamp(t, by, a.Signature())
		stamped, err := a.WithTimestamp(token)
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{"timestamp.tsr": token, "tsa-root.pem": id.RootPEM(), "attestation-stamped.json": stamped.Bytes()} {
			if err := os.WriteFile(filepath.Join("testdata", name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stamped, err := signing.ParseAttestation(read("attestation-stamped.json"))
	if err != nil || stamped.ID() != a.ID() || !bytes.Equal(stamped.Timestamp(), read("timestamp.tsr")) {
		t.Fatalf("%v, id %s", err, stamped.ID())
	}
	if !strings.Contains(string(stamped.Bytes()), `"signedTimestamp":"`+base64.StdEncoding.EncodeToString(read("timestamp.tsr"))) {
		t.Error("the token is not where Sigstore has it")
	}
	if got, err := believe(t, read("tsa-root.pem")).Verify(stamped); err != nil || !got.Time.Equal(stampedAt) {
		t.Errorf("%+v, %v", got, err)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func create(t *testing.T, c, parent *x509.Certificate, pub *ecdsa.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// FuzzToken: whatever a token is, it does not crash the reader, and only one by
// the authority over the message passes.
func FuzzToken(f *testing.F) {
	by, believed, _ := authority(f)
	good := stamp(f, by, []byte("message"))
	f.Add(good)
	f.Add(good[:200])
	f.Add(stamp(f, by, []byte("another")))
	refused, _ := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadRequest)
	f.Add(refused)
	f.Fuzz(func(t *testing.T, token []byte) {
		if _, err := believed.VerifyToken(token, []byte("message")); err == nil && !bytes.Equal(token, good) {
			t.Errorf("a forgery: %x", token)
		} else if err != nil && !errors.Is(err, signing.ErrTimestamp) {
			t.Errorf("%v", err)
		}
	})
}

// BenchmarkVerifyToken is the cost beside the two signatures of a statement
// with a token: one more.
func BenchmarkVerifyToken(b *testing.B) {
	by, believed, _ := authority(b)
	token := stamp(b, by, []byte("message"))
	for b.Loop() {
		if _, err := believed.VerifyToken(token, []byte("message")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStamp(b *testing.B) {
	by, _, _ := authority(b)
	for b.Loop() {
		stamp(b, by, []byte("message"))
	}
}

// attributesOf makes a token with pkcs7, which lets a test leave the digest of
// the certificate out of what is signed, or put another certificate in.
func attributesOf(t *testing.T, without string) ([]byte, *signing.Authorities) {
	t.Helper()
	_, believed, id := authority(t)
	sum := crypto.SHA256.New()
	sum.Write([]byte("message"))
	ts := timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: sum.Sum(nil), Time: stampedAt, Policy: asn1.ObjectIdentifier{2, 999}}
	good, err := ts.CreateResponseWithOpts(id.Leaf, id.Key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := timestamp.ParseResponse(good)
	if err != nil {
		t.Fatal(err)
	}
	p7, err := pkcs7.Parse(parsed.RawToken)
	if err != nil {
		t.Fatal(err)
	}
	data, err := pkcs7.NewSignedData(p7.Content)
	if err != nil {
		t.Fatal(err)
	}
	data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	data.SetContentType(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4})
	data.GetSignedData().Version = 3
	if without == "" {
		data.AddCertificate(impostor(t, id))
	}
	config := pkcs7.SignerInfoConfig{}
	if without != "certificate" {
		config.ExtraSignedAttributes = []pkcs7.Attribute{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}, Value: certificateID(t, id.Leaf)}}
	}
	if err := data.AddSigner(id.Leaf, id.Key, config); err != nil {
		t.Fatal(err)
	}
	token, err := data.Finish()
	if err != nil {
		t.Fatal(err)
	}
	response, err := asn1.Marshal(struct {
		Status struct{ Status int }
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: token}})
	if err != nil {
		t.Fatal(err)
	}
	return response, believed
}

// certificateID is a SigningCertificateV2 (RFC 5035).
func certificateID(t *testing.T, cert *x509.Certificate) asn1.RawValue {
	t.Helper()
	sum := crypto.SHA256.New()
	sum.Write(cert.Raw)
	b, err := asn1.Marshal(struct{ Certs []struct{ Hash []byte } }{[]struct{ Hash []byte }{{sum.Sum(nil)}}})
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: b}
}

// impostor has the issuer and the serial number of the authority's certificate.
func impostor(t *testing.T, id *tsa.Identity) *x509.Certificate {
	t.Helper()
	key := newKey(t)
	issuer := &x509.Certificate{Subject: id.Root.Subject, SerialNumber: big.NewInt(1)}
	return create(t, &x509.Certificate{SerialNumber: id.Leaf.SerialNumber, Subject: pkix.Name{CommonName: "impostor"},
		NotBefore: stampedAt, NotAfter: stampedAt.AddDate(1, 0, 0), ExtraExtensions: timeStamping(true, 8)}, issuer, &newKey(t).PublicKey, key)
}

// A token whose signature does not cover which certificate made it is refused.
func TestTokenSignedAttributes(t *testing.T) {
	token, believed := attributesOf(t, "certificate")
	if _, err := believed.VerifyToken(token, []byte("message")); !errors.Is(err, signing.ErrTimestamp) || !strings.Contains(err.Error(), "signed attributes lack") {
		t.Errorf("%v", err)
	}
}

// A certificate of the same issuer and number, put in before the right one,
// changes nothing (CVE-2026-39984).
func TestTokenInjectedCertificate(t *testing.T) {
	token, believed := attributesOf(t, "")
	if got, err := believed.VerifyToken(token, []byte("message")); err != nil || !strings.Contains(got.Authority, "acme/production") {
		t.Errorf("%+v, %v", got, err)
	}
}

package signing

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestCertificates(t *testing.T) {
	rootKey, rootDER := testRoot(t)
	key := testKey(t)
	der, err := NewLeaf(testProfile(), &key.PublicKey, rootDER, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	root, leaf := parsed(t, rootDER), parsed(t, der)
	wantError(t, CheckRoot(root, testSpace, testIssuer), "")
	wantError(t, CheckLeaf(leaf, root, testSpace, testIssuer, ForStatements), "")
	wantError(t, CheckLeaf(leaf, root, "space://acme/production", testIssuer, ForStatements), "first URI SAN")
	wantError(t, CheckLeaf(leaf, root, testSpace, testIssuer+"/", ForStatements), "issuer extension")
	wantError(t, CheckRoot(root, "space://acme/production", testIssuer), "first URI SAN")
	wantError(t, CheckRoot(leaf, testSpace, testIssuer), "may not sign certificates")
	wantError(t, CheckLeaf(root, root, testSpace, testIssuer, ForStatements), "CA:FALSE")
	if got, err := PublicThumbprint(&key.PublicKey); err != nil || got != KeyThumbprint(leaf) {
		t.Errorf("thumbprint of the bare key %s, of the certificate %s, %v", got, KeyThumbprint(leaf), err)
	}
	if leaf.SerialNumber.Sign() <= 0 || leaf.Subject.CommonName != "alice" {
		t.Errorf("serial %s, subject %s", leaf.SerialNumber, leaf.Subject)
	}

	_, _, otherRoot := testOther(t, root)
	wantError(t, CheckLeaf(leaf, otherRoot, testSpace, testIssuer, ForStatements), "not issued by the root")

	p := testProfile()
	p.Space = "space://acme/\x00"
	_, err = NewRoot(p, key)
	wantError(t, err, "space")
	_, err = NewLeaf(p, &key.PublicKey, rootDER, rootKey)
	wantError(t, err, "space")
	_, err = NewLeaf(testProfile(), &key.PublicKey, der[:len(der)-1], rootKey)
	wantError(t, err, "certificate")
}

// A leaf for connections passes for none that signs, and the other way round.
func TestUseOfLeaf(t *testing.T) {
	rootKey, rootDER := testRoot(t)
	root := parsed(t, rootDER)
	for _, use := range []Use{ForStatements, ForConnections} {
		p := testProfile()
		p.Use = use
		der, err := NewLeaf(p, &testKey(t).PublicKey, rootDER, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []Use{ForStatements, ForConnections} {
			text := ""
			if use != want {
				text = "extended key usage is not " + want.String() + " alone"
			}
			wantError(t, CheckLeaf(parsed(t, der), root, testSpace, testIssuer, want), text)
		}
	}
}

// A person's own certificate passes for no root and no leaf of a Space.
func TestSelfSigned(t *testing.T) {
	key := testKey(t)
	der, err := NewSelfSigned("alice", key, testProfile().NotBefore, ForStatements)
	if err != nil {
		t.Fatal(err)
	}
	cert := parsed(t, der)
	_, rootDER := testRoot(t)
	wantError(t, CheckRoot(cert, testSpace, testIssuer), "may not sign certificates")
	wantError(t, CheckLeaf(cert, parsed(t, rootDER), testSpace, testIssuer, ForStatements), "leaf certificate")
	if cert.Subject.CommonName != "alice" || cert.NotAfter.Year() != 9999 || len(cert.URIs) != 0 {
		t.Errorf("subject %s, until %s, names %v", cert.Subject, cert.NotAfter, cert.URIs)
	}
	if _, err := NewSigner(key, der); err != nil {
		t.Error(err)
	}
}

// testOther returns another root of the same name.
func testOther(t *testing.T, like *x509.Certificate) (*ecdsa.PrivateKey, []byte, *x509.Certificate) {
	t.Helper()
	key, der := testRoot(t)
	other := parsed(t, der)
	if other.Subject.String() != like.Subject.String() {
		t.Fatalf("subjects %s and %s", other.Subject, like.Subject)
	}
	return key, der, other
}

// Every departure of a leaf from the profile is refused.
func TestCheckLeafRefuses(t *testing.T) {
	rootKey, rootDER := testRoot(t)
	root := parsed(t, rootDER)
	for name, test := range map[string]struct {
		change func(c *x509.Certificate)
		want   string
	}{
		"as it should be":     {func(*x509.Certificate) {}, ""},
		"DNS name besides":    {func(c *x509.Certificate) { c.DNSNames = []string{"acme.example"} }, ""},
		"second URI":          {func(c *x509.Certificate) { c.URIs = append(c.URIs, uri("space://acme/production")) }, ""},
		"second URI first":    {func(c *x509.Certificate) { c.URIs = []*url.URL{uri("space://acme/production"), c.URIs[0]} }, "first URI SAN"},
		"DNS name only":       {func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{"acme.example"} }, "first URI SAN"},
		"space as DNS name":   {func(c *x509.Certificate) { san(c, 2, testSpace) }, "first URI SAN"},
		"no SAN":              {func(c *x509.Certificate) { c.URIs = nil }, "first URI SAN"},
		"scheme in capitals":  {func(c *x509.Certificate) { san(c, 6, "SPACE://acme/dev-qa") }, "first URI SAN"},
		"empty fragment":      {func(c *x509.Certificate) { san(c, 6, "space://acme/dev-qa#") }, "first URI SAN"},
		"Unicode":             {func(c *x509.Certificate) { c.URIs[0] = uri("space://acme/dev-q\u0430") }, "first URI SAN"},
		"below the space":     {func(c *x509.Certificate) { c.URIs[0] = uri(testSpace + "/a") }, "first URI SAN"},
		"with a query":        {func(c *x509.Certificate) { c.URIs[0] = uri(testSpace + "?") }, "first URI SAN"},
		"client auth":         {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "extended key usage"},
		"client auth as well": {func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) }, "extended key usage"},
		"any usage":           {func(c *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageAny }, "extended key usage"},
		"no usage":            {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, "extended key usage"},
		"unknown usage":       {func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }, "extended key usage"},
		"no issuer":           {func(c *x509.Certificate) { c.ExtraExtensions = nil }, "is missing"},
		"another issuer":      {func(c *x509.Certificate) { issuer(c, "utf8", "https://id.acme.exampl") }, "not the UTF8String"},
		"issuer printable":    {func(c *x509.Certificate) { issuer(c, "printable", testIssuer) }, "not the UTF8String"},
		"issuer IA5":          {func(c *x509.Certificate) { issuer(c, "ia5", testIssuer) }, "not the UTF8String"},
		"issuer and more":     {func(c *x509.Certificate) { e := c.ExtraExtensions; e[0].Value = append(e[0].Value, 5, 0) }, "not the UTF8String"},
		"issuer critical":     {func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = true }, "unknown critical extension"},
		"critical extension":  {func(c *x509.Certificate) { extra(c, true) }, "unknown critical extension"},
		"extension":           {func(c *x509.Certificate) { extra(c, false) }, ""},
		"CA":                  {func(c *x509.Certificate) { c.IsCA = true }, "CA:FALSE"},
		"no constraints":      {func(c *x509.Certificate) { c.BasicConstraintsValid = false }, "CA:FALSE"},
		"signs certificates":  {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, "digitalSignature alone"},
		"no key usage":        {func(c *x509.Certificate) { c.KeyUsage = 0 }, "digitalSignature alone"},
		"key encipherment":    {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, "digitalSignature alone"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := testProfile().template()
			if err != nil {
				t.Fatal(err)
			}
			c.BasicConstraintsValid, c.KeyUsage = true, x509.KeyUsageDigitalSignature
			test.change(c)
			der, err := x509.CreateCertificate(rand.Reader, c, root, &testKey(t).PublicKey, rootKey)
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, CheckLeaf(parsed(t, der), root, testSpace, testIssuer, ForStatements), test.want)
		})
	}
}

// Stock tools find the root by its name, so a leaf that names another does not
// hold, whoever signed it.
func TestCheckLeafIssuerName(t *testing.T) {
	rootKey, rootDER := testRoot(t)
	root := parsed(t, rootDER)
	c, err := testProfile().template()
	if err != nil {
		t.Fatal(err)
	}
	c.BasicConstraintsValid, c.KeyUsage = true, x509.KeyUsageDigitalSignature
	other := *root
	other.RawSubject, other.Subject = nil, pkix.Name{CommonName: "root of acme/production"}
	der, err := x509.CreateCertificate(rand.Reader, c, &other, &testKey(t).PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, CheckLeaf(parsed(t, der), root, testSpace, testIssuer, ForStatements), "is not the root's subject")
}

func TestCheckRootRefuses(t *testing.T) {
	key := testKey(t)
	for name, test := range map[string]struct {
		change func(c *x509.Certificate)
		want   string
	}{
		"as it should be":    {func(*x509.Certificate) {}, ""},
		"no CA":              {func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false }, "may not sign certificates"},
		"no key usage":       {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, "may not sign certificates"},
		"another space":      {func(c *x509.Certificate) { c.URIs[0] = uri("space://acme/production") }, "first URI SAN"},
		"any usage":          {func(c *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageAny }, "extended key usage"},
		"critical extension": {func(c *x509.Certificate) { extra(c, true) }, "unknown critical extension"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := testProfile().template()
			if err != nil {
				t.Fatal(err)
			}
			c.IsCA, c.BasicConstraintsValid, c.MaxPathLenZero = true, true, true
			c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
			test.change(c)
			der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, CheckRoot(parsed(t, der), testSpace, testIssuer), test.want)
		})
	}
	// By another key of the same name: not self-signed.
	c, err := testProfile().template()
	if err != nil {
		t.Fatal(err)
	}
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, CheckRoot(parsed(t, der), testSpace, testIssuer), "root certificate: x509")
}

func TestParseCertificateRefuses(t *testing.T) {
	_, root := testRoot(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	selfSigned := func(public, private any) []byte {
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, public, private)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, test := range map[string]struct {
		der  []byte
		want string
	}{
		"P-384":         {selfSigned(&p384.PublicKey, p384), "not ECDSA P-256"},
		"Ed25519":       {selfSigned(edKey.Public(), edKey), "not ECDSA P-256"},
		"RSA":           {selfSigned(&rsaKey.PublicKey, rsaKey), "not ECDSA P-256"},
		"empty":         {nil, "certificate"},
		"PEM":           {[]byte("-----BEGIN CERTIFICATE-----"), "certificate"},
		"trailing data": {append(root[:len(root):len(root)], 0), "trailing data"},
		"two":           {append(root[:len(root):len(root)], root...), "trailing data"},
		"cut off":       {root[:len(root)-1], "certificate"},
		"oversized":     {make([]byte, maxCertificate+1), "at most 4096"},
	} {
		_, err := ParseCertificate(test.der)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		wantError(t, err, test.want)
	}
}

// One key has one thumbprint. Go's parser reads past a NULL behind the curve,
// so the same key would have two, and one person could count as two
// (go-tuf GHSA-3633).
func TestSecondEncodingOfKey(t *testing.T) {
	key, der := testRoot(t)
	twin := resign(t, key, parsed(t, der), func(spki cryptobyte.String) []byte {
		var algorithm cryptobyte.String
		var rest cryptobyte.String
		if !spki.ReadASN1(&rest, cbasn1.SEQUENCE) || !rest.ReadASN1(&algorithm, cbasn1.SEQUENCE) {
			t.Fatal("no key")
		}
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(algorithm)
				b.AddASN1NULL()
			})
			b.AddBytes(rest)
		})
		return b.BytesOrPanic()
	})
	cert, err := x509.ParseCertificate(twin)
	if err != nil || !key.PublicKey.Equal(cert.PublicKey) || KeyThumbprint(cert) == KeyThumbprint(parsed(t, der)) {
		t.Fatalf("the twin is not another encoding of the same key (%v): this test shows nothing", err)
	}
	_, err = ParseCertificate(twin)
	wantError(t, err, "shortest encoding")
}

// resign replaces the key's encoding in a certificate and signs it again.
func resign(t *testing.T, key *ecdsa.PrivateKey, cert *x509.Certificate, change func(spki cryptobyte.String) []byte) []byte {
	t.Helper()
	tbs, fields := cryptobyte.String(cert.RawTBSCertificate), cryptobyte.String(nil)
	if !tbs.ReadASN1(&fields, cbasn1.SEQUENCE) {
		t.Fatal("no certificate")
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i := 0; !fields.Empty(); i++ {
			var field cryptobyte.String
			var tag cbasn1.Tag
			if !fields.ReadAnyASN1Element(&field, &tag) {
				t.Fatal("no field")
			}
			if i == 6 { // RFC 5280, section 4.1: subjectPublicKeyInfo
				field = change(field)
			}
			b.AddBytes(field)
		}
	})
	changed := b.BytesOrPanic()
	digest := sha256.Sum256(changed)
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(changed)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
		})
		b.AddASN1BitString(sig)
	})
	return out.BytesOrPanic()
}

func uri(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// san writes a SAN with one name of that tag, as it stands.
func san(c *x509.Certificate, tag uint8, name string) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(tag).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
	})
	c.URIs = nil
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidSAN, Value: b.BytesOrPanic()})
}

func issuer(c *x509.Certificate, form, url string) {
	value, err := asn1.MarshalWithParams(url, form)
	if err != nil {
		panic(err)
	}
	c.ExtraExtensions[0].Value = value
}

func extra(c *x509.Certificate, critical bool) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: critical, Value: []byte{5, 0}})
}

func FuzzCertificate(f *testing.F) {
	_, root := testRoot(f)
	f.Add(root)
	f.Add(root[:200])
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := ParseCertificate(der)
		if err != nil {
			return
		}
		// Whatever parses can be checked; only the profile passes.
		if CheckRoot(cert, testSpace, testIssuer) == nil && cert.URIs[0].String() != testSpace {
			t.Errorf("%x passes as the root of %s", der, testSpace)
		}
		_ = CheckLeaf(cert, cert, testSpace, testIssuer, ForStatements)
	})
}

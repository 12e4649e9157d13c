package signing

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	// oidIssuer is Fulcio's "Issuer (V2)" extension: the UTF8String against
	// which cosign compares --certificate-oidc-issuer.
	oidIssuer = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	oidSAN    = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// checkProfile checks what roots and leaves share: what stock cosign reads, and
// that a key for one use passes for no other.
func checkProfile(cert *x509.Certificate, space, issuer string, use Use) error {
	if uri, ok := firstURI(extension(cert, oidSAN)); !ok || uri != space {
		return fmt.Errorf("first URI SAN is %.150q, not %q", uri, space)
	}
	if !slices.Equal(cert.ExtKeyUsage, use.extended()) || len(cert.UnknownExtKeyUsage) > 0 {
		return fmt.Errorf("extended key usage is not %s alone", use)
	}
	if len(cert.UnhandledCriticalExtensions) > 0 {
		return fmt.Errorf("unknown critical extension %s", cert.UnhandledCriticalExtensions[0])
	}
	got := extension(cert, oidIssuer)
	if got == nil {
		return fmt.Errorf("issuer extension %s is missing", oidIssuer)
	}
	want, err := asn1.MarshalWithParams(issuer, "utf8")
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("issuer extension %s is not the UTF8String %q", oidIssuer, issuer)
	}
	return nil
}

// extension returns the value of an extension, nil where there is none. The
// parser has refused certificates with two of one kind.
func extension(cert *x509.Certificate, id asn1.ObjectIdentifier) []byte {
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(id) {
			return ext.Value
		}
	}
	return nil
}

// firstURI returns the first URI of a SAN extension as it stands there.
// x509.Certificate.URIs would not do: reading a URL and writing it again makes
// "SPACE://acme/x" and "space://acme/x#" the same as "space://acme/x".
func firstURI(san []byte) (uri string, ok bool) {
	input, names := cryptobyte.String(san), cryptobyte.String(nil)
	if !input.ReadASN1(&names, cryptobyteasn1.SEQUENCE) {
		return "", false
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag cryptobyteasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return "", false
		}
		if tag == cryptobyteasn1.Tag(6).ContextSpecific() { // RFC 5280, section 4.2.1.6: uniformResourceIdentifier
			return string(name), true
		}
	}
	return "", false
}

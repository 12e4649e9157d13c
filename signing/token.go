package signing

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"airlock/storage"
)

// token is an RFC 3161 time stamp token in CMS (RFC 5652), taken apart and not
// verified. Only DER is read, and nothing may follow.
type token struct {
	content     []byte // the TSTInfo as it was signed
	info        tstInfo
	leaf        []byte // the certificate that the signed attributes name
	leafDigest  storage.Digest
	others      [][]byte // certificates that came along
	issuer      []byte
	serial      *big.Int
	digest      crypto.Hash
	algorithm   x509.SignatureAlgorithm
	attributes  []byte // the signed attributes, as the SET that was signed
	contentSum  []byte // the attribute messageDigest
	signatureIs []byte
}

// The object identifiers of a token.
var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

// stampAlgorithms maps signature algorithms; oidRSA takes its digest from
// elsewhere in the signer's part.
var stampAlgorithms = []struct {
	oid       asn1.ObjectIdentifier
	digest    crypto.Hash
	algorithm x509.SignatureAlgorithm
}{
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, crypto.SHA256, x509.ECDSAWithSHA256},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, crypto.SHA384, x509.ECDSAWithSHA384},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, crypto.SHA512, x509.ECDSAWithSHA512},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, crypto.SHA256, x509.SHA256WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, crypto.SHA384, x509.SHA384WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, crypto.SHA512, x509.SHA512WithRSA},
	{oidRSA, crypto.SHA256, x509.SHA256WithRSA},
	{oidRSA, crypto.SHA384, x509.SHA384WithRSA},
	{oidRSA, crypto.SHA512, x509.SHA512WithRSA},
}

var (
	tag0 = cryptobyteasn1.Tag(0).ContextSpecific()
	tag1 = cryptobyteasn1.Tag(1).ContextSpecific()
)

var errTokenForm = errors.New("not a granted RFC 3161 response in DER")

// parseToken reads a TimeStampResp (RFC 3161, section 2.4.2).
func parseToken(b []byte) (*token, error) {
	if len(b) > maxTimestamp {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", len(b), maxTimestamp)
	}
	input := cryptobyte.String(b)
	var response, status, outer, signed cryptobyte.String
	var granted int
	if !input.ReadASN1(&response, cryptobyteasn1.SEQUENCE) || !input.Empty() ||
		!response.ReadASN1(&status, cryptobyteasn1.SEQUENCE) || !status.ReadASN1Integer(&granted) {
		return nil, errTokenForm
	}
	// 1 is a token that is not quite what was asked for.
	if granted != 0 {
		return nil, fmt.Errorf("the authority refused, status %d", granted)
	}
	var kind asn1.ObjectIdentifier
	if !response.ReadASN1(&outer, cryptobyteasn1.SEQUENCE) || !response.Empty() || !outer.ReadASN1ObjectIdentifier(&kind) ||
		!kind.Equal(oidSignedData) || !outer.ReadASN1(&signed, tag0.Constructed()) || !outer.Empty() {
		return nil, errTokenForm
	}
	t := &token{}
	return t, t.readSignedData(signed)
}

// readSignedData reads RFC 5652, section 5.1.
func (t *token) readSignedData(in cryptobyte.String) error {
	var data, digests, content, explicit, octets, certs, signers, signer cryptobyte.String
	var version int
	var kind, digest asn1.ObjectIdentifier
	var have bool
	if !in.ReadASN1(&data, cryptobyteasn1.SEQUENCE) || !in.Empty() || !data.ReadASN1Integer(&version) || version != 3 ||
		!data.ReadASN1(&digests, cryptobyteasn1.SET) || !readAlgorithm(&digests, &digest) || !digests.Empty() ||
		!data.ReadASN1(&content, cryptobyteasn1.SEQUENCE) ||
		!content.ReadASN1ObjectIdentifier(&kind) || !content.ReadASN1(&explicit, tag0.Constructed()) || !content.Empty() ||
		!explicit.ReadASN1(&octets, cryptobyteasn1.OCTET_STRING) || !explicit.Empty() ||
		!data.ReadOptionalASN1(&certs, &have, tag0.Constructed()) || !data.SkipOptionalASN1(tag1.Constructed()) ||
		!data.ReadASN1(&signers, cryptobyteasn1.SET) || !data.Empty() ||
		!signers.ReadASN1(&signer, cryptobyteasn1.SEQUENCE) {
		return errTokenForm
	}
	if !kind.Equal(oidTSTInfo) {
		return fmt.Errorf("its content is %s, not a TSTInfo", kind)
	}
	if !signers.Empty() {
		return errors.New("signed more than once")
	}
	t.content = octets
	var err error
	if t.info, err = parseTSTInfo(octets); err != nil {
		return err
	}
	if err := t.readSigner(signer); err != nil {
		return err
	}
	if t.digest != hashOf(digest) {
		return errTokenForm
	}
	return t.findLeaf(certs)
}

// readAlgorithm reads an AlgorithmIdentifier whose parameters are absent or
// NULL, which is all that the algorithms known here have.
func readAlgorithm(in *cryptobyte.String, oid *asn1.ObjectIdentifier) bool {
	var algorithm, null cryptobyte.String
	return in.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) && algorithm.ReadASN1ObjectIdentifier(oid) &&
		(algorithm.Empty() || algorithm.ReadASN1(&null, cryptobyteasn1.NULL) && null.Empty() && algorithm.Empty())
}

// readSigner reads RFC 5652, section 5.3.
func (t *token) readSigner(in cryptobyte.String) error {
	var sid, issuer, attributes, sig cryptobyte.String
	var version int
	var digestOID, oid asn1.ObjectIdentifier
	t.serial = new(big.Int)
	if !in.ReadASN1Integer(&version) || version != 1 || !in.ReadASN1(&sid, cryptobyteasn1.SEQUENCE) ||
		!sid.ReadASN1Element(&issuer, cryptobyteasn1.SEQUENCE) || !sid.ReadASN1Integer(t.serial) || !sid.Empty() ||
		!readAlgorithm(&in, &digestOID) || !in.ReadASN1Element(&attributes, tag0.Constructed()) || !readAlgorithm(&in, &oid) ||
		!in.ReadASN1(&sig, cryptobyteasn1.OCTET_STRING) || !in.SkipOptionalASN1(tag1.Constructed()) || !in.Empty() {
		return errTokenForm
	}
	t.issuer, t.signatureIs, t.digest = issuer, sig, hashOf(digestOID)
	for _, a := range stampAlgorithms {
		if a.oid.Equal(oid) && a.digest == t.digest {
			t.algorithm = a.algorithm
		}
	}
	if t.algorithm == x509.UnknownSignatureAlgorithm {
		return fmt.Errorf("signed with %s over %s, want ECDSA or RSA over SHA-256, 384 or 512", oid, digestOID)
	}
	// RFC 5652, section 5.4: what is signed is the same with the tag of a SET.
	t.attributes = bytes.Clone(attributes)
	t.attributes[0] = byte(cryptobyteasn1.SET)
	return t.readAttributes(attributes)
}

// readAttributes reads what the signature covers: the type and digest of the
// content, and which certificate signed (RFC 5816).
func (t *token) readAttributes(in cryptobyte.String) error {
	var set cryptobyte.String
	if !in.ReadASN1(&set, tag0.Constructed()) {
		return errTokenForm
	}
	var kind asn1.ObjectIdentifier
	seen := map[string]bool{}
	for !set.Empty() {
		var attribute, values cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !set.ReadASN1(&attribute, cryptobyteasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) ||
			!attribute.ReadASN1(&values, cryptobyteasn1.SET) || !attribute.Empty() || seen[oid.String()] {
			return errTokenForm
		}
		seen[oid.String()] = true
		ok := true
		switch {
		case oid.Equal(oidContentType):
			ok = values.ReadASN1ObjectIdentifier(&kind) && values.Empty()
		case oid.Equal(oidMessageDigest):
			ok = values.ReadASN1Bytes(&t.contentSum, cryptobyteasn1.OCTET_STRING) && values.Empty()
		case oid.Equal(oidSigningCertV2):
			ok = t.readSigningCert(values)
		}
		if !ok {
			return errTokenForm
		}
	}
	if !kind.Equal(oidTSTInfo) || t.contentSum == nil || t.leafDigest.IsZero() {
		return errors.New("its signed attributes lack the content's type or digest, or the certificate by SHA-256 (RFC 5816)")
	}
	return nil
}

// readSigningCert reads the digest of the signer's certificate out of a
// SigningCertificateV2 (RFC 5035, section 3). Only SHA-256, the default, is read.
func (t *token) readSigningCert(values cryptobyte.String) bool {
	var outer, certs, first cryptobyte.String
	var sum []byte
	if !values.ReadASN1(&outer, cryptobyteasn1.SEQUENCE) || !outer.ReadASN1(&certs, cryptobyteasn1.SEQUENCE) || !certs.ReadASN1(&first, cryptobyteasn1.SEQUENCE) {
		return false
	}
	if first.PeekASN1Tag(cryptobyteasn1.SEQUENCE) {
		var oid asn1.ObjectIdentifier
		if !readAlgorithm(&first, &oid) {
			return false
		}
		if !oid.Equal(oidSHA256) {
			return true // the digest stays unknown, and the token is refused for that
		}
	}
	if !first.ReadASN1Bytes(&sum, cryptobyteasn1.OCTET_STRING) || len(sum) != sha256.Size {
		return false
	}
	t.leafDigest = storage.Digest(sum)
	return true
}

// findLeaf finds the one certificate that the signed attributes name. So one
// that was put in beside it never takes its place (CVE-2026-39984).
func (t *token) findLeaf(certs cryptobyte.String) error {
	for !certs.Empty() {
		var cert cryptobyte.String
		if !certs.ReadASN1Element(&cert, cryptobyteasn1.SEQUENCE) {
			return errTokenForm
		}
		if t.leaf == nil && storage.DigestOf(cert) == t.leafDigest {
			t.leaf = cert
			continue
		}
		t.others = append(t.others, cert)
	}
	if t.leaf == nil {
		return errors.New("does not carry the certificate that signed it")
	}
	return nil
}

// checkSignature checks that cert signed the attributes, and they the content.
func (t *token) checkSignature(cert *x509.Certificate) error {
	sum := t.digest.New()
	sum.Write(t.content)
	if !bytes.Equal(sum.Sum(nil), t.contentSum) {
		return errors.New("its signature is over another content")
	}
	if err := cert.CheckSignature(t.algorithm, t.attributes, t.signatureIs); err != nil {
		return errors.New("is not signed by its certificate")
	}
	return nil
}

func hashOf(oid asn1.ObjectIdentifier) crypto.Hash {
	switch {
	case oid.Equal(oidSHA256):
		return crypto.SHA256
	case oid.Equal(oidSHA384):
		return crypto.SHA384
	case oid.Equal(oidSHA512):
		return crypto.SHA512
	}
	return 0
}

// tstInfo is what a token says (RFC 3161, section 2.4.2).
type tstInfo struct {
	imprint  []byte // SHA-256
	time     time.Time
	accuracy time.Duration
	nonce    *big.Int
}

func parseTSTInfo(b []byte) (tstInfo, error) {
	var i tstInfo
	in := cryptobyte.String(b)
	var info, imprint, when cryptobyte.String
	var version int
	var policy, oid asn1.ObjectIdentifier
	serial := new(big.Int)
	if !in.ReadASN1(&info, cryptobyteasn1.SEQUENCE) || !in.Empty() || !info.ReadASN1Integer(&version) || version != 1 ||
		!info.ReadASN1ObjectIdentifier(&policy) || !info.ReadASN1(&imprint, cryptobyteasn1.SEQUENCE) ||
		!readAlgorithm(&imprint, &oid) ||
		!imprint.ReadASN1Bytes(&i.imprint, cryptobyteasn1.OCTET_STRING) || !imprint.Empty() ||
		!info.ReadASN1Integer(serial) || !info.ReadASN1(&when, cryptobyteasn1.GeneralizedTime) {
		return i, errTokenForm
	}
	if !oid.Equal(oidSHA256) {
		return i, fmt.Errorf("is over a digest by %s, want SHA-256", oid)
	}
	var err error
	// Go reads a fraction of a second that the layout does not name.
	if i.time, err = time.Parse("20060102150405Z", string(when)); err != nil {
		return i, fmt.Errorf("its time %.40q is not in UTC (RFC 3161, section 2.4.2)", when)
	}
	return i, i.readRest(info)
}

// readRest reads the members that may be absent.
func (i *tstInfo) readRest(info cryptobyte.String) error {
	if info.PeekASN1Tag(cryptobyteasn1.SEQUENCE) {
		var accuracy cryptobyte.String
		if !info.ReadASN1(&accuracy, cryptobyteasn1.SEQUENCE) || !i.readAccuracy(accuracy) {
			return errTokenForm
		}
	}
	if !info.SkipOptionalASN1(cryptobyteasn1.BOOLEAN) {
		return errTokenForm
	}
	if info.PeekASN1Tag(cryptobyteasn1.INTEGER) {
		i.nonce = new(big.Int)
		if !info.ReadASN1Integer(i.nonce) {
			return errTokenForm
		}
	}
	var extensions cryptobyte.String
	var have bool
	if !info.SkipOptionalASN1(tag0.Constructed()) || !info.ReadOptionalASN1(&extensions, &have, tag1.Constructed()) || !info.Empty() {
		return errTokenForm
	}
	for !extensions.Empty() {
		var extension cryptobyte.String
		var oid asn1.ObjectIdentifier
		var critical bool
		if !extensions.ReadASN1(&extension, cryptobyteasn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&oid) ||
			extension.PeekASN1Tag(cryptobyteasn1.BOOLEAN) && !extension.ReadASN1Boolean(&critical) {
			return errTokenForm
		}
		if critical {
			return fmt.Errorf("has the critical extension %s, which is not known here", oid)
		}
	}
	return nil
}

// readAccuracy reads seconds, [0] milliseconds and [1] microseconds.
func (i *tstInfo) readAccuracy(in cryptobyte.String) bool {
	for _, part := range []struct {
		tag  cryptobyteasn1.Tag
		unit time.Duration
		most int64
	}{{cryptobyteasn1.INTEGER, time.Second, 86400}, {tag0, time.Millisecond, 999}, {tag1, time.Microsecond, 999}} {
		if !in.PeekASN1Tag(part.tag) {
			continue
		}
		var n int64
		if !in.ReadASN1Int64WithTag(&n, part.tag) || n < 0 || n > part.most {
			return false
		}
		i.accuracy += time.Duration(n) * part.unit
	}
	return in.Empty()
}

func (i tstInfo) checkImprint(message []byte) error {
	if sum := sha256.Sum256(message); !bytes.Equal(i.imprint, sum[:]) {
		return errors.New("is over another signature")
	}
	return nil
}

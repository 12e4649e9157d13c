// Package tsa is a small time stamping authority (RFC 3161), and the way to
// ask any other: over HTTP (section 3.4) or in the same process.
//
// A token says that some bytes were there at a time, by the word of who runs
// the authority. One in the receiver's own hands proves nothing against the
// receiver; it is there because stock tools check certificate and log proof
// only beside a token. Whoever wants evidence takes an authority of others.
package tsa

import (
	"context"
	"crypto"
	_ "crypto/sha256" // what requests name
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"github.com/digitorus/timestamp"
)

// MaxRequest bounds a request, in bytes: a digest, a nonce and a policy.
const MaxRequest = 4 << 10

// policy stands in every token (RFC 3161, section 2.4.2): an arc for
// documentation of OID repositories, since no authority of ours registered one.
var policy = asn1.ObjectIdentifier{2, 999, 1}

// accuracy is what an honest clock keeps to.
const accuracy = time.Second

// Stamper gets the RFC 3161 response over a message: DER, at most 16 KiB. It
// may be used concurrently.
type Stamper interface {
	Stamp(ctx context.Context, message []byte) ([]byte, error)
}

// Authority answers time stamp requests with a key of its own.
type Authority struct {
	key  crypto.Signer
	leaf *x509.Certificate
	now  func() time.Time
}

var _ Stamper = (*Authority)(nil)

// New returns the authority of an identity; now is its clock.
func New(id *Identity, now func() time.Time) *Authority {
	return &Authority{key: id.Key, leaf: id.Leaf, now: now}
}

// Stamp answers without a request.
func (a *Authority) Stamp(_ context.Context, message []byte) ([]byte, error) {
	h := crypto.SHA256.New()
	h.Write(message)
	return a.sign(&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: h.Sum(nil), Certificates: true})
}

// Respond answers a request in DER. What cannot be granted is a response that
// says so; only a fault of the authority is an error.
func (a *Authority) Respond(request []byte) ([]byte, error) {
	req, err := timestamp.ParseRequest(request)
	switch {
	case err != nil:
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadDataFormat)
	case req.HashAlgorithm != crypto.SHA256 && req.HashAlgorithm != crypto.SHA384 && req.HashAlgorithm != crypto.SHA512:
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadAlgorithm)
	case len(req.HashedMessage) != req.HashAlgorithm.Size():
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadDataFormat)
	case req.TSAPolicyOID != nil && !req.TSAPolicyOID.Equal(policy):
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.UnacceptedPolicy)
	case len(req.Extensions) > 0:
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.UnacceptedExtension)
	}
	return a.sign(req)
}

func (a *Authority) sign(req *timestamp.Request) ([]byte, error) {
	t := timestamp.Timestamp{HashAlgorithm: req.HashAlgorithm, HashedMessage: req.HashedMessage, Time: a.now().UTC().Truncate(time.Second),
		Accuracy: accuracy, Policy: policy, Nonce: req.Nonce, AddTSACertificate: req.Certificates}
	out, err := t.CreateResponseWithOpts(a.leaf, a.key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	return out, nil
}

package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// connecting is what is known of a Space that connects with a certificate: by
// which keys, as one version of its identity lists them.
type connecting struct {
	version int // in the bucket; 0 for that of the admission
	leaves  map[storage.Digest]dates
}

// dates are those of a leaf.
type dates struct{ from, to time.Time }

// byCertificate identifies a caller by its TLS certificate: one of the Space whose
// newest known identity lists the key for TLS, inside the dates of that leaf. It
// is asked with each request, since a connection may outlive the leaf. A refusal is
// a *feedhttp.CertificateError; to others than the key's holder it is the same
// whether the Space was admitted or not.
func (s *Server) byCertificate(ctx context.Context, cert *x509.Certificate) (feedhttp.Caller, error) {
	refuse := func(format string, args ...any) (feedhttp.Caller, error) {
		return feedhttp.Caller{}, &feedhttp.CertificateError{Why: fmt.Sprintf(format, args...)}
	}
	if len(cert.URIs) == 0 {
		return refuse("names no Space")
	}
	space, err := trust.ParseSpace(cert.URIs[0].String())
	if err != nil {
		return refuse("names no Space")
	}
	changed := s.access.view.Load().changed // before the bucket, so that no change is missed
	key := signing.KeyThumbprint(cert)
	leaf, dismissed, err := s.connectingLeaf(ctx, space, key)
	if errors.Is(err, errNoLeaf) {
		return refuse("is none by which %s is known here", space)
	}
	if err != nil {
		return feedhttp.Caller{}, fmt.Errorf("who asks cannot be found out: %w: %w", storage.ErrAway, err)
	}
	now := s.config.Now()
	switch {
	case now.Before(leaf.from) || now.After(leaf.to):
		return refuse("of %s is good from %s to %s", space, leaf.from.UTC().Format(time.DateTime), leaf.to.UTC().Format(time.DateTime))
	case dismissed:
		return refuse("is of %s, which is not admitted here any more", space)
	}
	return feedhttp.Caller{Role: feedhttp.Enrolled, Space: space, Credential: "certificate " + key.Hex()[:8], Until: leaf.to, Changed: changed}, nil
}

// errNoLeaf reports a key by which a Space is not known.
var errNoLeaf = errors.New("no leaf with this key is known")

// connectingLeaf returns the dates of the leaf with a key, and whether its Space
// was dismissed. Where the key is not among what was read a moment ago, that is
// read again: the Space may have renewed it just now.
func (s *Server) connectingLeaf(ctx context.Context, space trust.Space, key storage.Digest) (dates, bool, error) {
	n := bucketOf(space)
	for _, read := range []func(context.Context, int) (*loadedBucket, error){s.access.bucket, s.access.newest} {
		b, err := read(ctx, n)
		if err != nil {
			return dates{}, false, err
		}
		known, err := s.connecting(ctx, space, b)
		if deniedAdmission(err) {
			break
		}
		if err != nil {
			return dates{}, false, err
		}
		if leaf, ok := known.leaves[key]; ok {
			of := b.space(space)
			return leaf, of != nil && of.Dismissed, nil
		}
	}
	return dates{}, false, errNoLeaf
}

// connecting returns by which keys a Space is known that is in the bucket.
func (s *Server) connecting(ctx context.Context, space trust.Space, b *loadedBucket) (*connecting, error) {
	version := 0
	if of := b.space(space); of != nil {
		version = of.Identity
	}
	s.mu.Lock()
	known := s.connections[space]
	s.mu.Unlock()
	if known != nil && known.version == version {
		return known, nil
	}
	history, err := s.identityAt(ctx, space, version)
	if err != nil {
		return nil, err
	}
	known = &connecting{version, map[storage.Digest]dates{}}
	for _, l := range history.Current().Leaves {
		if l.Has(trust.TLS) {
			known.leaves[l.Key()] = dates{l.X509().NotBefore, l.X509().NotAfter}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections[space] = known
	return known, nil
}

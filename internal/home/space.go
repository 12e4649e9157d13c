package home

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/signing"
	"airlock/trust"
)

// Validity of certificates. A leaf is renewed by the next identity version;
// a root is replaced by the one it committed to.
const (
	rootYears = 20
	leafYears = 1
)

// NewSpace describes the Space that Init makes.
type NewSpace struct {
	Space  trust.Space
	Issuer string // the organisation's issuer URL
	Person string // who holds the publisher key
	// Passphrase encrypts the private keys; nil leaves them plain.
	Passphrase *signing.Passphrase
	Now        time.Time
}

// The private keys of a new Space.
const (
	rootKey      = "root-1.key"
	nextRootKey  = "root-2.key"
	publisherKey = "publisher-1.key"
)

// Init makes identity version 1: a root, a publisher leaf, and the commitment
// to the next root. Nothing that exists is overwritten: a home with a Space
// gives fs.ErrExist.
func (h *Home) Init(ctx context.Context, n NewSpace) (*trust.History, error) {
	if _, err := h.Identity(); !errors.Is(err, ErrNoSpace) {
		return nil, errors.Join(fmt.Errorf("%s holds a Space already: %w", h.path, fs.ErrExist), err)
	}
	keys := map[string]*ecdsa.PrivateKey{}
	for _, name := range []string{rootKey, nextRootKey, publisherKey} {
		key, err := signing.GenerateKey()
		if err != nil {
			return nil, err
		}
		keys[name] = key
	}
	history, err := n.identity(ctx, keys)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{rootKey, nextRootKey, publisherKey} {
		err := signing.WriteKeyFile(h.file("keys", name), keys[name], n.Passphrase)
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("%s is there without an identity, from an init that was cut off or undone; move it away: %w", h.file("keys", name), err)
		}
		if err != nil {
			return nil, err
		}
	}
	// Last: a home with an identity has all its keys.
	return history, writeNew(h.file("space.id"), trust.FormatFile(history), 0o644)
}

func (n NewSpace) identity(ctx context.Context, keys map[string]*ecdsa.PrivateKey) (*trust.History, error) {
	profile := signing.Profile{Space: n.Space.URI(), Issuer: n.Issuer, Name: n.Space.String() + " root", NotBefore: n.Now.Add(-time.Hour), NotAfter: n.Now.AddDate(rootYears, 0, 0)}
	root, err := signing.NewRoot(profile, keys[rootKey])
	if err != nil {
		return nil, err
	}
	profile.Name, profile.NotAfter = n.Person, n.Now.AddDate(leafYears, 0, 0)
	leaf, err := signing.NewLeaf(profile, &keys[publisherKey].PublicKey, root, keys[rootKey])
	if err != nil {
		return nil, err
	}
	next, err := signing.PublicThumbprint(&keys[nextRootKey].PublicKey)
	if err != nil {
		return nil, err
	}
	id := trust.NewIdentity(n.Space, n.Issuer, root, next)
	id.Leaves = []trust.Leaf{{Certificate: leaf, Person: n.Person, Roles: []trust.Role{trust.Publisher}}}
	if _, err := id.Format(); err != nil {
		return nil, err
	}
	statement, err := trust.IdentityStatement(id, trust.Lineage{})
	if err != nil {
		return nil, err
	}
	signer, err := signing.NewSigner(keys[rootKey], root)
	if err != nil {
		return nil, err
	}
	a, err := signer.Sign(ctx, statement)
	if err != nil {
		return nil, err
	}
	return trust.Begin(trust.Version{Identity: id, Statements: []signing.Attestation{a}})
}

// Publisher returns the signer of the publisher leaf. The passphrase is asked
// for only where the key file needs one.
func (h *Home) Publisher(passphrase func() (string, error)) (*signing.Signer, error) {
	history, err := h.Identity()
	if err != nil {
		return nil, err
	}
	key, err := signing.ReadKeyFile(h.file("keys", publisherKey), passphrase)
	if err != nil {
		return nil, err
	}
	thumbprint, err := signing.PublicThumbprint(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	for _, leaf := range history.Current().Leaves {
		cert, err := signing.ParseCertificate(leaf.Certificate)
		if err == nil && signing.KeyThumbprint(cert) == thumbprint {
			return signing.NewSigner(key, leaf.Certificate)
		}
	}
	return nil, fmt.Errorf("%s: identity version %d lists no leaf for this key", h.file("keys", publisherKey), history.Current().Version)
}

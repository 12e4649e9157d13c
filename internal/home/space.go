package home

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Validity of certificates. A leaf is renewed by the next identity version;
// a root is replaced by the one it committed to.
const (
	rootYears = 20
	leafYears = 1
	// clockSkew is how long before now a certificate begins: who checks it has
	// a clock of its own.
	clockSkew = time.Hour
)

// LeafUntil is how long a leaf is good that is made now, unless somebody says
// otherwise.
func LeafUntil(now time.Time) time.Time { return now.AddDate(leafYears, 0, 0) }

// identityMode is that of space.id, which is for everybody.
const identityMode = 0o644

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
var rootKey, nextRootKey, publisherKey, tlsKey = rootFile(1), rootFile(2), publisherFile(1), tlsFile(1)

// protection returns how a private key of a new Space is protected.
func (n NewSpace) protection(file string) *signing.Passphrase {
	if file == tlsKey {
		return plain()
	}
	return n.Passphrase
}

// Init makes identity version 1: a root, leaves for a publisher and for TLS, an
// encryption key, and the commitment to the next root. Nothing that exists is
// overwritten: a home with a Space gives fs.ErrExist.
func (h *Home) Init(ctx context.Context, n NewSpace) (*trust.History, error) {
	if _, err := h.Identity(); !errors.Is(err, ErrNoSpace) {
		return nil, errors.Join(fmt.Errorf("%s holds a Space already: %w", h.path, fs.ErrExist), err)
	}
	keys := map[string]*ecdsa.PrivateKey{}
	files := []string{rootKey, nextRootKey, publisherKey, tlsKey}
	for _, name := range files {
		key, err := signing.GenerateKey()
		if err != nil {
			return nil, err
		}
		keys[name] = key
	}
	encryption, err := encryptionKeys.generate()
	if err != nil {
		return nil, err
	}
	history, err := n.identity(ctx, keys, encryption.Recipient().String())
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := createNew(signingKeys, h.file("keys", name), keys[name], n.protection(name)); err != nil {
			return nil, err
		}
	}
	if err := createNew(encryptionKeys, h.file("keys", encryptionFile(1)), encryption, n.Passphrase); err != nil {
		return nil, err
	}
	// Last: a home with an identity has all its keys.
	return history, storage.CreateFile(h.file("space.id"), trust.FormatFile(history), identityMode)
}

// createNew creates a key file of a new Space.
func createNew[K any](kind keyKind[K], path string, key K, p *signing.Passphrase) error {
	err := kind.create(path, key, p)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there without an identity, from an init that was cut off or undone; move it away: %w", path, err)
	}
	return err
}

func (n NewSpace) identity(ctx context.Context, keys map[string]*ecdsa.PrivateKey, encryption string) (*trust.History, error) {
	root, err := newRoot(n.Space, n.Issuer, 1, n.Now, keys[rootKey])
	if err != nil {
		return nil, err
	}
	next, err := signing.PublicThumbprint(&keys[nextRootKey].PublicKey)
	if err != nil {
		return nil, err
	}
	id := trust.NewIdentity(n.Space, n.Issuer, root, next)
	id.Encryption = encryption
	own := &roots{key: keys[rootKey]}
	for _, l := range []NewLeaf{
		{Key: &keys[publisherKey].PublicKey, Person: n.Person, Roles: []trust.Role{trust.Publisher}},
		{Key: &keys[tlsKey].PublicKey, Person: TLSPerson, Roles: []trust.Role{trust.TLS}},
	} {
		l.Until = LeafUntil(n.Now)
		cert, err := own.certify(id, l, n.Now.Add(-clockSkew))
		if err != nil {
			return nil, err
		}
		id.Leaves = append(id.Leaves, trust.Leaf{Certificate: cert, Person: l.Person, Roles: l.Roles})
	}
	if _, err := id.Format(); err != nil {
		return nil, err
	}
	a, err := introduction(ctx, id, trust.Lineage{}, id, keys[rootKey])
	if err != nil {
		return nil, err
	}
	return trust.Begin(trust.Version{Identity: id, Statements: []signing.Attestation{a}})
}

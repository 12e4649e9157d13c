package home

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"path/filepath"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// roots are the root keys that a change of the identity needs.
type roots struct {
	number     int // of the root in force, from 1 on
	key        *ecdsa.PrivateKey
	passphrase *signing.Passphrase
	// With a rotation: the next root, and what it will commit to.
	next       *ecdsa.PrivateKey
	commitment storage.Digest
	made       []string // files of keys that were made for the new version
}

// openRoots reads the root key in force, and for a rotation the next one, and
// makes the key after that.
func (h *Home) openRoots(history *trust.History, c Change) (*roots, error) {
	id, dir := history.Current(), h.keysFolder(c)
	r := &roots{number: rootNumber(history)}
	var err error
	if r.key, r.passphrase, err = readListed(filepath.Join(dir, rootFile(r.number)), id.RootKey(), c.Ask); err != nil {
		return nil, &RootKeyError{Dir: dir, Err: err}
	}
	if !c.Rotate {
		return r, nil
	}
	var like *signing.Passphrase
	if r.next, like, err = readListed(filepath.Join(dir, rootFile(r.number+1)), id.Next, c.Ask); err != nil {
		return nil, &RootKeyError{Dir: dir, Err: err}
	}
	after, err := ensureNew(r, signingKeys, filepath.Join(dir, rootFile(r.number+2)), like, c.Ask)
	if err != nil {
		return nil, err
	}
	r.commitment, err = signing.PublicThumbprint(&after.PublicKey)
	return r, err
}

// ensureNew makes a key file for the new version, see keyKind.ensure.
func ensureNew[K any](r *roots, kind keyKind[K], path string, like *signing.Passphrase, ask Ask) (K, error) {
	r.made = append(r.made, path)
	return kind.ensure(path, like, ask)
}

// RootKeyError reports a root key that could not be read.
type RootKeyError struct {
	Dir string
	Err error
}

func (e *RootKeyError) Error() string { return "the root key: " + e.Err.Error() }

func (e *RootKeyError) Unwrap() error { return e.Err }

// rootNumber counts the roots that a history has had.
func rootNumber(history *trust.History) int {
	n := 1
	for i, v := range history.Versions()[1:] {
		if v.Identity.RootKey() != history.Versions()[i].Identity.RootKey() {
			n++
		}
	}
	return n
}

// rotate puts the next root into a draft, and certifies its leaves anew.
func (r *roots) rotate(id *trust.Identity, space trust.Space, now time.Time) error {
	var err error
	if id.Root, err = newRoot(space, id.Issuer, r.number+1, now, r.next); err != nil {
		return err
	}
	id.Next = r.commitment
	for i, l := range id.Leaves {
		old := l.X509()
		again := NewLeaf{Key: old.PublicKey.(*ecdsa.PublicKey), Person: l.Person, Roles: l.Roles, Until: old.NotAfter}
		if id.Leaves[i].Certificate, err = r.certify(id, again, old.NotBefore); err != nil {
			return err
		}
	}
	return nil
}

// certify returns the certificate of a leaf by the draft's own root.
func (r *roots) certify(id *trust.Identity, l NewLeaf, from time.Time) ([]byte, error) {
	issuer := r.key
	if r.next != nil {
		issuer = r.next
	}
	p := signing.Profile{Space: id.Space, Issuer: id.Issuer, Name: l.Person, NotBefore: from, NotAfter: l.Until, Use: trust.UseOf(l.Roles)}
	return signing.NewLeaf(p, l.Key, id.Root, issuer)
}

// introduce signs the statements that put the next version in force: rule 8.3,
// by the root in force and by the version's own.
func (r *roots) introduce(ctx context.Context, id *trust.Identity, history *trust.History) (trust.Version, error) {
	v := trust.Version{Identity: id}
	before, err := introduction(ctx, id, history.Lineage(), history.Current(), r.key)
	if err != nil {
		return v, err
	}
	v.Statements = append(v.Statements, before)
	if r.next == nil {
		return v, nil
	}
	after, err := introduction(ctx, id, history.Lineage(), id, r.next)
	v.Statements = append(v.Statements, after)
	return v, err
}

// introduction signs the statement by which the root of version by, whose key is
// root, puts id in force.
func introduction(ctx context.Context, id *trust.Identity, lineage trust.Lineage, by *trust.Identity, root *ecdsa.PrivateKey) (signing.Attestation, error) {
	statement, err := trust.IdentityStatement(id, lineage, by)
	if err != nil {
		return signing.Attestation{}, err
	}
	signer, err := signing.NewSigner(root, by.Root)
	if err != nil {
		return signing.Attestation{}, err
	}
	return signer.Sign(ctx, statement)
}

// newRoot returns the certificate of a Space's root, number from 1 on. Stock
// tools find a root by its name, so each has its own.
func newRoot(space trust.Space, issuer string, number int, now time.Time, key *ecdsa.PrivateKey) ([]byte, error) {
	name := space.String() + " root"
	if number > 1 {
		name += fmt.Sprintf(" %d", number)
	}
	return signing.NewRoot(signing.Profile{Space: space.URI(), Issuer: issuer, Name: name,
		NotBefore: now.Add(-clockSkew), NotAfter: now.AddDate(rootYears, 0, 0)}, key)
}

// Package trusttest makes Spaces for tests: real keys, certificates and
// identities, signed as in production.
//
//	s := trusttest.New(t, "acme/dev-qa")
//	view, err := trust.NewView(s.History(), nil)
//	at := trust.Position{Feed: "acme/dev-qa/shared", Epoch: 1, Index: 7}
//	_, err = view.Verify(s.Attest(s.Publisher, signing.Publication, "file/a@1", at), trust.Want{}, at)
package trusttest

import (
	"context"
	"crypto/ecdsa"
	"maps"
	"slices"
	"testing"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Issuer is the issuer URL in every certificate.
const Issuer = "https://id.acme.example"

// Certificates are valid between these two moments.
var (
	NotBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	NotAfter  = time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Space is an isolated installation with all its private keys. It is not for
// concurrent use; its signers are.
type Space struct {
	Name           trust.Space
	Root, NextRoot *ecdsa.PrivateKey
	// Publisher is the key of "alice" with role publisher, Approver of "bob"
	// with role approver. Rotate replaces both: same keys, new certificates.
	Publisher, Approver *signing.Signer

	tb       testing.TB
	rootCert []byte
	leaves   map[*signing.Signer]listing
	versions []trust.Version
}

// listing is what an identity says of a leaf, and its key.
type listing struct {
	key *ecdsa.PrivateKey
	trust.Leaf
}

// New returns a Space, "<organisation>/<space>", whose identity is at version 1.
func New(tb testing.TB, space string) *Space {
	tb.Helper()
	name, err := trust.ParseSpace(space)
	check(tb, err)
	s := &Space{Name: name, tb: tb, Root: newKey(tb), NextRoot: newKey(tb), leaves: map[*signing.Signer]listing{}}
	s.rootCert = s.newRoot(s.Root)
	s.Publisher = s.Leaf("alice", trust.Publisher)
	s.Approver = s.Leaf("bob", trust.Approver)
	id := trust.NewIdentity(s.Name, Issuer, s.rootCert, s.commitment())
	s.List(id, s.Publisher)
	s.List(id, s.Approver)
	_, err = id.Format()
	check(tb, err)
	s.add(trust.Version{Identity: id, Statements: []signing.Attestation{s.Introduce(id, id, s.RootSigner())}})
	return s
}

// Leaf returns a new signer with a certificate by the current root. It counts
// once an identity lists it, see List.
func (s *Space) Leaf(person string, roles ...trust.Role) *signing.Signer {
	s.tb.Helper()
	return s.leaf(newKey(s.tb), person, roles)
}

func (s *Space) leaf(key *ecdsa.PrivateKey, person string, roles []trust.Role) *signing.Signer {
	s.tb.Helper()
	profile := s.profile(person)
	profile.Use = trust.UseOf(roles)
	cert, err := signing.NewLeaf(profile, &key.PublicKey, s.rootCert, s.Root)
	check(s.tb, err)
	signer, err := signing.NewSigner(key, cert)
	check(s.tb, err)
	s.leaves[signer] = listing{key, trust.Leaf{Certificate: cert, Person: person, Roles: roles}}
	return signer
}

// Clone returns the Space as it is, which goes its own way from here.
func (s *Space) Clone(tb testing.TB) *Space {
	c := *s
	c.tb, c.leaves, c.versions = tb, maps.Clone(s.leaves), slices.Clone(s.versions)
	return &c
}

// History returns the identities so far, as a value of its own: a View that
// learns from it changes no other.
func (s *Space) History() *trust.History { return s.HistoryAt(len(s.versions)) }

// HistoryAt returns the identities up to version n.
func (s *Space) HistoryAt(n int) *trust.History {
	s.tb.Helper()
	h, err := trust.Begin(s.versions[0])
	check(s.tb, err)
	for _, v := range s.versions[1:n] {
		check(s.tb, h.Extend(v))
	}
	return h
}

// Lineage is what the Space is known by.
func (s *Space) Lineage() trust.Lineage { return trust.Lineage(s.versions[0].Identity.Digest()) }

// Version returns version n of the identity with its statements.
func (s *Space) Version(n int) trust.Version { return s.versions[n-1] }

// File returns the identity file.
func (s *Space) File() []byte { return trust.FormatFile(s.History()) }

// View returns a view of the Space as its identity is now, with a policy or nil.
func (s *Space) View(p *trust.Policy) *trust.View {
	s.tb.Helper()
	v, err := trust.NewView(s.History(), p)
	check(s.tb, err)
	return v
}

// Attest signs a statement of that kind whose predicate holds what binds it to
// a position and nothing else.
func (s *Space) Attest(by *signing.Signer, kind signing.Kind, subject string, at trust.Position) signing.Attestation {
	s.tb.Helper()
	predicate, err := signing.MarshalCanonical(trust.Bound{Epoch: at.Epoch, Feed: at.Feed, Lineage: s.Lineage()})
	check(s.tb, err)
	return Sign(s.tb, by, signing.Statement{
		Kind: kind, Subject: storage.DigestOf([]byte(subject)), SubjectName: subject, Predicate: predicate,
	})
}

// Sign signs a statement.
func Sign(tb testing.TB, by *signing.Signer, st signing.Statement) signing.Attestation {
	tb.Helper()
	a, err := by.Sign(context.Background(), st)
	check(tb, err)
	return a
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := signing.GenerateKey()
	check(tb, err)
	return key
}

func check(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}

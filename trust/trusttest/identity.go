package trusttest

import (
	"crypto/ecdsa"
	"slices"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Next makes and signs the next version of the identity: the current one,
// changed by change, which may call List, Drop, Revoke and Rotate.
func (s *Space) Next(change func(id *trust.Identity)) trust.Version {
	s.tb.Helper()
	before := s.RootSigner()
	id := s.Draft()
	change(id)
	_, err := id.Format()
	check(s.tb, err)
	statements := []signing.Attestation{s.Introduce(id, s.versions[len(s.versions)-1].Identity, before)}
	if string(id.Root) != string(before.CertificateDER()) {
		statements = append(statements, s.Introduce(id, id, s.RootSigner()))
	}
	return s.add(trust.Version{Identity: id, Statements: statements})
}

// Introduce signs the statement that puts id, which was formatted, in force:
// with the root of version by, whose signer is root.
func (s *Space) Introduce(id, by *trust.Identity, root *signing.Signer) signing.Attestation {
	s.tb.Helper()
	lineage := trust.Lineage(id.Digest())
	if id.Version > 1 {
		lineage = s.Lineage()
	}
	st, err := trust.IdentityStatement(id, lineage, by)
	check(s.tb, err)
	return Sign(s.tb, root, st)
}

// Draft returns a copy of the current identity with the next version number
// and the digest of the current one: what Next starts from.
func (s *Space) Draft() *trust.Identity {
	return s.versions[len(s.versions)-1].Identity.Successor()
}

// List adds a leaf to id.
func (s *Space) List(id *trust.Identity, leaf *signing.Signer) {
	id.Leaves = append(id.Leaves, s.leaves[leaf].Leaf)
}

// Drop removes a leaf from id.
func (s *Space) Drop(id *trust.Identity, leaf *signing.Signer) {
	id.Leaves = slices.DeleteFunc(id.Leaves, func(l trust.Leaf) bool {
		return string(l.Certificate) == string(leaf.CertificateDER())
	})
}

// Revoke voids what the leaf signed in a feed from that position's index on.
// In feeds that no Since names all its entries are void. The leaf is dropped.
func (s *Space) Revoke(id *trust.Identity, leaf *signing.Signer, from trust.Position) {
	s.Drop(id, leaf)
	id.Revocations = append(id.Revocations, trust.Revocation{
		Key: s.Thumbprint(leaf), Reason: "key was stolen",
		Since: []trust.RevokedFrom{{Epoch: from.Epoch, Feed: from.Feed, Size: from.Index}},
	})
}

// Rotate puts the next root in the place of the root, commits to a new one and
// issues new certificates for the keys of all listed leaves.
func (s *Space) Rotate(id *trust.Identity) {
	s.tb.Helper()
	s.Root, s.NextRoot = s.NextRoot, newKey(s.tb)
	s.rootCert = s.newRoot(s.Root)
	id.Root, id.Next = s.rootCert, s.commitment()
	for i, leaf := range id.Leaves {
		for signer, l := range s.leaves {
			if string(l.Certificate) == string(leaf.Certificate) {
				id.Leaves[i] = s.reissue(signer, l)
			}
		}
	}
}

// reissue gives a leaf's key a certificate by the current root.
func (s *Space) reissue(old *signing.Signer, l listing) trust.Leaf {
	s.tb.Helper()
	signer := s.leaf(l.key, l.Person, l.Roles)
	switch old {
	case s.Publisher:
		s.Publisher = signer
	case s.Approver:
		s.Approver = signer
	}
	return s.leaves[signer].Leaf
}

// Thumbprint names the key of a leaf.
func (s *Space) Thumbprint(leaf *signing.Signer) storage.Digest {
	s.tb.Helper()
	cert, err := signing.ParseCertificate(leaf.CertificateDER())
	check(s.tb, err)
	return signing.KeyThumbprint(cert)
}

// RootSigner returns a signer with the current root, for identity statements.
func (s *Space) RootSigner() *signing.Signer { return s.rootSigner(s.Root, s.rootCert) }

// add keeps a version, or fails the test where it may not follow.
func (s *Space) add(v trust.Version) trust.Version {
	s.tb.Helper()
	s.versions = append(s.versions, v)
	s.History() // checks the chain
	return v
}

func (s *Space) rootSigner(key *ecdsa.PrivateKey, cert []byte) *signing.Signer {
	s.tb.Helper()
	signer, err := signing.NewSigner(key, cert)
	check(s.tb, err)
	return signer
}

func (s *Space) newRoot(key *ecdsa.PrivateKey) []byte {
	s.tb.Helper()
	cert, err := signing.NewRoot(s.profile("root of "+s.Name.String()), key)
	check(s.tb, err)
	return cert
}

func (s *Space) commitment() storage.Digest {
	s.tb.Helper()
	d, err := signing.PublicThumbprint(&s.NextRoot.PublicKey)
	check(s.tb, err)
	return d
}

func (s *Space) profile(name string) signing.Profile {
	return signing.Profile{Space: s.Name.URI(), Issuer: Issuer, Name: name, NotBefore: NotBefore, NotAfter: NotAfter}
}

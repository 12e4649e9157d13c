package feed

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"fmt"
	"slices"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// maxPending bounds the statements that wait for another root's.
const maxPending = 16

var identityType = []byte(`"predicateType":"` + signing.Identity.PredicateType() + `"`)

// ConcernsSigners reports whether an entry is one for Signers.Add: an identity
// statement, or what could be taken for one.
func ConcernsSigners(a signing.Attestation) bool { return bytes.Contains(a.Payload(), identityType) }

// Add takes in an identity statement at an index. Two statements put a version
// with a new root in force: it holds once both are there. An error says why the
// entry is void, unless it matches ErrDocument.
func (s *Signers) Add(ctx context.Context, index int64, a signing.Attestation) error {
	if s.view == nil {
		if err := s.begin(ctx, a); err != nil {
			return err
		}
	}
	if err := s.checkRoot(index, a); err != nil {
		return err
	}
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return err
	}
	if st.Kind != signing.Identity {
		return &trust.DeniedError{Reason: trust.Malformed, Rule: "kind", Thing: s.at(index).String(),
			Why: fmt.Sprintf("is a statement of kind %s with the marks of an identity", st.Kind)}
	}
	v, err := s.version(ctx, st.Subject, a)
	if err != nil {
		return err
	}
	complete := s.complete(v)
	isNext := v.Identity.Version == s.view.History().Current().Version+1
	// What is not signed by both roots yet is not learned, but it is no error:
	// the other statement may follow. What could never be learned is one.
	if complete || !isNext {
		if err := s.view.Learn(v); err != nil {
			return err
		}
	}
	if !complete {
		if len(s.pending) < maxPending {
			s.pending = append(s.pending, a)
			s.keep(v.Identity)
		}
		return nil
	}
	s.pending = slices.DeleteFunc(s.pending, func(p signing.Attestation) bool { return slices.ContainsFunc(v.Statements, sameAs(p)) })
	if v.Identity.Version <= s.opening.Identity {
		index = 0
	}
	s.putInForce(v.Identity.Version, index)
	return nil
}

func sameAs(a signing.Attestation) func(signing.Attestation) bool {
	return func(b signing.Attestation) bool { return a.ID() == b.ID() }
}

// begin reads version 1, whose digest the opening names.
func (s *Signers) begin(ctx context.Context, a signing.Attestation) error {
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return err
	}
	if trust.Lineage(st.Subject) != s.opening.Lineage {
		return &trust.DeniedError{Reason: trust.Untrusted, Rule: "lineage", Thing: s.id.String(),
			Why: fmt.Sprintf("its first identity is %s, and it was opened for lineage %s", st.Subject, s.opening.Lineage)}
	}
	id, err := s.fetch(ctx, st.Subject)
	if err != nil {
		return err
	}
	h, err := trust.Begin(trust.Version{Identity: id, Statements: []signing.Attestation{a}})
	if err != nil {
		return err
	}
	s.view, err = trust.NewView(h, nil)
	return err
}

// checkRoot reports whether an identity statement is signed by a root of the
// Space, or by the one that it committed to. Nothing is fetched and nothing
// parsed for anybody else.
func (s *Signers) checkRoot(index int64, a signing.Attestation) error {
	deny := func(reason trust.Reason, rule, why string) error {
		return &trust.DeniedError{Reason: reason, Rule: rule, Thing: s.at(index).String(), Why: why}
	}
	cert, err := signing.ParseCertificate(a.CertificateDER())
	if err != nil {
		return deny(trust.Malformed, "form", err.Error())
	}
	key := signing.KeyThumbprint(cert)
	history := s.view.History()
	isRoot := key == history.Current().Next
	for _, v := range history.Versions() {
		isRoot = isRoot || key == v.Identity.RootKey()
	}
	for _, id := range s.documents {
		isRoot = isRoot || key == id.Next
	}
	if !isRoot {
		return deny(trust.Untrusted, "root", fmt.Sprintf("is an identity signed by a key that is no root of %s", history.Space()))
	}
	if err := a.VerifySignature(cert.PublicKey.(*ecdsa.PublicKey)); err != nil {
		return deny(trust.BadSignature, "signature", "is not signed by the root whose certificate it carries")
	}
	return nil
}

// version returns the identity that a statement speaks of, with the statements
// about it that this feed holds so far.
func (s *Signers) version(ctx context.Context, d storage.Digest, a signing.Attestation) (trust.Version, error) {
	id, err := s.identity(ctx, d)
	if err != nil {
		return trust.Version{}, err
	}
	v := trust.Version{Identity: id}
	for _, p := range s.pending {
		if st, err := signing.ParseStatement(p.Payload()); err == nil && st.Subject == d {
			v.Statements = append(v.Statements, p)
		}
	}
	v.Statements = append(v.Statements, a)
	return v, nil
}

func (s *Signers) identity(ctx context.Context, d storage.Digest) (*trust.Identity, error) {
	for _, known := range s.view.History().Versions() {
		if known.Identity.Digest() == d {
			return known.Identity, nil
		}
	}
	if id, ok := s.documents[d]; ok {
		return id, nil
	}
	return s.fetch(ctx, d)
}

func (s *Signers) fetch(ctx context.Context, d storage.Digest) (*trust.Identity, error) {
	raw, err := s.document(ctx, d, trust.MaxIdentity)
	if err != nil {
		return nil, fmt.Errorf("feed %s: identity %s %w: %w", s.id, d, ErrDocument, err)
	}
	return trust.ParseIdentity(raw)
}

func (s *Signers) keep(id *trust.Identity) {
	if s.documents == nil {
		s.documents = map[storage.Digest]*trust.Identity{}
	}
	s.documents[id.Digest()] = id
}

// complete reports whether the statements of this feed put v in force here:
// rule 8.3, root N and root N+1. What another feed holds does not count, or two
// readers of one feed could see different entries as void.
func (s *Signers) complete(v trust.Version) bool {
	roots := [][]byte{v.Identity.Root}
	if before := s.view.History().Version(v.Identity.Version - 1); before != nil {
		roots = append(roots, before.Root)
	}
	for _, root := range roots {
		signed := func(a signing.Attestation) bool { return bytes.Equal(a.CertificateDER(), root) }
		if !slices.ContainsFunc(v.Statements, signed) {
			return false
		}
	}
	return true
}

package feed

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// maxPending bounds the statements that wait for another root's.
const maxPending = 16

// addIdentity learns an identity version. Two statements put a version with a
// new root in force: it holds once both are there.
func (f *fold) addIdentity(ctx context.Context, it *item) error {
	row := Row{Index: it.index, ID: it.att.ID(), What: IsIdentity}
	if i, ok := f.index.ByID(row.ID); ok {
		f.void(&row, &RepeatedError{ID: row.ID, Index: i})
		return nil
	}
	if err := f.learn(ctx, it); err != nil {
		if errors.Is(err, errFetch) {
			return err
		}
		f.void(&row, err)
		return nil
	}
	f.index.Add(row)
	return nil
}

var errFetch = errors.New("cannot be read")

func (f *fold) learn(ctx context.Context, it *item) error {
	if err := f.checkRoot(it); err != nil {
		return err
	}
	st, err := signing.ParseStatement(it.att.Payload())
	if err != nil {
		return err
	}
	if st.Kind != signing.Identity {
		return &trust.DeniedError{Reason: trust.Malformed, Rule: "kind", Thing: f.at(it.index).String(),
			Why: fmt.Sprintf("is a statement of kind %s with the marks of an identity", st.Kind)}
	}
	v, err := f.version(ctx, st.Subject, it.att)
	if err != nil {
		return err
	}
	complete := f.complete(v)
	isNext := v.Identity.Version == f.view.History().Current().Version+1
	// What is not signed by both roots yet is not learned, but it is no error:
	// the other statement may follow. What could never be learned is one.
	if complete || !isNext {
		if err := f.view.Learn(v); err != nil {
			return err
		}
	}
	if !complete {
		if len(f.pending) < maxPending {
			f.pending = append(f.pending, it.att)
			f.keep(v.Identity)
		}
		return nil
	}
	f.pending = slices.DeleteFunc(f.pending, func(a signing.Attestation) bool { return slices.ContainsFunc(v.Statements, sameAs(a)) })
	from := f.at(it.index)
	if f.leading && v.Identity.Version <= f.opening {
		from.Index = 0
	}
	f.putInForce(v.Identity.Version, from)
	return nil
}

func sameAs(a signing.Attestation) func(signing.Attestation) bool {
	return func(b signing.Attestation) bool { return a.ID() == b.ID() }
}

func (f *fold) at(index int64) trust.Position {
	return trust.Position{Feed: f.id.String(), Epoch: f.epoch, Index: index}
}

// checkRoot reports whether an identity statement is signed by a root of the
// Space, or by the one that it committed to. Nothing is fetched and nothing
// parsed for anybody else.
func (f *fold) checkRoot(it *item) error {
	deny := func(reason trust.Reason, rule, why string) error {
		return &trust.DeniedError{Reason: reason, Rule: rule, Thing: f.at(it.index).String(), Why: why}
	}
	cert, err := signing.ParseCertificate(it.att.CertificateDER())
	if err != nil {
		return deny(trust.Malformed, "form", err.Error())
	}
	key := signing.KeyThumbprint(cert)
	history := f.view.History()
	isRoot := key == history.Current().Next
	for _, v := range history.Versions() {
		isRoot = isRoot || key == v.Identity.RootKey()
	}
	for _, id := range f.documents {
		isRoot = isRoot || key == id.Next
	}
	if !isRoot {
		return deny(trust.Untrusted, "root", fmt.Sprintf("is an identity signed by a key that is no root of %s", history.Space()))
	}
	if err := it.att.VerifySignature(cert.PublicKey.(*ecdsa.PublicKey)); err != nil {
		return deny(trust.BadSignature, "signature", "is not signed by the root whose certificate it carries")
	}
	return nil
}

// version returns the identity that a statement speaks of, with the statements
// about it that this feed holds so far.
func (f *fold) version(ctx context.Context, d storage.Digest, a signing.Attestation) (trust.Version, error) {
	id, err := f.identity(ctx, d)
	if err != nil {
		return trust.Version{}, err
	}
	v := trust.Version{Identity: id}
	for _, p := range f.pending {
		if st, err := signing.ParseStatement(p.Payload()); err == nil && st.Subject == d {
			v.Statements = append(v.Statements, p)
		}
	}
	v.Statements = append(v.Statements, a)
	return v, nil
}

func (f *fold) identity(ctx context.Context, d storage.Digest) (*trust.Identity, error) {
	for _, known := range f.view.History().Versions() {
		if known.Identity.Digest() == d {
			return known.Identity, nil
		}
	}
	if id, ok := f.documents[d]; ok {
		return id, nil
	}
	raw, err := f.document(ctx, d, trust.MaxIdentity)
	if err != nil {
		return nil, fmt.Errorf("feed %s: identity %s %w: %w", f.id, d, errFetch, err)
	}
	return trust.ParseIdentity(raw)
}

func (f *fold) keep(id *trust.Identity) {
	if f.documents == nil {
		f.documents = map[storage.Digest]*trust.Identity{}
	}
	f.documents[id.Digest()] = id
}

// complete reports whether the statements of this feed put v in force here:
// rule 8.3, root N and root N+1. What another feed holds does not count, or two
// readers of one feed could see different entries as void.
func (f *fold) complete(v trust.Version) bool {
	roots := [][]byte{v.Identity.Root}
	if before := f.view.History().Version(v.Identity.Version - 1); before != nil {
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

package trust

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"

	"airlock/signing"
	"airlock/storage"
)

// statementBy returns the statement by which the root of by puts id in force.
// The bytes are compared with the one form such a statement has, and verified
// as they came.
func statementBy(id *Identity, lineage Lineage, by *Identity, statements []signing.Attestation) (signing.Attestation, error) {
	st, err := IdentityStatement(id, lineage, by)
	if err != nil {
		return signing.Attestation{}, err
	}
	want, err := st.Format()
	if err != nil {
		return signing.Attestation{}, err
	}
	err = fmt.Errorf("not signed by the root of version %d", by.Version)
	for _, a := range statements {
		if !bytes.Equal(a.CertificateDER(), by.Root) {
			continue
		}
		if !bytes.Equal(a.Payload(), want) {
			err = fmt.Errorf("statement %s speaks of something else", a.ID())
			continue
		}
		if wrong := a.VerifySignature(by.root.PublicKey.(*ecdsa.PublicKey)); wrong != nil {
			err = fmt.Errorf("statement %s: %w", a.ID(), wrong)
			continue
		}
		return a, nil
	}
	return signing.Attestation{}, fmt.Errorf("identity of %s, version %d: %w", id.Space, id.Version, err)
}

// vouched reports whether a root that put id, a version of h, in force made the
// statement: that of the version before, or id's own.
func (h *History) vouched(id *Identity, a signing.Attestation) error {
	lineage := h.Lineage()
	if id.Version == 1 {
		lineage = Lineage{}
	}
	_, err := statementBy(id, lineage, id, []signing.Attestation{a})
	if before := h.Version(id.Version - 1); err != nil && before != nil {
		_, err = statementBy(id, lineage, before, []signing.Attestation{a})
	}
	return err
}

// IdentityPredicate is the predicate of an identity statement, of which
// testdata/identity-statement.json is one. It names no feed: the same statement
// stands in every feed of the Space.
type IdentityPredicate struct {
	Lineage *storage.Digest `json:"lineage,omitempty"` // absent in version 1, whose digest it is
	// Root is the SHA-256 of the certificate of the root that signs. Without
	// it the statements of two roots about one version would be one statement
	// by their ID, and the second a repetition.
	Root    storage.Digest `json:"root"`
	Space   string         `json:"space"`
	Version int            `json:"version"`
}

// IdentityStatement returns the statement that puts id in force, for the root of
// by to sign: of id itself, and where id has a new root, of the version before.
func IdentityStatement(id *Identity, lineage Lineage, by *Identity) (signing.Statement, error) {
	p := IdentityPredicate{Root: storage.DigestOf(by.Root), Space: id.Space, Version: id.Version}
	if id.Version > 1 {
		d := storage.Digest(lineage)
		p.Lineage = &d
	}
	raw, err := signing.MarshalCanonical(p)
	if err != nil {
		return signing.Statement{}, err
	}
	return signing.Statement{
		Kind:        signing.Identity,
		Subject:     id.Digest(),
		SubjectName: identityName(id),
		Predicate:   raw,
	}, nil
}

// identityName is the subject's name of statements about an identity version.
func identityName(id *Identity) string {
	return fmt.Sprintf("%s identity version %d", id.Space, id.Version)
}

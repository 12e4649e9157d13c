package trust

import (
	"crypto/x509"
	"fmt"
	"slices"

	"airlock/signing"
	"airlock/storage"
)

// MaxIdentity bounds an identity document, in bytes.
const MaxIdentity = 256 << 10

// Bounds on an identity's lists.
const (
	maxLeaves      = 64
	maxRevocations = 1024
)

// Role says what a leaf may sign.
type Role string

// The roles of a leaf.
const (
	Publisher Role = "publisher" // feed, publication, withdrawal, holdings, bundle, receipt
	Approver  Role = "approver"  // approval
	Operator  Role = "operator"  // override
	TLS       Role = "tls"       // nothing: the key opens connections, and stands alone
)

// Identity is one version of a Space's identity: who may sign for it.
//
// The document is canonical JSON, members in this order; example in
// testdata/identity.json. Version 1 is what a Space is: its SHA-256 is the
// [Lineage]. Version N+1 names N by digest in previous and is signed by the
// roots of both (rule 8.3); its root is N's, or the key to whose thumbprint N
// committed in next, so a stolen root cannot fork the Space.
type Identity struct {
	APIVersion  string          `json:"apiVersion"`           // "airlock.example/v1"
	Encryption  string          `json:"encryption,omitempty"` // native age recipient
	Issuer      string          `json:"issuer"`               // the organisation's issuer URL
	Kind        string          `json:"kind"`                 // "Identity"
	Leaves      []Leaf          `json:"leaves"`
	Next        storage.Digest  `json:"next"`               // SHA-256 of the next root's SubjectPublicKeyInfo
	Previous    *storage.Digest `json:"previous,omitempty"` // SHA-256 of version N-1
	Revocations []Revocation    `json:"revocations,omitempty"`
	Root        []byte          `json:"root"` // certificate, DER
	Space       string          `json:"space"`
	Version     int             `json:"version"`

	root   *x509.Certificate
	digest storage.Digest
	raw    []byte
}

// Leaf is a key that signs from day to day.
type Leaf struct {
	Certificate []byte `json:"certificate"` // DER
	Person      string `json:"person"`      // who holds the key
	Roles       []Role `json:"roles"`       // sorted

	cert *x509.Certificate
}

// Revocation voids a key's entries from a position on. A revoked key is listed
// nowhere in the same version, and stays revoked in all later ones.
type Revocation struct {
	Key    storage.Digest `json:"key"` // SHA-256 of the SubjectPublicKeyInfo
	Reason string         `json:"reason"`
	// Since names, per feed and epoch, the first void entry. In a feed that is
	// not named every entry is void: whoever stole the key could otherwise open
	// a new feed under an old version of the identity.
	Since []RevokedFrom `json:"since"`
}

// RevokedFrom is a place in a feed.
type RevokedFrom struct {
	Epoch uint64 `json:"epoch"`
	Feed  string `json:"feed"`
	Size  int64  `json:"size"` // entries at this index and past it are void
}

const (
	apiVersion   = "airlock.example/v1"
	identityKind = "Identity"
)

// Lineage is what a Space is known by: the SHA-256 of its identity version 1.
type Lineage storage.Digest

// String returns "sha256:" and 64 hexadecimal digits.
func (l Lineage) String() string { return storage.Digest(l).String() }

// MarshalText writes the form of String.
func (l Lineage) MarshalText() ([]byte, error) { return storage.Digest(l).MarshalText() }

// UnmarshalText accepts only the form of String.
func (l *Lineage) UnmarshalText(b []byte) error { return (*storage.Digest)(l).UnmarshalText(b) }

// ParseLineage reads the form of String.
func ParseLineage(s string) (Lineage, error) {
	d, err := storage.ParseDigest(s)
	return Lineage(d), err
}

// NewIdentity returns version 1 of a Space, without leaves. root is the root's
// certificate and next the thumbprint of the key that may replace it.
func NewIdentity(space Space, issuer string, root []byte, next storage.Digest) *Identity {
	return &Identity{
		APIVersion: apiVersion, Issuer: issuer, Kind: identityKind, Leaves: []Leaf{},
		Next: next, Root: root, Space: space.URI(), Version: 1,
	}
}

// Successor returns a draft of the version after id, which says the same under
// the next number. Its lists may be changed freely; Format checks what came of it.
func (id *Identity) Successor() *Identity {
	previous := id.Digest()
	return &Identity{
		APIVersion: id.APIVersion, Encryption: id.Encryption, Issuer: id.Issuer, Kind: id.Kind,
		Leaves: slices.Clone(id.Leaves), Next: id.Next, Previous: &previous,
		Revocations: slices.Clone(id.Revocations), Root: id.Root, Space: id.Space, Version: id.Version + 1,
	}
}

// ParseIdentity reads and checks one identity document. It checks the document
// alone: the chain from version 1 is History's.
func ParseIdentity(b []byte) (*Identity, error) {
	if len(b) > MaxIdentity {
		return nil, fmt.Errorf("identity: %d bytes, at most %d are allowed", len(b), MaxIdentity)
	}
	id := &Identity{raw: b, digest: storage.DigestOf(b)}
	if err := signing.UnmarshalCanonical(b, id); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("identity of %.150q, version %d: %w", id.Space, id.Version, err)
	}
	return id, nil
}

// Format checks id and returns its canonical JSON.
func (id *Identity) Format() ([]byte, error) {
	raw, err := signing.MarshalCanonical(id)
	if err != nil {
		return nil, err
	}
	parsed, err := ParseIdentity(raw)
	if err != nil {
		return nil, err
	}
	*id = *parsed
	return raw, nil
}

// Digest is the SHA-256 of the document.
func (id *Identity) Digest() storage.Digest { return id.digest }

// Raw returns the document's bytes.
func (id *Identity) Raw() []byte { return id.raw }

// RootKey is the thumbprint of the root's key.
func (id *Identity) RootKey() storage.Digest { return signing.KeyThumbprint(id.root) }

// RootCertificate is the root's certificate.
func (id *Identity) RootCertificate() *x509.Certificate { return id.root }

// Key is the thumbprint of the leaf's key, and the name by which people drop it.
func (l Leaf) Key() storage.Digest { return signing.KeyThumbprint(l.cert) }

// X509 is the leaf's certificate. Like Key it is there in an identity that was
// parsed or formatted.
func (l Leaf) X509() *x509.Certificate { return l.cert }

// Has reports whether the leaf has a role.
func (l Leaf) Has(role Role) bool { return slices.Contains(l.Roles, role) }

// UseOf is what a key with these roles is for.
func UseOf(roles []Role) signing.Use {
	if slices.Contains(roles, TLS) {
		return signing.ForConnections
	}
	return signing.ForStatements
}

// Leaf returns the leaf with a key, by its thumbprint.
func (id *Identity) Leaf(key storage.Digest) (Leaf, bool) {
	i := slices.IndexFunc(id.Leaves, func(l Leaf) bool { return l.Key() == key })
	if i < 0 {
		return Leaf{}, false
	}
	return id.Leaves[i], true
}

// leaf returns the place in Leaves of the leaf with exactly that certificate, -1
// where it is not listed.
func (id *Identity) leaf(der []byte) int {
	return slices.IndexFunc(id.Leaves, func(l Leaf) bool { return string(l.Certificate) == string(der) })
}

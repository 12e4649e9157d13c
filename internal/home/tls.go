package home

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"strings"

	"airlock/signing"
	"airlock/trust"
)

// TLSPerson stands for a person with the leaves for TLS: machines hold their keys.
const TLSPerson = "TLS"

// plain is how keys for TLS are protected, and that of the log: whoever runs
// unattended connects without a person. They sign no statement.
func plain() *signing.Passphrase { return nil }

// Unattended reports whether the key of a file is used without a person: it is
// plain also where the others are encrypted.
func Unattended(file string) bool { return strings.HasPrefix(file, tlsPrefix) }

// Certificate returns the certificate with which this home connects to servers,
// and its key: the newest that the identity lists. fs.ErrNotExist where the home
// has no key for TLS, *UnlistedError where its keys are listed no more.
func (h *Home) Certificate() (*tls.Certificate, error) {
	history, err := h.Identity()
	if errors.Is(err, ErrNoSpace) {
		err = errors.Join(err, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	k, err := first(h.leafKeys(history.Current(), tlsPrefix, trust.TLS, nil))
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{k.leaf.Certificate}, PrivateKey: k.key, Leaf: k.leaf.X509()}, nil
}

// TLSLeaves returns the leaves for TLS whose keys are in this home.
func (h *Home) TLSLeaves() ([]trust.Leaf, error) {
	history, err := h.Identity()
	if err != nil {
		return nil, err
	}
	var out []trust.Leaf
	for k, err := range h.leafKeys(history.Current(), tlsPrefix, trust.TLS, nil) {
		if _, unlisted := errors.AsType[*UnlistedError](err); unlisted || errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, k.leaf)
	}
	return out, nil
}

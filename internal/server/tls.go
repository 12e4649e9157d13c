package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// Certificate returns the certificate of the servers of an operator who brings
// none of his own, and its key. The key is made from the log key, so all servers
// of a store show the same one, and whoever pinned it knows each of them; it is in
// no file. Nobody vouches for it: it is self-signed and pinned.
func Certificate(key feed.LogKey, now time.Time) (tls.Certificate, error) {
	own, err := tlsKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := signing.NewSelfSigned("Airlock server", own, now.Add(-time.Hour), signing.ForConnections)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := signing.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own, Leaf: leaf}, err
}

// CertificatePin returns the thumbprint of the key of Certificate.
func CertificatePin(key feed.LogKey) (storage.Digest, error) {
	own, err := tlsKey(key)
	if err != nil {
		return storage.Digest{}, err
	}
	return signing.PublicThumbprint(&own.PublicKey)
}

// tlsKey makes a P-256 key out of the log key: the first of its derived values
// that is a scalar of the curve (FIPS 186-5, A.4.2). Of 2^32 only one is none.
func tlsKey(key feed.LogKey) (*ecdsa.PrivateKey, error) {
	for n := 1; ; n++ {
		scalar, err := key.Derive(fmt.Sprintf("TLS key %d", n))
		if err != nil {
			return nil, err
		}
		if own, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar); err == nil {
			return own, nil
		}
	}
}

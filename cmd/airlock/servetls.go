package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http"

	"github.com/spf13/pflag"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
)

// tlsOptions say which certificate a server shows.
type tlsOptions struct {
	own, cert, key string
}

func (o *tlsOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.own, "tls", "", "self: with a certificate of its own, which clients pin")
	f.StringVar(&o.cert, "tls-cert", "", "certificate chain in PEM")
}

// tlsSelf is what --tls says for the certificate that is made from the log key.
const tlsSelf = "self"

// checkChoice refuses another word than self, and two certificates.
func (o tlsOptions) checkChoice() error {
	switch {
	case o.own != "" && o.own != tlsSelf:
		return usage("--tls %.40q is not %s", "say --tls self, or name a certificate: --tls-cert FILE --tls-key FILE", o.own, tlsSelf)
	case o.own != "" && (o.cert != "" || o.key != ""):
		return usage("both --tls self and --tls-cert or --tls-key were given", "say one: a certificate that is made, or one that is there")
	}
	return nil
}

// check refuses what would only fail once the server listens.
func (o tlsOptions) check() error {
	if err := o.checkChoice(); err != nil || o.cert == "" && o.key == "" {
		return err
	}
	if _, err := tls.LoadX509KeyPair(o.cert, o.key); err != nil {
		return usage("--tls-cert %s with --tls-key %s: %v", "name a certificate chain and its private key, both in PEM", o.cert, o.key, err)
	}
	return nil
}

// serverTLS returns how a server speaks TLS, nil for without. It asks who connects
// for a certificate, and takes any: whose it is, is looked up with each request.
func (a *app) serverTLS(logKey feed.LogKey, o tlsOptions) (*tls.Config, error) {
	if o.own == "" && o.cert == "" {
		return nil, nil
	}
	c, err := tls.LoadX509KeyPair(o.cert, o.key)
	if o.own != "" {
		c, err = server.Certificate(logKey, a.now())
	}
	return &tls.Config{Certificates: []tls.Certificate{c}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}, err
}

// pin returns the thumbprint of the key that servers show with these options; of a
// certificate its key file is not needed.
func (o tlsOptions) pin(logKey feed.LogKey) (storage.Digest, error) {
	if o.cert == "" {
		return server.CertificatePin(logKey)
	}
	b, err := home.ReadFile(o.cert, 1<<20)
	if err != nil {
		return storage.Digest{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		err = errors.New("holds no certificate in PEM")
	}
	var leaf *x509.Certificate
	if err == nil {
		leaf, err = x509.ParseCertificate(block.Bytes)
	}
	if err != nil {
		return storage.Digest{}, usage("--tls-cert %s: %v", "name the certificate chain that the server shows, in PEM", o.cert, err)
	}
	return signing.KeyThumbprint(leaf), nil
}

// scheme is that of URLs of a server with these options.
func (o tlsOptions) scheme() string {
	if o.own == "" && o.cert == "" {
		return "http"
	}
	return "https"
}

// noteServing says where a server listens, and by which key it is known.
func (a *app) noteServing(store *storage.Store, o tlsOptions, s *http.Server, l net.Listener) {
	if s.TLSConfig != nil {
		a.note("its TLS key is %s", signing.KeyThumbprint(s.TLSConfig.Certificates[0].Leaf))
	}
	a.note("serving %s on %s://%s", store.Name, o.scheme(), l.Addr())
}

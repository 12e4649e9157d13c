package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"sync/atomic"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/internal/settings"
	"airlock/signing"
	"airlock/storage"
)

// shownCertificate is the certificate that a server shows. It may be changed while
// the server runs.
type shownCertificate struct {
	atomic.Pointer[tls.Certificate]
}

// shows returns what a server shows by its settings; nil for without TLS.
func (a *app) shows(logKey feed.LogKey, t settings.TLS) (*shownCertificate, error) {
	if scheme(t) == "http" {
		return nil, nil
	}
	c, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if t.Mode == settings.Self {
		c, err = server.Certificate(logKey, a.now())
	}
	s := &shownCertificate{}
	s.Store(&c)
	return s, err
}

// config is how a server speaks TLS, nil for without. It asks who connects for a
// certificate, and takes any: whose it is, is looked up with each request.
func (s *shownCertificate) config() *tls.Config {
	if s == nil {
		return nil
	}
	show := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.Load(), nil }
	return &tls.Config{GetCertificate: show, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
}

// pin returns the thumbprint of its key.
func (s *shownCertificate) pin() storage.Digest { return signing.KeyThumbprint(s.Load().Leaf) }

// shownPin returns the thumbprint of the key that servers show by these settings; of
// a certificate its key file is not needed.
func shownPin(logKey feed.LogKey, t settings.TLS) (storage.Digest, error) {
	if t.Cert == "" {
		return server.CertificatePin(logKey)
	}
	b, err := home.ReadFile(t.Cert, 1<<20)
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
		return storage.Digest{}, usage("--tls-cert %s: %v", "name the certificate chain that the server shows, in PEM", t.Cert, err)
	}
	return signing.KeyThumbprint(leaf), nil
}

// scheme is that of URLs of a server with these settings.
func scheme(t settings.TLS) string {
	if t.Mode == "" && t.Cert == "" {
		return "http"
	}
	return "https"
}

// noteServing says where a server listens, by which key it is known, and what about it
// is hardly meant.
func (a *app) noteServing(ctx context.Context, k *keeper, t settings.TLS, l net.Listener) {
	if k.shown != nil {
		a.note("its TLS key is %s", k.shown.pin())
	}
	if lost := k.lost(ctx, a.served()); len(lost) > 0 {
		a.note("airlock: warning: %s: %s Until it is there they are refused (12)", otherStore(k.store.Name, lost), otherStoreHint)
	}
	a.note("its log key is %s", logKeyName(k.key.Public()))
	a.note("serving %s on %s://%s", k.store.Name, scheme(t), l.Addr())
	if inClear(t, l.Addr()) {
		a.note("airlock: warning: others reach it and it speaks plain HTTP, so tokens and contents travel in clear: say --tls self, or --tls-cert and --tls-key, or --listen 127.0.0.1:PORT behind a proxy")
	}
}

// inClear reports a server without TLS that not only this machine reaches.
func inClear(t settings.TLS, at net.Addr) bool { return scheme(t) == "http" && !isLoopback(at) }

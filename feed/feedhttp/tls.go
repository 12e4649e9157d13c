package feedhttp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"airlock/signing"
	"airlock/storage"
)

// PinError reports a server that shows another key than the one that is pinned:
// somebody else answers, or the operator replaced the key.
type PinError struct{ Want, Got storage.Digest }

func (e *PinError) Error() string {
	return fmt.Sprintf("the server shows key %s, and %s is pinned", e.Got, e.Want)
}

// tls is how a client connects to its server. Nobody vouches for a key that is
// pinned: it is the server. That a certificate is out of date, or was made for
// another name, changes nothing about that.
func (e Endpoint) tls() *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS13} // before 1.3 the client's certificate goes over the line in clear
	if e.Certificate != nil {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return e.Certificate() }
	}
	if pin := e.Pin; !pin.IsZero() {
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(s tls.ConnectionState) error {
			if got := signing.KeyThumbprint(s.PeerCertificates[0]); got != pin {
				return &PinError{pin, got}
			}
			return nil
		}
	}
	return t
}

// transport returns the way to a server of the client's own, which others, to whom a
// redirect may lead, are not asked by: they see no certificate of the client's, and
// show one that the system's authorities vouch for.
func (e Endpoint) transport(others http.RoundTripper) (http.RoundTripper, error) {
	if e.Pin.IsZero() && e.Certificate == nil {
		return others, nil
	}
	t, ok := others.(*http.Transport)
	if !ok || e.Base.Scheme != "https" {
		return nil, errors.New("feedhttp: a pin or certificate needs https, and a transport of net/http")
	}
	t = t.Clone()
	t.TLSClientConfig = e.tls()
	return t, nil
}

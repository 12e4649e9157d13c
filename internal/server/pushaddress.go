package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"airlock/feed/feedhttp"
	"airlock/trust"
)

// AddressError reports an address to which nothing is pushed.
type AddressError struct{ Address netip.Addr }

func (e *AddressError) Error() string {
	return fmt.Sprintf("%s is no public address, and nothing is pushed to others unless the servers run with --push-to %s", e.Address,
		netip.PrefixFrom(e.Address, e.Address.BitLen()))
}

// reserved are the addresses that are public by their form and lead to no machine,
// or to one that another address names (IANA special-purpose address registries,
// RFC 6890).
var reserved = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(all ...string) (out []netip.Prefix) {
	for _, text := range all {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// mayPushTo reports whether something may be pushed to an address: to a public one,
// or one of those allowed.
func mayPushTo(a netip.Addr, allowed []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	return contains(allowed, a) || a.IsGlobalUnicast() && !a.IsPrivate() && !contains(reserved, a)
}

func contains(all []netip.Prefix, a netip.Addr) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// pushClient is how inboxes of a Space are spoken to: at the addresses that may be,
// each looked at when it is dialled, whatever a name meant before; and over TLS
// with the key of the Space alone. No proxy stands between, which would dial
// itself.
func (s *Server) pushClient(space trust.Space) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err == nil && !mayPushTo(a.Addr(), s.config.Pushing.To) {
			err = &AddressError{a.Addr().Unmap()}
		}
		return err
	}}
	// Nobody vouches for the key: it is the Space, by its newest identity.
	check := func(state tls.ConnectionState) error { return s.isOf(space, state.PeerCertificates[0]) }
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second,
		ExpectContinueTimeout: 5 * time.Second, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, VerifyConnection: check}}}
}

// isOf refuses a certificate that is none by which a Space is known.
func (s *Server) isOf(space trust.Space, cert *x509.Certificate) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := s.byCertificate(ctx, cert)
	if err == nil && c.Space != space {
		err = &feedhttp.CertificateError{Why: fmt.Sprintf("is of %s, not of %s", c.Space, space)}
	}
	return err
}

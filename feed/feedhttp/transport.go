package feedhttp

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"airlock/storage"
)

// BaseError reports an address of a server that is not used.
type BaseError struct {
	Base string // without credentials
	Why  string
	Hint string // what to do next, may be empty
}

func (e *BaseError) Error() string { return fmt.Sprintf("server %q: %s", e.Base, e.Why) }

// checkBase checks the address of a server: https, or http on this machine. It
// returns a copy without a slash at the end.
func checkBase(given *url.URL) (*url.URL, error) {
	if given == nil {
		return nil, &BaseError{Why: "is missing"}
	}
	u := *given
	fail := func(why, hint string) error { return &BaseError{given.Redacted(), why, hint} }
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fail("want http://host or https://host", "")
	case u.User != nil:
		return nil, fail("holds a user name", "give the token by its own option")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fail("has a query or fragment", "")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fail("is http and not on this machine, so anybody between could read the token and hold back news",
			"use https, or a tunnel that ends on 127.0.0.1")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return &u, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

const maxRedirects = 5

// errRedirect reports a redirect that is not followed.
var errRedirect = errors.New("redirect not followed")

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         64 << 10,
	}
}

// newHTTP returns an HTTP client that shows each server its own token and
// certificate alone, never follows a redirect from https to http, and adds the bytes
// of answers, as they come over the line, to received.
func newHTTP(given *http.Client, servers []Endpoint, received *atomic.Int64) (*http.Client, error) {
	out := http.Client{}
	if given != nil {
		out = *given
	}
	if out.Transport == nil {
		out.Transport = newTransport()
	}
	ways := map[string]way{}
	for _, s := range servers {
		next, err := s.transport(out.Transport)
		if err != nil {
			return nil, err
		}
		ways[origin(s.Base)] = way{s.Token, next}
	}
	out.Transport = &ownTransport{out.Transport, ways, received}
	out.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return fmt.Errorf("%w: more than %d", errRedirect, maxRedirects)
		case r.URL.Scheme != "https" && !isLoopback(r.URL.Hostname()), r.URL.Scheme != "https" && via[0].URL.Scheme == "https":
			return fmt.Errorf("%w: to %s://%s", errRedirect, r.URL.Scheme, r.URL.Host)
		}
		return nil
	}
	return &out, nil
}

// origin is what a token is sent to: scheme and host.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// way is how requests go to one of the client's own servers.
type way struct {
	token string
	next  http.RoundTripper
}

// ownTransport adds its token to requests to a server and takes the way there that
// is for it alone, and counts what comes back. net/http itself would take the token
// along to other ports and subdomains.
type ownTransport struct {
	others   http.RoundTripper
	ways     map[string]way // by origin
	received *atomic.Int64
}

func (t *ownTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.others
	if own, ok := t.ways[origin(r.URL)]; ok {
		if next = own.next; own.token != "" {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+own.token)
		}
	}
	got, err := next.RoundTrip(r)
	if err == nil && got.Body != http.NoBody {
		got.Body = storage.Counted(got.Body, func(n int) { t.received.Add(int64(n)) })
	}
	return got, err
}

// CloseIdleConnections lets http.Client find the method of what it wraps.
func (t *ownTransport) CloseIdleConnections() {
	closeIdle(t.others)
	for _, own := range t.ways {
		closeIdle(own.next)
	}
}

func closeIdle(t http.RoundTripper) {
	if c, ok := t.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

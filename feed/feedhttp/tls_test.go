package feedhttp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
)

// tlsKey is a self-signed certificate with its key.
func tlsKey(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := signing.NewSelfSigned(name, key, time.Now().AddDate(-30, 0, 0), signing.ForConnections)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := signing.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serveTLS serves with a certificate and asks for one of the client's. It counts
// who begins to talk.
func serveTLS(t *testing.T, c *tls.Certificate, h http.Handler) (*url.URL, *atomic.Int64) {
	t.Helper()
	s, hellos := httptest.NewUnstartedServer(h), new(atomic.Int64)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*c}, ClientAuth: tls.RequestClientCert, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		hellos.Add(1)
		return nil, nil
	}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, hellos
}

// TestServerSpeaksHTTP1: a client that knows HTTP/2 too is answered by HTTP/1.1.
func TestServerSpeaksHTTP1(t *testing.T) {
	s := feedhttp.Server(handler(t, newBackend(t), nil))
	own := tlsKey(t, "server")
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*own}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	web := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer web.CloseIdleConnections()
	r, err := web.Get("https://" + listener.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 200 || r.Proto != "HTTP/1.1" {
		t.Errorf("%d by %s", r.StatusCode, r.Proto)
	}
}

func pinned(t *testing.T, base *url.URL, server *tls.Certificate, own func() (*tls.Certificate, error)) *feedhttp.Client {
	t.Helper()
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: base, Pin: signing.KeyThumbprint(server.Leaf), Certificate: own, Retry: feedhttp.Retry{Attempts: 4, First: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// names answers with an empty list of feeds, and notes who showed what.
type names struct {
	mu    sync.Mutex
	shown []string
}

func (n *names) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	who := "nobody"
	if len(r.TLS.PeerCertificates) > 0 {
		who = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	n.shown = append(n.shown, r.Proto+" "+who)
	w.Write([]byte(`{"feeds":[]}`))
}

// The server's key is the pinned one, whatever its certificate says, and it sees
// the client's certificate.
func TestPinned(t *testing.T) {
	server, own := tlsKey(t, "server"), tlsKey(t, "space")
	n := &names{}
	base, _ := serveTLS(t, server, n)
	c := pinned(t, base, server, func() (*tls.Certificate, error) { return own, nil })
	if _, err := c.Feeds(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"HTTP/2.0 space"}; !slices.Equal(n.shown, want) {
		t.Errorf("the server saw %q, want %q", n.shown, want)
	}
}

// Somebody else who answers is not asked, and not asked again; nor is one of whom
// the system's authorities know nothing, where no key is pinned.
func TestPinnedToAnother(t *testing.T) {
	server, thief := tlsKey(t, "server"), tlsKey(t, "server")
	n := &names{}
	base, hellos := serveTLS(t, thief, n)
	_, err := pinned(t, base, server, nil).Feeds(t.Context())
	if e, ok := errors.AsType[*feedhttp.PinError](err); !ok || e.Want != signing.KeyThumbprint(server.Leaf) || e.Got != signing.KeyThumbprint(thief.Leaf) {
		t.Errorf("%v, want another key than the pinned one", err)
	}
	if hellos.Load() != 1 {
		t.Errorf("it was tried %d times", hellos.Load())
	}
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Feeds(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without a pin: %v", err)
	}
	if len(n.shown) > 0 {
		t.Errorf("it was asked: %q", n.shown)
	}
}

// Of a pin and a certificate a server to which a redirect leads sees nothing: it
// needs an authority of its own.
func TestPinStays(t *testing.T) {
	server, own := tlsKey(t, "server"), tlsKey(t, "space")
	n := &names{}
	other, _ := serveTLS(t, server, n)
	base, _ := serveTLS(t, server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.String()+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	c := pinned(t, base, server, func() (*tls.Certificate, error) { return own, nil })
	if _, err := c.Feeds(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") || len(n.shown) > 0 {
		t.Errorf("%v; the other server saw %q", err, n.shown)
	}
}

// A certificate that was renewed while the connection stands is shown as soon as the
// server takes the old one no more; one that was not is refused once.
func TestCertificateRenewed(t *testing.T) {
	server := tlsKey(t, "server")
	var shown, wanted atomic.Pointer[tls.Certificate]
	shown.Store(tlsKey(t, "old"))
	wanted.Store(shown.Load())
	var refused atomic.Int64
	b := newBackend(t)
	h, err := feedhttp.New(feedhttp.Config{Reader: b, Writer: b, Callers: callers(func(c feedhttp.Credentials) error {
		if c.Certificates[0].Equal(wanted.Load().Leaf) {
			return nil
		}
		refused.Add(1)
		return &feedhttp.CertificateError{Why: "is none by which acme/dev-qa is known here"}
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	base, _ := serveTLS(t, server, h)
	c := pinned(t, base, server, func() (*tls.Certificate, error) { return shown.Load(), nil })
	if _, err := c.Feeds(t.Context()); err != nil {
		t.Fatal(err)
	}
	shown.Store(tlsKey(t, "new"))
	wanted.Store(shown.Load())
	if _, err := c.Feeds(t.Context()); err != nil || refused.Load() != 1 {
		t.Errorf("%v after %d refusals", err, refused.Load())
	}
	wanted.Store(tlsKey(t, "another"))
	_, err = c.Feeds(t.Context())
	if e, ok := errors.AsType[*feedhttp.CertificateError](err); !ok || !errors.Is(err, feedhttp.ErrUnauthorized) || !strings.HasPrefix(e.Why, "is none") || refused.Load() != 3 {
		t.Errorf("%v after %d refusals", err, refused.Load())
	}
}

// callers lets in, as nobody, whom it has nothing against.
type callers func(feedhttp.Credentials) error

func (f callers) Identify(_ context.Context, c feedhttp.Credentials) (feedhttp.Caller, error) {
	return feedhttp.Caller{}, f(c)
}

func (callers) Enter(context.Context, feedhttp.Caller) error { return nil }

// A pin needs TLS.
func TestPinNeedsTLS(t *testing.T) {
	for name, c := range map[string]feedhttp.ClientConfig{
		"http":      {Base: &url.URL{Scheme: "http", Host: "127.0.0.1:7070"}, Pin: storage.DigestOf(nil)},
		"transport": {Base: &url.URL{Scheme: "https", Host: "feeds.example"}, Pin: storage.DigestOf(nil), HTTP: &http.Client{Transport: roundTripper{}}},
	} {
		if _, err := feedhttp.NewClient(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

type roundTripper struct{}

func (roundTripper) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.ErrUnsupported
}

package soak

import (
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/built"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// leafUntil lists a leaf for TLS that ends then in the Space's next identity, and
// returns what is shown with it.
func leafUntil(t *testing.T, s *trusttest.Space, end time.Time) *tls.Certificate {
	t.Helper()
	key, err := signing.GenerateKey()
	must(t, err)
	der := leafOf(t, s, key, end)
	s.Next(func(id *trust.Identity) {
		id.Leaves = append(id.Leaves, trust.Leaf{Certificate: der, Person: "TLS", Roles: []trust.Role{trust.TLS}})
	})
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func leafOf(t *testing.T, s *trusttest.Space, key *ecdsa.PrivateKey, end time.Time) []byte {
	t.Helper()
	profile := signing.Profile{Space: s.Name.URI(), Issuer: trusttest.Issuer, Name: "TLS", NotBefore: trusttest.NotBefore, NotAfter: end,
		Use: trust.UseOf([]trust.Role{trust.TLS})}
	der, err := signing.NewLeaf(profile, &key.PublicKey, s.History().Current().Root, s.Root)
	must(t, err)
	return der
}

// TestCertificateEndsWhileConnected lets the certificate of a client end while it
// is connected, and waits for news: it is told nothing a second later, on
// connections from before as on new ones, and everything again once the server
// knows the next one.
func TestCertificateEndsWhileConnected(t *testing.T) {
	dir, path := t.TempDir(), built.Airlock(t)
	space := trusttest.New(t, "acme/dev-qa")
	var shown atomic.Pointer[tls.Certificate]
	h, err := home.Open(filepath.Join(dir, "home"))
	must(t, err)
	key, _, err := h.EnsureLogKey()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "space.id"), space.File(), 0o600))
	program := func(args ...string) *exec.Cmd {
		c := exec.Command(path, append(args, "--home", filepath.Join(dir, "home"))...)
		c.Env = []string{"PATH=" + os.Getenv("PATH")}
		return c
	}
	if out, err := program("server", "admit", filepath.Join(dir, "space.id")).CombinedOutput(); err != nil {
		t.Fatalf("admit: %v\n%s", err, out)
	}
	address := built.FreeAddress(t)
	running, err := built.Serve(program("serve", "--listen", address, "--tls", "self", "--access", "credentials", "--access-log", "none"), io.Discard)
	must(t, err)
	defer running.Kill()
	pin, err := server.CertificatePin(key)
	must(t, err)
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: &url.URL{Scheme: "https", Host: address}, Pin: pin, Retry: feedhttp.Retry{Attempts: 1},
		Certificate: func() (*tls.Certificate, error) { return shown.Load(), nil }})
	must(t, err)
	learn := func(until time.Time) {
		t.Helper()
		shown.Store(leafUntil(t, space, until))
		_, err := c.Tell(t.Context(), space.File())
		must(t, err)
	}
	end := time.Now().Add(4 * time.Second).Truncate(time.Second)
	learn(end)
	a := feedtest.AuthorOf(t, space, "shared")
	a.Key = key
	_, err = c.Publish(t.Context(), batchOf(a.ID, a.Opening()))
	must(t, err)

	waited := make(chan error, 1)
	go func() {
		heads, err := c.Heads(t.Context(), map[feed.ID]int64{a.ID: int64(len(a.Opening()))}, time.Minute)
		if err == nil && len(heads) > 0 {
			err = errors.New("told of what is not there")
		}
		waited <- err
	}()
	answered := 0
	for time.Now().Before(end.Add(3 * time.Second)) {
		asked := time.Now()
		_, err := c.Checkpoint(t.Context(), a.ID)
		_, ended := errors.AsType[*feedhttp.CertificateError](err)
		switch {
		case err == nil:
			if answered++; asked.After(end.Add(time.Second)) {
				t.Fatalf("answered %s after the certificate ended", asked.Sub(end))
			}
		case !ended || time.Now().Before(end): // what was asked before it may be refused after
			t.Fatalf("%s from the end of the certificate: %v", asked.Sub(end), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if answered == 0 {
		t.Error("never answered")
	}
	select {
	case err := <-waited:
		if _, ended := errors.AsType[*feedhttp.CertificateError](err); err != nil && !ended {
			t.Errorf("who waited was told: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("who waited waits on, with a certificate that ended")
	}

	learn(trusttest.NotAfter)
	if _, err := c.Checkpoint(t.Context(), a.ID); err != nil {
		t.Errorf("with the next certificate: %v", err)
	}
}

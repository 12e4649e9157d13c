package server_test

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// shows identifies who shows the certificate of a leaf.
func shows(s *server.Server, leaf *signing.Signer) (feedhttp.Caller, error) {
	cert, err := x509.ParseCertificate(leaf.CertificateDER())
	if err != nil {
		return feedhttp.Caller{}, err
	}
	return s.Identify(context.Background(), feedhttp.Credentials{Certificates: []*x509.Certificate{cert}})
}

// wantRefused wants a certificate not to count, in these words.
func wantRefused(t *testing.T, err error, want string) {
	t.Helper()
	if _, ok := errors.AsType[*feedhttp.CertificateError](err); !ok || !errors.Is(err, feedhttp.ErrUnauthorized) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want a certificate that %s", err, want)
	}
}

// withTLS is a world whose Space lists a leaf for TLS in identity version 2, which
// its feed carries.
func withTLS(t *testing.T, store *storage.Store) (*world, *signing.Signer) {
	t.Helper()
	w := newWorld(t, store)
	w.mustSend(w.Opening()...)
	leaf := w.Space.Leaf("TLS", trust.TLS)
	w.Space.Next(func(id *trust.Identity) { w.Space.List(id, leaf) })
	w.mustSend(w.Identity(2)...)
	return w, leaf
}

// A Space is known by the leaf for TLS that its newest identity lists, inside its
// dates, while it is admitted: on every server of the store.
func TestCertificate(t *testing.T) {
	ctx := t.Context()
	w, leaf := withTLS(t, storage.NewMem())
	other := w.closed()
	unlisted := w.Space.Leaf("TLS", trust.TLS)
	for _, srv := range []*server.Server{w.srv, other} {
		c, err := shows(srv, leaf)
		if err != nil || c.Role != feedhttp.Enrolled || c.Space != w.ID.Space || !c.Until.Equal(trusttest.NotAfter) || c.Changed == nil || !strings.HasPrefix(c.Credential, "certificate ") {
			t.Errorf("%+v, %v", c, err)
		}
		stranger := trusttest.New(t, "acme/nobody")
		for name, s := range map[string]*signing.Signer{"is none by which acme/dev-qa is known here": unlisted,
			"is none by which acme/nobody is known here": stranger.Leaf("TLS", trust.TLS)} {
			_, err := shows(srv, s)
			wantRefused(t, err, name)
		}
		_, err = shows(srv, w.Space.Publisher) // listed, and not for this
		wantRefused(t, err, "is none by which acme/dev-qa is known here")
		key, err := signing.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		der, err := signing.NewSelfSigned("acme/dev-qa", key, trusttest.NotBefore, signing.ForConnections)
		if err != nil {
			t.Fatal(err)
		}
		self, err := signing.NewSigner(key, der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = shows(srv, self)
		wantRefused(t, err, "names no Space")
	}

	// A root that is another's, and so another's leaf, under the same name.
	twin := trusttest.New(t, "acme/dev-qa")
	_, err := shows(w.srv, twin.Leaf("TLS", trust.TLS))
	wantRefused(t, err, "is none by which acme/dev-qa is known here")

	// Dismissed: within a second everywhere. Admitted again: good again.
	if err := w.srv.Dismiss(ctx, server.Operator, w.ID.Space); err != nil {
		t.Fatal(err)
	}
	w.clock.add(time.Second)
	for _, srv := range []*server.Server{w.srv, other} {
		_, err := shows(srv, leaf)
		wantRefused(t, err, "is of acme/dev-qa, which is not admitted here any more")
	}
	w.admit(w.Author)
	w.clock.add(time.Second)
	if _, err := shows(other, leaf); err != nil {
		t.Error(err)
	}

	// Ended, and not begun.
	w.clock.add(trusttest.NotAfter.Sub(w.clock.Now()) + time.Second)
	_, err = shows(other, leaf)
	wantRefused(t, err, "of acme/dev-qa is good from 2026-01-01 00:00:00 to 2046-01-01 00:00:00")
	w.clock.add(trusttest.NotBefore.Sub(w.clock.Now()) - time.Second)
	_, err = shows(other, leaf)
	wantRefused(t, err, "is good from")
}

// A leaf that a newer identity drops counts no longer within a second, whatever way
// the identity came, and the new one counts at once.
func TestCertificateDropped(t *testing.T) {
	for name, bring := range map[string]func(*world) error{
		"by a feed": func(w *world) error { _, err := w.send(w.Identity(3)...); return err },
		"by itself": func(w *world) error {
			_, err := w.srv.Learn(context.Background(), feedhttp.Caller{}, w.Space.File())
			return err
		},
		"by the operator": func(w *world) error {
			_, err := w.srv.Admit(context.Background(), server.Operator, w.Space.File())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, old := withTLS(t, storage.NewMem())
			other := w.closed()
			c, err := shows(other, old)
			if err != nil {
				t.Fatal(err)
			}
			leaf := w.Space.Leaf("TLS", trust.TLS)
			w.Space.Next(func(id *trust.Identity) { w.Space.Drop(id, old); w.Space.List(id, leaf) })
			if err := bring(w); err != nil {
				t.Fatal(err)
			}
			if _, err := shows(other, leaf); err != nil {
				t.Errorf("the new leaf: %v", err)
			}
			w.clock.add(time.Second)
			_, err = shows(other, old)
			wantRefused(t, err, "is none by which acme/dev-qa is known here")
			select {
			case <-c.Changed:
			default:
				t.Error("who waits with the old leaf is not told")
			}
		})
	}
}

// TestLearn takes identities of admitted Spaces that go on from what is known, and
// no others.
func TestLearn(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, storage.NewMem())
	first := w.Space.File()
	w.Space.Next(func(*trust.Identity) {})
	for _, want := range []int{2, 2} {
		if version, err := w.srv.Learn(ctx, feedhttp.Caller{}, w.Space.File()); err != nil || version != want {
			t.Errorf("version %d, %v", version, err)
		}
	}
	if version, err := w.srv.Learn(ctx, feedhttp.Caller{}, first); err != nil || version != 2 {
		t.Errorf("an older file: version %d, %v", version, err)
	}
	_, stranger := w.srv.Learn(ctx, feedhttp.Caller{}, trusttest.New(t, "acme/nobody").File())
	wantDenied(t, stranger, server.RuleAdmission)
	twin := trusttest.New(t, "acme/dev-qa")
	twin.Next(func(*trust.Identity) {})
	twin.Next(func(*trust.Identity) {})
	_, err := w.srv.Learn(ctx, feedhttp.Caller{}, twin.File())
	wantDenied(t, err, "lineage")
	if _, err := w.srv.Learn(ctx, feedhttp.Caller{}, []byte("x")); !isRequestError(err) {
		t.Errorf("nonsense: %v", err)
	}

	// A feed is not opened under an older version than the one that was told.
	early := feedtest.AuthorOf(t, w.Space, "early")
	statements := early.Opening()
	w.Space.Next(func(*trust.Identity) {})
	if _, err := w.srv.Learn(ctx, feedhttp.Caller{}, w.Space.File()); err != nil {
		t.Fatal(err)
	}
	_, err = w.srv.Publish(ctx, reader, batch(early.ID, statements...))
	wantDenied(t, err, "opening")
}

// Whoever connects again and again costs the store nothing.
func TestCertificateCost(t *testing.T) {
	var asked atomic.Int64
	w, leaf := withTLS(t, storetest.WithFaults(storage.NewMem(), func(c storetest.Call) storetest.Fault {
		for _, prefix := range []string{"access/", "identity/", "spaces/"} { // the log writes behind its answers
			if strings.HasPrefix(c.Key, prefix) {
				asked.Add(1)
			}
		}
		return storetest.Fault{}
	}))
	if _, err := shows(w.srv, leaf); err != nil {
		t.Fatal(err)
	}
	before := asked.Load()
	for range 100 {
		if _, err := shows(w.srv, leaf); err != nil {
			t.Fatal(err)
		}
	}
	if got := asked.Load() - before; got != 0 {
		t.Errorf("%d requests to the store", got)
	}
}

// The servers of one operator show one key, and those of another another.
func TestServerCertificate(t *testing.T) {
	one, err := server.Certificate(feedtest.Key(1), feedtest.Now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := server.CertificatePin(feedtest.Key(1))
	other, otherErr := server.CertificatePin(feedtest.Key(2))
	if err != nil || otherErr != nil || signing.KeyThumbprint(one.Leaf) != again || again == other {
		t.Errorf("%s, %s and %s: %v, %v", signing.KeyThumbprint(one.Leaf), again, other, err, otherErr)
	}
}

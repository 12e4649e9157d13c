package home

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// tlsRenewal puts a new key for TLS in the place of this home's.
func tlsRenewal(t *testing.T, h *Home) Change {
	t.Helper()
	leaves, err := h.TLSLeaves()
	if err != nil {
		t.Fatal(err)
	}
	c := Change{Add: []NewLeaf{{Person: TLSPerson, Roles: []trust.Role{trust.TLS}, Until: LeafUntil(changeTime)}}, Ask: say(phrase), Now: changeTime}
	for _, l := range leaves {
		c.Drop = append(c.Drop, l.Key())
	}
	return c
}

// wantCertificate wants the home to connect with the key in a file, which is
// plain, and the identity to list as many leaves for TLS.
func wantCertificate(t *testing.T, h *Home, file string, listed int) {
	t.Helper()
	got, err := h.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.ReadKeyFile(h.file("keys", file), nil)
	if err != nil {
		t.Fatal(err)
	}
	history, err := h.Identity()
	if err != nil {
		t.Fatal(err)
	}
	leaf, ok := history.Current().Leaf(signing.KeyThumbprint(got.Leaf))
	if !key.Equal(got.PrivateKey) || !ok || !leaf.Has(trust.TLS) || len(got.Certificate) != 1 || string(got.Certificate[0]) != string(leaf.Certificate) {
		t.Errorf("connects with another key than %s, or one that is not listed: %v", file, ok)
	}
	if want := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}; !slices.Equal(got.Leaf.ExtKeyUsage, want) {
		t.Errorf("extended key usage %v", got.Leaf.ExtKeyUsage)
	}
	n := 0
	for _, l := range history.Current().Leaves {
		if l.Has(trust.TLS) {
			n++
		}
	}
	if n != listed {
		t.Errorf("%d leaves for TLS are listed, want %d", n, listed)
	}
}

// The key for TLS is made with the Space, plain beside keys that are not, and is
// renewed alone; a rotation of the root keeps it.
func TestCertificate(t *testing.T) {
	h := newHome(t, &signing.Passphrase{Text: phrase, LogN: 10})
	wantCertificate(t, h, "tls-1.key", 1)
	c := tlsRenewal(t, h)
	changed := change(t, h, c)
	if len(changed.Keys) != 1 || changed.Keys[0] != h.file("keys", "tls-2.key") {
		t.Errorf("made %v", changed.Keys)
	}
	wantCertificate(t, h, "tls-2.key", 1)
	wantPublisher(t, h, "publisher-1.key", 2)
	change(t, h, Change{Rotate: true, Ask: say(phrase), Now: changeTime})
	wantCertificate(t, h, "tls-2.key", 1)

	// Another home of the Space has a key of its own, and replaces no other.
	other := open(t, t.TempDir())
	for _, name := range []string{"space.id", "keys/root-2.key", "keys/root-3.key"} {
		b, err := os.ReadFile(h.file(name))
		if err == nil {
			err = os.WriteFile(other.file(name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Certificate(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a home without a key for TLS: %v", err)
	}
	change(t, other, tlsRenewal(t, other))
	wantCertificate(t, other, "tls-4.key", 2)
}

// A key that the identity lists no more, or for another role, opens nothing.
func TestCertificateUnlisted(t *testing.T) {
	h := newHome(t, nil)
	leaves, err := h.TLSLeaves()
	if err != nil || len(leaves) != 1 {
		t.Fatal(leaves, err)
	}
	b, err := os.ReadFile(h.file("keys", "publisher-1.key"))
	if err == nil {
		err = os.WriteFile(h.file("keys", "tls-7.key"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	wantCertificate(t, h, "tls-1.key", 1)
	change(t, h, Change{Drop: []storage.Digest{leaves[0].Key()}, Ask: say(phrase), Now: changeTime})
	_, err = h.Certificate()
	var unlisted *UnlistedError
	if !errors.As(err, &unlisted) || !strings.HasSuffix(unlisted.Path, filepath.Join("keys", "tls-7.key")) {
		t.Errorf("a key that was dropped: %v", err)
	}
	if leaves, err := h.TLSLeaves(); err != nil || len(leaves) != 0 {
		t.Errorf("%d leaves, %v", len(leaves), err)
	}
	if _, err := open(t, t.TempDir()).Certificate(); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrNoSpace) {
		t.Errorf("a home without a Space: %v", err)
	}
}

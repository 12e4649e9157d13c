package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"testing"

	"airlock/feed/feedtest"
	"airlock/internal/settings"
	"airlock/signing"
	"airlock/trust"
)

// proven is an attestation with its proof, as airlock show --proof writes it.
func proven(t *testing.T) (signing.Attestation, bundleForm) {
	t.Helper()
	author := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(author)
	tape.Add(author.Opening()...)
	tape.Add(author.Publish("file/a@1"), author.Publish("file/b@1"), author.Publish("file/c@1"))
	at := openTape(t, author, tape)
	row := at.state.Index.Row(3)
	att, _, err := at.verified(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := at.withProof(t.Context(), row, att)
	if err != nil {
		t.Fatal(err)
	}
	var form bundleForm
	if err := json.Unmarshal(raw, &form); err != nil {
		t.Fatal(err)
	}
	return att, form
}

// A proof must be of this very statement, and lead to the root of the checkpoint
// that comes along.
func TestProofRefused(t *testing.T) {
	check := func(change func(b *bundleForm, e *bundleEntry)) error {
		att, form := proven(t)
		change(&form, &form.Material.TLogEntries[0])
		raw, err := form.format()
		if err != nil {
			t.Fatal(err)
		}
		got, proof, err := readBundle(raw)
		if err != nil {
			return err
		}
		if got.ID() != att.ID() || proof == nil {
			t.Fatalf("read as %s, with proof %v", got.ID(), proof)
		}
		return proof.check(got)
	}
	if err := check(func(*bundleForm, *bundleEntry) {}); err != nil {
		t.Fatal(err)
	}
	_, other := proven(t)
	for name, change := range map[string]func(b *bundleForm, e *bundleEntry){
		"two proofs":            func(b *bundleForm, e *bundleEntry) { b.Material.TLogEntries = append(b.Material.TLogEntries, *e) },
		"another index":         func(_ *bundleForm, e *bundleEntry) { e.LogIndex, e.Proof.LogIndex = "2", "2" },
		"two indices":           func(_ *bundleForm, e *bundleEntry) { e.Proof.LogIndex = "2" },
		"an index past the end": func(_ *bundleForm, e *bundleEntry) { e.LogIndex, e.Proof.LogIndex = "5", "5" },
		"a negative index":      func(_ *bundleForm, e *bundleEntry) { e.LogIndex, e.Proof.LogIndex = "-1", "-1" },
		"another entry":         func(_ *bundleForm, e *bundleEntry) { e.Body = other.Material.TLogEntries[0].Body },
		"another size":          func(_ *bundleForm, e *bundleEntry) { e.Proof.TreeSize = "4" },
		"another root":          func(_ *bundleForm, e *bundleEntry) { e.Proof.RootHash[0] ^= 1 },
		"another hash":          func(_ *bundleForm, e *bundleEntry) { e.Proof.Hashes[0][0] ^= 1 },
		"a hash too short":      func(_ *bundleForm, e *bundleEntry) { e.Proof.Hashes[0] = e.Proof.Hashes[0][1:] },
		"a hash left out":       func(_ *bundleForm, e *bundleEntry) { e.Proof.Hashes = e.Proof.Hashes[1:] },
		"another log":           func(_ *bundleForm, e *bundleEntry) { e.Proof = other.Material.TLogEntries[0].Proof },
		"no checkpoint":         func(_ *bundleForm, e *bundleEntry) { e.Proof.Checkpoint.Envelope = "" },
	} {
		if err := check(change); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Without the feed nobody knows what was signed before a key was revoked, so
// then it does not count at all.
func TestRevokedWithoutFeed(t *testing.T) {
	author := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	signed := author.Publish("file/a@1")
	verify := func() error {
		v := &verification{app: &app{streams: streams{out: io.Discard}, commonFlags: commonFlags{format: "table"}}, found: map[string]bool{}}
		return v.statement(signed.Attestation, signed.Objects[0], author.Space.History(), signing.Publication)
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	alice := author.Space.Publisher
	author.Space.Next(func(id *trust.Identity) {
		author.Space.Revoke(id, alice, trust.Position{Feed: author.ID.String(), Epoch: 1, Index: 1000})
		author.Space.List(id, author.Space.Leaf("carol", trust.Publisher))
	})
	if denied, ok := errors.AsType[*trust.DeniedError](verify()); !ok || denied.Rule != "revocation" {
		t.Errorf("a statement by a revoked key: %v", denied)
	}
}

// Who is warned of plain HTTP: whose server others reach.
func TestInClear(t *testing.T) {
	here, open := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7070}, &net.TCPAddr{IP: net.IPv4zero, Port: 7070}
	if !inClear(settings.TLS{}, open) {
		t.Error("plain HTTP on every address is said to nobody")
	}
	if inClear(settings.TLS{}, here) || inClear(settings.TLS{Mode: settings.Self}, open) || inClear(settings.TLS{Cert: "chain.pem", Key: "key.pem"}, open) {
		t.Error("a server that only this machine reaches, or one with TLS, is said to be in clear")
	}
}

// Only what this very machine alone can reach is served without tokens.
func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.1.2.3": true, "::1": true,
		"0.0.0.0": false, "::": false, "192.0.2.1": false, "10.0.0.1": false, "2001:db8::1": false,
	} {
		if got := isLoopback(&net.TCPAddr{IP: net.ParseIP(address), Port: 7070}); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if isLoopback(&net.UnixAddr{Name: "/run/airlock"}) || isLoopback(&net.TCPAddr{}) {
		t.Error("an address that names nobody counts as this machine")
	}
}

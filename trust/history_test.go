package trust_test

import (
	"bytes"
	"crypto/ecdsa"
	"testing"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// rootSigner puts the key in the place of id's root, which has issued no leaf
// yet, and returns its signer.
func rootSigner(id *trust.Identity, key *ecdsa.PrivateKey) *signing.Signer {
	cert := must(signing.NewRoot(profile(id.Space, id.Issuer), key))
	id.Root, id.Leaves, id.Next = cert, []trust.Leaf{}, storage.DigestOf([]byte("next"))
	return must(signing.NewSigner(key, cert))
}

// unlike returns an attestation of another statement by the root.
func unlike(t *testing.T, s *trusttest.Space, id *trust.Identity, change func(st *signing.Statement)) signing.Attestation {
	t.Helper()
	st, err := trust.IdentityStatement(id, s.Lineage(), id)
	if err != nil {
		t.Fatal(err)
	}
	change(&st)
	return trusttest.Sign(t, s.RootSigner(), st)
}

// Rules 8.2 and 8.3: what may follow version 1, and who must have signed it.
func TestExtend(t *testing.T) {
	type attestations = []signing.Attestation
	for name, test := range map[string]struct {
		// make changes the draft of version 2, and after it is formatted
		// returns the statements about it.
		change func(id *trust.Identity, s *trusttest.Space) *signing.Signer
		sign   func(id *trust.Identity, s *trusttest.Space, root *signing.Signer) attestations
		want   string
	}{
		"by the root": {},
		"by both roots": {change: rotate, sign: func(id *trust.Identity, s *trusttest.Space, root *signing.Signer) attestations {
			return attestations{s.Introduce(id, s.Version(1).Identity, s.RootSigner()), s.Introduce(id, id, root)}
		}},
		"in any order, among others": {change: rotate, sign: func(id *trust.Identity, s *trusttest.Space, root *signing.Signer) attestations {
			bad := unlike(t, s, id, func(st *signing.Statement) { st.Kind = signing.Publication })
			return attestations{bad, s.Introduce(id, id, root), s.Version(1).Statements[0], s.Introduce(id, s.Version(1).Identity, s.RootSigner())}
		}},
		"version skipped":     {change: func(id *trust.Identity, _ *trusttest.Space) *signing.Signer { id.Version = 3; return nil }, want: "follows version 1"},
		"not signed":          {sign: func(*trust.Identity, *trusttest.Space, *signing.Signer) attestations { return nil }, want: "not signed by the root of version 1"},
		"previous is another": {change: previous, want: "previous is not"},
		"another Space":       {change: otherSpace, want: "follows one of space://acme/dev-qa"},
		"commitment replaced": {change: func(id *trust.Identity, _ *trusttest.Space) *signing.Signer {
			id.Next = storage.DigestOf(nil)
			return nil
		}, want: "changes the commitment"},
		"stolen root, own key": {change: steal, sign: bothRoots, want: "is not the one version 1 committed to"},
		"new root, only by the old": {change: rotate, sign: func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			return attestations{s.Introduce(id, s.Version(1).Identity, s.RootSigner()), s.Introduce(id, s.Version(1).Identity, s.RootSigner())}
		}, want: "not signed by the root of version 2"},
		"new root, only by the new": {change: rotate, sign: func(id *trust.Identity, s *trusttest.Space, root *signing.Signer) attestations {
			return attestations{s.Introduce(id, id, root)}
		}, want: "not signed by the root of version 1"},
		"by the next root alone": {sign: func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			other := *id
			return attestations{s.Introduce(id, id, rootSigner(&other, s.NextRoot))}
		}, want: "not signed by the root"},
		"by a leaf": {sign: func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			return attestations{s.Introduce(id, id, s.Publisher)}
		}, want: "not signed by the root"},
		"by another Space's root": {sign: func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			return attestations{s.Introduce(id, id, newSpace(t).RootSigner())}
		}, want: "not signed by the root"},
		"by a key with the root's certificate": {sign: func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			return attestations{dressed(t, s.Introduce(id, id, newSpace(t).RootSigner()), s.RootSigner().CertificateDER())}
		}, want: signing.ErrBadSignature.Error()},
		"about version 1": {sign: func(_ *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			return s.Version(1).Statements
		}, want: "speaks of something else"},
		"as a publication": {sign: func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			return attestations{unlike(t, s, id, func(st *signing.Statement) { st.Kind = signing.Publication })}
		}, want: "speaks of something else"},
		"with another predicate": {sign: func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
			return attestations{unlike(t, s, id, func(st *signing.Statement) { st.Predicate = []byte(`{"version":3}`) })}
		}, want: "speaks of something else"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			id := s.Draft()
			var root *signing.Signer
			if test.change != nil {
				root = test.change(id, s)
			}
			if _, err := id.Format(); err != nil {
				t.Fatal(err)
			}
			if test.sign == nil {
				test.sign = func(id *trust.Identity, s *trusttest.Space, _ *signing.Signer) attestations {
					return attestations{s.Introduce(id, id, s.RootSigner())}
				}
			}
			h := s.History()
			err := h.Extend(trust.Version{Identity: id, Statements: test.sign(id, s, root)})
			wantError(t, err, test.want)
			if added := h.Current().Version == 2; added != (test.want == "") {
				t.Errorf("history is at version %d", h.Current().Version)
			}
			if err == nil {
				if _, err := trust.ParseFile(trust.FormatFile(h)); err != nil {
					t.Errorf("what was accepted does not come back: %v", err)
				}
			}
		})
	}
}

func rotate(id *trust.Identity, s *trusttest.Space) *signing.Signer {
	return rootSigner(id, s.NextRoot)
}

// steal is what a thief of the root would do: replace it by a key of his own.
func steal(id *trust.Identity, _ *trusttest.Space) *signing.Signer {
	return rootSigner(id, must(signing.GenerateKey()))
}

func bothRoots(id *trust.Identity, s *trusttest.Space, root *signing.Signer) []signing.Attestation {
	return []signing.Attestation{s.Introduce(id, s.Version(1).Identity, s.RootSigner()), s.Introduce(id, id, root)}
}

func previous(id *trust.Identity, _ *trusttest.Space) *signing.Signer {
	d := storage.DigestOf([]byte("another version 1"))
	id.Previous = &d
	return nil
}

func otherSpace(id *trust.Identity, s *trusttest.Space) *signing.Signer {
	id.Space = "space://acme/production"
	return rootSigner(id, s.Root)
}

// dressed puts another certificate on a signature.
func dressed(t *testing.T, a signing.Attestation, certificate []byte) signing.Attestation {
	t.Helper()
	b64 := func(b []byte) []byte { return []byte(`"rawBytes":"` + encodeBase64(b) + `"`) }
	raw := bytes.Replace(a.Bytes(), b64(a.CertificateDER()), b64(certificate), 1)
	out, err := signing.ParseAttestation(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBegin(t *testing.T) {
	s, other := newSpace(t), newSpace(t)
	v := s.Version(1)
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Approver) })
	for name, test := range map[string]struct {
		version trust.Version
		want    string
	}{
		"version 1":          {v, ""},
		"version 2":          {s.Version(2), "not 1"},
		"not signed":         {trust.Version{Identity: v.Identity}, "not signed"},
		"signed for another": {trust.Version{Identity: v.Identity, Statements: other.Version(1).Statements}, "not signed"},
		"signed by a leaf":   {trust.Version{Identity: v.Identity, Statements: []signing.Attestation{s.Introduce(v.Identity, v.Identity, s.Publisher)}}, "not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := trust.Begin(test.version)
			wantError(t, err, test.want)
			if err == nil && (h.Space() != s.Name || h.Lineage() != s.Lineage() || h.Version(0) != nil || h.Version(2) != nil || h.Version(1) != v.Identity) {
				t.Errorf("history of %s, lineage %s", h.Space(), h.Lineage())
			}
		})
	}
}

// The statements of two roots about one version are two statements: one log
// carries both, and neither repeats the other.
func TestTwoRootsTwoStatements(t *testing.T) {
	s := newSpace(t)
	v := s.Next(s.Rotate)
	if len(v.Statements) != 2 || v.Statements[0].ID() == v.Statements[1].ID() {
		t.Errorf("%d statements, ids %s and %s", len(v.Statements), v.Statements[0].ID(), v.Statements[1].ID())
	}
}

// A key that was revoked stays so. Where its entries end may be corrected.
func TestRevocationStays(t *testing.T) {
	s := newSpace(t)
	s.Next(func(id *trust.Identity) { s.Revoke(id, s.Approver, entry(7)) })
	s.Next(func(id *trust.Identity) {
		id.Revocations[0].Since = []trust.RevokedFrom{{Epoch: 1, Feed: testFeed, Size: 5}}
	})
	id := s.Draft()
	id.Revocations = nil
	if _, err := id.Format(); err != nil {
		t.Fatal(err)
	}
	err := s.History().Extend(trust.Version{Identity: id, Statements: []signing.Attestation{s.Introduce(id, id, s.RootSigner())}})
	wantError(t, err, "no longer revokes key")
}

// A History that was handed out does not change when it grows elsewhere.
func TestHistoryKeepsVersions(t *testing.T) {
	s := newSpace(t)
	h := s.History()
	before := h.Versions()
	wantError(t, h.Extend(s.Next(s.Rotate)), "")
	if len(before) != 1 || len(h.Versions()) != 2 {
		t.Errorf("%d versions before, %d after", len(before), len(h.Versions()))
	}
}

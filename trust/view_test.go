package trust_test

import (
	"bytes"
	"errors"
	"testing"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// Position, not time: a leaf is good from the entry that lists it until the
// entry that drops it, and at no other.
func TestVerifyPosition(t *testing.T) {
	s := newSpace(t)
	carol := s.Leaf("carol", trust.Publisher)
	old := s.Publisher
	s.Next(func(id *trust.Identity) { s.List(id, carol) })       // version 2, from entry 10
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Publisher) }) // version 3, from entry 20
	s.Next(s.Rotate)                                             // version 4, from entry 30
	stranger := newSpace(t)
	v := s.View(nil)
	for version, from := range map[int]int64{2: 10, 3: 20, 4: 30} {
		v.PutInForce(version, entry(from))
	}
	for name, test := range map[string]struct {
		by       *signing.Signer
		from, to int64 // good at from, void at to and before from
	}{
		"alice, dropped in 3":  {old, 0, 20},
		"carol, listed by 2":   {carol, 10, 30},
		"a stranger":           {stranger.Publisher, -1, 0},
		"root":                 {s.RootSigner(), -1, 0},
		"listed by no version": {s.Leaf("mallory", trust.Publisher), -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, index := range []int64{0, 9, 10, 19, 20, 29, 30, 1 << 40} {
				at := entry(index)
				got, err := v.Verify(s.Attest(test.by, signing.Publication, "file/a@1", at), trust.Want{}, at)
				if index >= test.from && index < test.to {
					if err != nil || got.At() != at {
						t.Errorf("entry %d: %v", index, err)
					}
					continue
				}
				wantDenied(t, err, "position", trust.ErrUntrusted)
			}
		})
	}
}

// What is in force in one feed or epoch says nothing about another.
func TestPositionPerFeed(t *testing.T) {
	s := newSpace(t)
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Publisher) })
	v := s.View(nil)
	v.PutInForce(2, entry(4))
	for _, at := range []trust.Position{{Feed: testFeed, Epoch: 1, Index: 3}, {Feed: otherFeed, Epoch: 1, Index: 4}, {Feed: testFeed, Epoch: 2, Index: 4}} {
		_, err := v.Verify(s.Attest(s.Publisher, signing.Publication, "file/a@1", at), trust.Want{}, at)
		wantDenied(t, err, "", nil)
	}
	_, err := v.Verify(s.Attest(s.Publisher, signing.Publication, "file/a@1", entry(4)), trust.Want{}, entry(4))
	wantDenied(t, err, "position", trust.ErrUntrusted)
}

// A version that comes again, an older one later and a newer one told first
// leave the newest in force.
func TestPutInForce(t *testing.T) {
	s := newSpace(t)
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Publisher) })
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Approver) })
	v := s.View(nil)
	for _, f := range []struct {
		version int
		from    int64
	}{{3, 20}, {2, 10}, {1, 15}, {2, 30}, {1, 40}, {3, 50}} {
		v.PutInForce(f.version, entry(f.from))
	}
	for index, want := range map[int64][2]string{9: {"", ""}, 10: {"position", ""}, 16: {"position", ""}, 20: {"position", "position"}, 60: {"position", "position"}} {
		_, err := v.Verify(s.Attest(s.Publisher, signing.Receipt, "x", entry(index)), trust.Want{}, entry(index))
		wantDenied(t, err, want[0], trust.ErrUntrusted)
		_, err = v.Verify(s.Attest(s.Approver, signing.Approval, "x", entry(index)), trust.Want{}, entry(index))
		wantDenied(t, err, want[1], trust.ErrUntrusted)
	}
	// A state that outlived the trust file it belongs to.
	v.PutInForce(4, entry(70))
	_, err := v.Verify(s.Attest(s.Publisher, signing.Receipt, "x", entry(70)), trust.Want{}, entry(70))
	wantDenied(t, err, "position", trust.ErrUntrusted)
	wantError(t, err, "of which only 3 are known")
}

func TestVerifyRole(t *testing.T) {
	s := newSpace(t)
	olga := s.Leaf("olga", trust.Operator)
	everything := s.Leaf("eve", trust.Approver, trust.Operator, trust.Publisher)
	machine := s.Leaf("TLS", trust.TLS)
	s.Next(func(id *trust.Identity) { s.List(id, olga); s.List(id, everything); s.List(id, machine) })
	v := s.View(nil)
	v.PutInForce(2, entry(0))
	can := map[*signing.Signer][]signing.Kind{
		s.Publisher: {signing.Feed, signing.Publication, signing.Withdrawal, signing.Sealed, signing.Holdings, signing.Bundle, signing.Receipt, "promise"},
		s.Approver:  {signing.Approval, "promise"},
		olga:        {signing.Override, "promise"},
		everything: {signing.Feed, signing.Publication, signing.Withdrawal, signing.Sealed, signing.Holdings, signing.Bundle, signing.Receipt,
			signing.Approval, signing.Override, "promise"},
		machine: {},
	}
	all := append(can[everything], signing.Identity)
	for by, kinds := range can {
		allowed := map[signing.Kind]bool{}
		for _, k := range kinds {
			allowed[k] = true
		}
		for _, kind := range all {
			_, err := v.Verify(s.Attest(by, kind, "x", entry(5)), trust.Want{Kind: kind}, entry(5))
			if allowed[kind] {
				wantDenied(t, err, "", nil)
			} else {
				wantDenied(t, err, "role", trust.ErrUntrusted)
			}
		}
	}
}

// A revocation voids by position, also what was good until it came, and in
// every feed that it does not name.
func TestVerifyRevocation(t *testing.T) {
	s := newSpace(t)
	s.Next(func(id *trust.Identity) {
		s.Revoke(id, s.Publisher, entry(7))
		id.Revocations[0].Since = append(id.Revocations[0].Since, trust.RevokedFrom{Epoch: 3, Feed: otherFeed, Size: 2})
	})
	s.Next(func(id *trust.Identity) {}) // a later version keeps it
	for _, versions := range []int{1, 2, 3} {
		h := s.HistoryAt(versions)
		v, err := trust.NewView(h, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			at   trust.Position
			good bool
		}{
			{trust.Position{Feed: testFeed, Epoch: 1, Index: 0}, true},
			{trust.Position{Feed: testFeed, Epoch: 1, Index: 6}, true},
			{trust.Position{Feed: testFeed, Epoch: 1, Index: 7}, false},
			{trust.Position{Feed: testFeed, Epoch: 1, Index: 8}, false},
			{trust.Position{Feed: testFeed, Epoch: 2, Index: 0}, false},
			{trust.Position{Feed: otherFeed, Epoch: 3, Index: 1}, true},
			{trust.Position{Feed: otherFeed, Epoch: 3, Index: 2}, false},
			{trust.Position{Feed: otherFeed, Epoch: 1, Index: 0}, false},
			// The thief opens a feed of his own, under version 1.
			{trust.Position{Feed: "acme/dev-qa/new", Epoch: 1, Index: 0}, false},
		} {
			_, err := v.Verify(s.Attest(s.Publisher, signing.Publication, "file/a@1", test.at), trust.Want{}, test.at)
			if test.good || versions == 1 {
				wantDenied(t, err, "", nil)
			} else {
				wantDenied(t, err, "revocation", trust.ErrUntrusted)
			}
			_, err = v.Verify(s.Attest(s.Approver, signing.Approval, "x", test.at), trust.Want{}, test.at)
			wantDenied(t, err, "", nil) // another key's entries stay
		}
	}
}

// Signed tells what the Space said at a place, also where the key was revoked
// since; what was moved there or is by no leaf in force it did not say.
func TestSigned(t *testing.T) {
	s := newSpace(t)
	carol := s.Leaf("carol", trust.Publisher)
	s.Next(func(id *trust.Identity) { s.List(id, carol) })
	s.Next(func(id *trust.Identity) { s.Revoke(id, carol, entry(7)) })
	v := s.View(nil)
	v.PutInForce(2, entry(2))
	v.PutInForce(3, entry(20))
	for index, want := range map[int64]struct{ signed, counts string }{
		1: {"position", ""}, 6: {"", ""}, 7: {"", "revocation"}, 19: {"", "revocation"}, 20: {"position", ""},
	} {
		a := s.Attest(carol, signing.Publication, "file/a@1", entry(index))
		got, err := v.Signed(a, entry(index))
		wantDenied(t, err, want.signed, trust.ErrUntrusted)
		if err != nil {
			continue
		}
		verified, err := v.Counts(got)
		wantDenied(t, err, want.counts, trust.ErrUntrusted)
		if err == nil && verified.ID() != a.ID() {
			t.Errorf("entry %d: verified %s, want %s", index, verified.ID(), a.ID())
		}
		if got.Leaf() != 2 || v.Revoked(got.Leaf(), entry(index)) != (want.counts != "") {
			t.Errorf("entry %d: leaf %d, revoked: %v", index, got.Leaf(), v.Revoked(got.Leaf(), entry(index)))
		}
	}
	_, err := v.Signed(s.Attest(carol, signing.Publication, "file/a@1", entry(7)), trust.Position{Feed: otherFeed, Epoch: 1, Index: 7})
	wantDenied(t, err, "position", trust.ErrUntrusted)
	_, err = v.Signed(s.Attest(carol, signing.Publication, "file/a@1", trust.Position{Feed: otherFeed, Epoch: 1}), entry(7))
	wantDenied(t, err, "binding", trust.ErrMalformed) // moved, which its revocation does not hide
	for leaf, at := range map[int]trust.Position{0: entry(7), 2: entry(20), 3: entry(7), -1: entry(7), 64: entry(7)} {
		if v.Revoked(leaf, at) {
			t.Errorf("leaf %d at %s is revoked", leaf, at)
		}
	}

	forged := dressed(t, s.Attest(s.Approver, signing.Publication, "file/a@1", entry(6)), carol.CertificateDER())
	if _, err := v.Signed(forged, entry(6)); err == nil {
		t.Error("a forged signature counts as signed")
	}
	if _, err := v.Believed(forged, entry(6)); err != nil {
		t.Errorf("believed: %v", err)
	}
	_, err = v.Believed(forged, entry(1))
	wantDenied(t, err, "position", trust.ErrUntrusted)
}

// What a clone learns the view does not know, nor the other way round.
func TestClone(t *testing.T) {
	s := newSpace(t)
	for range 4 {
		s.Next(func(id *trust.Identity) {})
	}
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Approver) })
	v, err := trust.NewView(s.HistoryAt(3), nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 { // so that a list has room left
		v.PutInForce(n+1, entry(int64(n)))
	}
	c := v.Clone()
	for n := 4; n <= 6; n++ {
		if err := c.Learn(s.Version(n)); err != nil {
			t.Fatal(err)
		}
	}
	c.PutInForce(6, entry(5))
	v.PutInForce(3, trust.Position{Feed: testFeed, Epoch: 1, Index: 0})
	if v.History().Current().Version != 3 || c.History().Current().Version != 6 {
		t.Errorf("versions %d and %d", v.History().Current().Version, c.History().Current().Version)
	}
	a := s.Attest(s.Approver, signing.Approval, "x", entry(7))
	_, err = v.Verify(a, trust.Want{}, entry(7))
	wantDenied(t, err, "", nil)
	_, err = c.Verify(a, trust.Want{}, entry(7))
	wantDenied(t, err, "position", trust.ErrUntrusted)
	c.PutInForce(6, trust.Position{Feed: otherFeed, Epoch: 1})
	at := trust.Position{Feed: otherFeed, Epoch: 1, Index: 1}
	_, err = v.Verify(s.Attest(s.Approver, signing.Approval, "x", at), trust.Want{}, at)
	wantDenied(t, err, "", nil)
}

// A key keeps its revocation under a new certificate.
func TestRevocationOutlivesRotation(t *testing.T) {
	s := newSpace(t)
	s.Next(s.Rotate)
	rotated := s.Publisher
	s.Next(func(id *trust.Identity) { s.Revoke(id, s.Publisher, entry(7)) })
	v := s.View(nil)
	v.PutInForce(2, entry(3))
	_, err := v.Verify(s.Attest(rotated, signing.Publication, "x", entry(6)), trust.Want{}, entry(6))
	wantDenied(t, err, "", nil)
	_, err = v.Verify(s.Attest(rotated, signing.Publication, "x", entry(7)), trust.Want{}, entry(7))
	wantDenied(t, err, "revocation", trust.ErrUntrusted)
}

// A statement moved to another feed, epoch or Space is void, and so is one that
// says where it belongs in a way others overlook.
func TestVerifyBinding(t *testing.T) {
	s, at := newSpace(t), entry(3)
	lineage := s.Lineage().String()
	other := newSpace(t).Lineage().String()
	for name, test := range map[string]struct {
		predicate string
		rule      string
	}{
		"here":               {`{"epoch":1,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`, ""},
		"with more":          {`{"Epoch":9,"a":[],"critical":true,"epoch":1,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `","z":{"epoch":2}}`, ""},
		"another feed":       {`{"epoch":1,"feed":"acme/dev-qa/releases","lineage":"` + lineage + `"}`, "binding"},
		"another epoch":      {`{"epoch":2,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`, "binding"},
		"another lineage":    {`{"epoch":1,"feed":"acme/dev-qa/shared","lineage":"` + other + `"}`, "binding"},
		"no epoch":           {`{"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`, "binding"},
		"no feed":            {`{"epoch":1,"lineage":"` + lineage + `"}`, "binding"},
		"no lineage":         {`{"epoch":1,"feed":"acme/dev-qa/shared"}`, "binding"},
		"nothing":            {`{}`, "binding"},
		"epoch in capitals":  {`{"EPOCH":1,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`, "binding"},
		"feed in capitals":   {`{"FEED":"acme/dev-qa/shared","epoch":1,"lineage":"` + lineage + `"}`, "binding"},
		"lineage, long i":    {`{"epoch":1,"feed":"acme/dev-qa/shared","l` + "\u0131" + `neage":"` + lineage + `"}`, "binding"},
		"inside":             {`{"bound":{"epoch":1,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}}`, "binding"},
		"epoch as text":      {`{"epoch":"1","feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`, "form"},
		"negative epoch":     {`{"epoch":-1,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`, "form"},
		"feed a list":        {`{"epoch":1,"feed":["acme/dev-qa/shared"],"lineage":"` + lineage + `"}`, "form"},
		"lineage, capitals":  {`{"epoch":1,"feed":"acme/dev-qa/shared","lineage":"SHA256:` + lineage[7:] + `"}`, "form"},
		"critical is a text": {`{"critical":"no","epoch":1,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`, "form"},
	} {
		t.Run(name, func(t *testing.T) {
			a := trusttest.Sign(t, s.Publisher, signing.Statement{
				Kind: "promise", Subject: storage.DigestOf(nil), SubjectName: "x", Predicate: []byte(test.predicate),
			})
			got, err := s.View(nil).Verify(a, trust.Want{}, at)
			wantDenied(t, err, test.rule, trust.ErrMalformed)
			if want := name == "with more"; err == nil && got.Bound().Critical != want {
				t.Errorf("critical is %v", got.Bound().Critical)
			}
		})
	}
	// Decoding into a Bound would take "Critical" for "critical".
	a := trusttest.Sign(t, s.Publisher, signing.Statement{
		Kind: "promise", Subject: storage.DigestOf(nil), SubjectName: "x",
		Predicate: []byte(`{"Critical":true,"epoch":1,"feed":"acme/dev-qa/shared","lineage":"` + lineage + `"}`),
	})
	if got, err := s.View(nil).Verify(a, trust.Want{}, at); err != nil || got.Bound().Critical {
		t.Errorf("critical is %v, %v", got.Bound().Critical, err)
	}
}

func TestVerifyWant(t *testing.T) {
	s, at := newSpace(t), entry(3)
	a := s.Attest(s.Publisher, signing.Withdrawal, "file/a@1", at)
	subject := storage.DigestOf([]byte("file/a@1"))
	v := s.View(nil)
	got, err := v.Verify(a, trust.Want{Kind: signing.Withdrawal, Subject: subject}, at)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID() != a.ID() || got.Person() != "alice" || got.Key() != s.Thumbprint(s.Publisher) || got.At() != at ||
		got.Statement().Subject != subject || got.Bound().Feed != testFeed || got.Bound().Epoch != 1 || got.Bound().Lineage != s.Lineage() {
		t.Errorf("verified %+v", got)
	}
	_, err = v.Verify(a, trust.Want{Kind: signing.Publication}, at)
	wantDenied(t, err, "kind", trust.ErrMalformed)
	_, err = v.Verify(a, trust.Want{Subject: storage.DigestOf(nil)}, at)
	wantDenied(t, err, "subject", trust.ErrMalformed)
}

// Nothing is parsed that was not signed: a wrong signature is the first thing
// to be said, and then the form.
func TestVerifySignature(t *testing.T) {
	s, at := newSpace(t), entry(3)
	a := s.Attest(s.Publisher, signing.Publication, "file/a@1", at)
	v := s.View(nil)
	for i := range a.Bytes() {
		bad := bytes.Clone(a.Bytes())
		bad[i] ^= 1
		parsed, err := signing.ParseAttestation(bad)
		if err != nil {
			continue
		}
		if _, err := v.Verify(parsed, trust.Want{}, at); err == nil {
			t.Fatalf("byte %d changed: verified", i)
		}
	}
	// Signed by bob, dressed as alice.
	forged := dressed(t, s.Attest(s.Approver, signing.Publication, "file/a@1", at), s.Publisher.CertificateDER())
	_, err := v.Verify(forged, trust.Want{}, at)
	wantDenied(t, err, "signature", signing.ErrBadSignature)
	// Not by anybody, and no statement either: the leaf comes first.
	_, err = v.Verify(signing.Attestation{}, trust.Want{}, at)
	wantDenied(t, err, "position", trust.ErrUntrusted)
}

func TestDeniedError(t *testing.T) {
	for reason, want := range map[trust.Reason]error{
		trust.BadSignature: signing.ErrBadSignature, trust.Untrusted: trust.ErrUntrusted,
		trust.Unapproved: trust.ErrUnapproved, trust.Malformed: trust.ErrMalformed, 0: trust.ErrUntrusted,
	} {
		err := error(&trust.DeniedError{Reason: reason, Rule: "until", File: "trust/dev-qa.yaml", Thing: "file/a@1", Why: "trust ended"})
		if !errors.Is(err, want) {
			t.Errorf("reason %d does not match %q", reason, want)
		}
		wantError(t, err, "file/a@1: trust ended (rule until in trust/dev-qa.yaml)")
	}
}

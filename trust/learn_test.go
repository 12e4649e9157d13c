package trust_test

import (
	"errors"
	"testing"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

func TestLearn(t *testing.T) {
	s := newSpace(t)
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Approver) })
	first, second := s.Version(1), s.Version(2)

	fork := s.Draft() // another version 2
	fork.Version, fork.Previous = 2, second.Identity.Previous
	fork.Encryption = ""
	fork.Leaves = []trust.Leaf{}
	must(fork.Format())
	byRoot := s.Introduce(fork, first.Identity, s.RootSigner())

	thief := *fork // with a root of nobody's choosing
	thiefRoot := rootSigner(&thief, must(signing.GenerateKey()))
	must(thief.Format())

	other := newSpace(t)
	for name, test := range map[string]struct {
		version trust.Version
		want    string
		denied  string
	}{
		"known":                       {version: second},
		"known, first":                {version: first},
		"known, without evidence":     {version: trust.Version{Identity: second.Identity}, want: "not signed"},
		"known, signed by a leaf":     {version: trust.Version{Identity: second.Identity, Statements: []signing.Attestation{s.Introduce(second.Identity, second.Identity, s.Publisher)}}, want: "not signed by the root"},
		"known, statement of another": {version: trust.Version{Identity: second.Identity, Statements: first.Statements}, want: "speaks of something else"},
		"fork":                        {version: trust.Version{Identity: fork, Statements: []signing.Attestation{byRoot}}, denied: "lineage"},
		"fork, not signed":            {version: trust.Version{Identity: fork}, want: "not signed"},
		"fork by a stranger":          {version: trust.Version{Identity: &thief, Statements: []signing.Attestation{s.Introduce(&thief, &thief, thiefRoot)}}, want: "not signed by the root of version 1"},
		"another Space's first":       {version: other.Version(1), denied: "lineage"},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.View(nil)
			err := v.Learn(test.version)
			if test.denied != "" {
				wantDenied(t, err, test.denied, trust.ErrUntrusted)
			} else {
				wantError(t, err, test.want)
			}
			if v.History().Current() != second.Identity {
				t.Error("the history changed")
			}
		})
	}

	v := must(trust.NewView(s.HistoryAt(1), nil))
	third := s.Next(s.Rotate)
	wantError(t, v.Learn(third), "follows version 1")
	wantError(t, v.Learn(second), "")
	wantError(t, v.Learn(third), "")
	// Either root's statement brings a known version along.
	for _, a := range third.Statements {
		wantError(t, v.Learn(trust.Version{Identity: third.Identity, Statements: []signing.Attestation{a}}), "")
	}
}

func TestNewView(t *testing.T) {
	s := newSpace(t)
	p := trust.NewPolicy(s.Name, s.Lineage())
	if v, err := trust.NewView(s.History(), p); err != nil || v.Policy() != p || v.History().Lineage() != s.Lineage() {
		t.Errorf("view of %s, %v", s.Name, err)
	}
	// The same name, and another Space: a name is no evidence.
	_, err := trust.NewView(newSpace(t).History(), p)
	wantDenied(t, err, "lineage", trust.ErrUntrusted)
}

func TestAuthorizeWithoutPolicy(t *testing.T) {
	s := newSpace(t)
	item := trust.Item{Feed: "shared", Kind: "file", Name: "a", Version: "1", Right: trust.MayPublish}
	wantError(t, s.View(nil).Authorize(item, trusttest.NotBefore), "")
	p := trust.NewPolicy(s.Name, s.Lineage())
	wantDenied(t, s.View(p).Authorize(item, trusttest.NotBefore), "allow", trust.ErrUntrusted)
}

// Dates bind when appending.
func TestCheckDates(t *testing.T) {
	s := newSpace(t)
	a := s.Attest(s.Publisher, signing.Publication, "file/a@1", entry(1))
	v := s.View(nil)
	for now, good := range map[time.Time]bool{
		trusttest.NotBefore.Add(-time.Second): false,
		trusttest.NotBefore:                   true,
		trusttest.NotAfter:                    true,
		trusttest.NotAfter.Add(time.Second):   false,
	} {
		err := v.CheckDates(a, now)
		if good {
			wantDenied(t, err, "", nil)
		} else {
			wantDenied(t, err, "dates", trust.ErrUntrusted)
		}
	}
	wantError(t, v.CheckDates(signing.Attestation{}, trusttest.NotBefore), "certificate")
	// Afterwards position decides: the view verifies whatever the time.
	if _, err := v.Verify(a, trust.Want{}, entry(1)); err != nil {
		t.Error(err)
	}
}

func TestPosition(t *testing.T) {
	if got, want := entry(7).String(), "acme/dev-qa/shared epoch 1 entry 7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s := newSpace(t)
	_, err := s.View(nil).Verify(s.Attest(s.Publisher, signing.Publication, "file/a@1", entry(8)), trust.Want{Subject: storage.DigestOf(nil)}, entry(8))
	denied, ok := errors.AsType[*trust.DeniedError](err)
	if !ok || denied.Thing != "acme/dev-qa/shared epoch 1 entry 8 (file/a@1)" {
		t.Errorf("the refusal does not name the entry and the thing: %v", err)
	}
}

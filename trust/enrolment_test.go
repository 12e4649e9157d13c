package trust_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

var enrolTime = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// proof is what a Space says to enrol, changed by change, signed by a leaf.
func proof(t *testing.T, s *trusttest.Space, by *signing.Signer, e trust.Enrolment, change func(*signing.Statement)) signing.Attestation {
	t.Helper()
	st := must(e.Statement(s.History()))
	if change != nil {
		change(&st)
	}
	return trusttest.Sign(t, by, st)
}

// A proof counts for the one request that it was made for.
func TestCheckEnrolment(t *testing.T) {
	s, stranger := newSpace(t), newSpace(t)
	machine := s.Leaf("TLS", trust.TLS)
	s.Next(func(id *trust.Identity) { s.List(id, machine) })
	code := trust.NewInvitation(storage.DigestOf([]byte("key of the server")))
	logKey := []byte(strings.Repeat("k", 32))
	good := trust.NewEnrolment(s.History(), code, logKey, enrolTime)
	for name, c := range map[string]struct {
		by     *signing.Signer
		change func(*trust.Enrolment)
		st     func(*signing.Statement)
		want   string
	}{
		"as it should be":    {by: s.Publisher},
		"an hour late":       {by: s.Publisher, change: func(e *trust.Enrolment) { e.Time = "2026-11-01T11:00:00Z" }},
		"an hour early":      {by: s.Publisher, change: func(e *trust.Enrolment) { e.Time = "2026-11-01T13:00:00Z" }},
		"replayed":           {by: s.Publisher, change: func(e *trust.Enrolment) { e.Time = "2026-11-01T09:59:59Z" }, want: "was made at 2026-11-01T09:59:59Z, and it is 2026-11-01T12:00:00Z here"},
		"from the future":    {by: s.Publisher, change: func(e *trust.Enrolment) { e.Time = "2026-11-01T14:00:01Z" }, want: "was made at"},
		"no time":            {by: s.Publisher, change: func(e *trust.Enrolment) { e.Time = "now" }, want: "time: "},
		"another invitation": {by: s.Publisher, change: func(e *trust.Enrolment) { e.Invitation = storage.DigestOf(nil) }, want: "was made for invitation e3b0c442, not for " + code.String()},
		"another server":     {by: s.Publisher, change: func(e *trust.Enrolment) { e.Pin = storage.DigestOf(nil) }, want: "not for that of the invitation"},
		"another operator":   {by: s.Publisher, change: func(e *trust.Enrolment) { e.LogKey = []byte(strings.Repeat("x", 32)) }, want: "another operator"},
		"another lineage":    {by: s.Publisher, change: func(e *trust.Enrolment) { e.Lineage = stranger.Lineage() }, want: "speaks of another identity"},
		"another Space":      {by: s.Publisher, change: func(e *trust.Enrolment) { e.Space = "acme/other" }, want: "speaks of another identity"},
		"another version":    {by: s.Publisher, st: func(st *signing.Statement) { st.Subject = s.Version(1).Identity.Digest() }, want: "speaks of another identity"},
		"another kind":       {by: s.Publisher, st: func(st *signing.Statement) { st.Kind = signing.Publication }, want: "is a statement of kind publication, not enrolment"},
		"another form":       {by: s.Publisher, st: func(st *signing.Statement) { st.Predicate = []byte(`{"a":1}`) }, want: "a"},
		"an approver":        {by: s.Approver, want: "is not signed by a publisher whom identity version 2 lists"},
		"a key for TLS":      {by: machine, want: "is not signed by a publisher"},
		"another Space's":    {by: stranger.Publisher, want: "is not signed by a publisher"},
		"the root":           {by: s.RootSigner(), want: "is not signed by a publisher"},
	} {
		e := good
		if c.change != nil {
			c.change(&e)
		}
		err := trust.CheckEnrolment(proof(t, s, c.by, e, c.st), s.History(), good, enrolTime)
		denied, ok := errors.AsType[*trust.DeniedError](err)
		if c.want == "" && err != nil || c.want != "" && (!ok || denied.Rule != trust.RuleEnrolment || !strings.Contains(denied.Why, c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A signature that does not fit, and a leaf that has ended.
func TestCheckEnrolmentKey(t *testing.T) {
	s := newSpace(t)
	code := trust.NewInvitation(storage.DigestOf([]byte("key of the server")))
	want := trust.NewEnrolment(s.History(), code, make([]byte, 32), enrolTime)
	key := must(signing.GenerateKey())
	forged := must(signing.NewSigner(key, must(signing.NewSelfSigned("x", key, trusttest.NotBefore, signing.ForStatements))))
	a := proof(t, s, forged, want, nil)
	wantDenied(t, trust.CheckEnrolment(a, s.History(), want, enrolTime), trust.RuleEnrolment, trust.ErrUntrusted)

	other := want
	other.Time = "2026-11-01T12:00:01Z"
	text := func(a signing.Attestation) string { return base64.StdEncoding.EncodeToString(a.Payload()) }
	first := proof(t, s, s.Publisher, want, nil)
	moved := strings.Replace(string(first.Bytes()), text(first), text(proof(t, s, s.Publisher, other, nil)), 1)
	a = must(signing.ParseAttestation([]byte(moved)))
	err := trust.CheckEnrolment(a, s.History(), want, enrolTime)
	wantDenied(t, err, trust.RuleEnrolment, signing.ErrBadSignature)

	late := trusttest.NotAfter.Add(time.Hour)
	want = trust.NewEnrolment(s.History(), code, make([]byte, 32), late)
	wantDenied(t, trust.CheckEnrolment(proof(t, s, s.Publisher, want, nil), s.History(), want, late), "dates", trust.ErrUntrusted)
}

package trust_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// approvalOf is a whole approval of some publications, for a receiver.
func approvalOf(by *signing.Signer, receiver trust.Lineage, ids ...signing.ID) trust.Approval {
	return trust.Approval{Approves: ids, Audience: []trust.Lineage{receiver}, Expires: "2027-12-31T23:59:59Z", Key: keyOf(by), Time: "2026-02-03T04:05:06Z"}
}

func keyOf(by *signing.Signer) storage.Digest {
	return signing.KeyThumbprint(must(signing.ParseCertificate(by.CertificateDER())))
}

func idNumber(n int) signing.ID { return signing.ID(storage.DigestOf([]byte(fmt.Sprint(n)))) }

func lineageNumber(n int) trust.Lineage { return trust.Lineage(idNumber(n)) }

func numbered[T any](n int, of func(int) T) (out []T) {
	for i := range n {
		out = append(out, of(i))
	}
	return out
}

func TestApprovalRefuses(t *testing.T) {
	s := newSpace(t)
	for name, test := range map[string]struct {
		change func(*trust.Approval)
		want   string
	}{
		"as it should be":      {func(*trust.Approval) {}, ""},
		"as many as there may": {func(p *trust.Approval) { p.Approves, p.Audience = numbered(256, idNumber), numbered(32, lineageNumber) }, ""},
		"for a feed": {func(p *trust.Approval) {
			l := s.Lineage()
			p.Epoch, p.Feed, p.Lineage = 1, testFeed, &l
		}, ""},
		"of nothing":          {func(p *trust.Approval) { p.Approves = nil }, "approves: want 1"},
		"of too much":         {func(p *trust.Approval) { p.Approves = numbered(257, idNumber) }, "approves: want 1 to 256"},
		"for nobody":          {func(p *trust.Approval) { p.Audience = nil }, "audience: want 1"},
		"for too many":        {func(p *trust.Approval) { p.Audience = numbered(33, lineageNumber) }, "audience: want 1 to 32"},
		"no key":              {func(p *trust.Approval) { p.Key = storage.Digest{} }, "key is missing"},
		"long comment":        {func(p *trust.Approval) { p.Comment = strings.Repeat("x", 501) }, "comment"},
		"unprintable comment": {func(p *trust.Approval) { p.Comment = "a\u202eb" }, "comment"},
		"no end":              {func(p *trust.Approval) { p.Expires = "" }, "expires"},
		"a day as its end":    {func(p *trust.Approval) { p.Expires = "2027-12-31" }, "expires"},
		"other spelling":      {func(p *trust.Approval) { p.Expires = "2027-12-31T23:59:59+00:00" }, "expires"},
		"fractions":           {func(p *trust.Approval) { p.Time = "2026-02-03T04:05:06.1Z" }, "time"},
		"ends before":         {func(p *trust.Approval) { p.Expires = p.Time }, "before it was made"},
		"feed alone":          {func(p *trust.Approval) { p.Feed = testFeed }, "all of them, or none"},
		"epoch alone":         {func(p *trust.Approval) { p.Epoch = 1 }, "all of them, or none"},
	} {
		t.Run(name, func(t *testing.T) {
			p := approvalOf(s.Approver, s.Lineage(), idNumber(1), idNumber(2))
			test.change(&p)
			st, err := p.Statement()
			wantError(t, err, test.want)
			if test.want == "" {
				_, err := trust.OpenApproval(trusttest.Sign(t, s.Approver, st))
				wantError(t, err, "")
			}
		})
	}
}

// What a stranger signed may be anything.
func TestOpenApprovalRefuses(t *testing.T) {
	s := newSpace(t)
	good := must(approvalOf(s.Approver, s.Lineage(), idNumber(1), idNumber(2)).Statement())
	swap := func(old, with string) signing.Statement {
		st := good
		st.Predicate = bytes.Replace(good.Predicate, []byte(old), []byte(with), 1)
		if bytes.Equal(st.Predicate, good.Predicate) {
			t.Fatalf("%s is not in the predicate", old)
		}
		return st
	}
	reversed := slices.Clone(must(trust.OpenApproval(trusttest.Sign(t, s.Approver, good))).Approval.Approves)
	slices.Reverse(reversed)
	named := good
	named.SubjectName = "approval of 1 publication"
	about := good
	about.Subject = storage.DigestOf([]byte("x"))
	for name, test := range map[string]struct {
		a      signing.Attestation
		rule   string
		reason error
		says   string
	}{
		"another's signature": {dressed(t, trusttest.Sign(t, s.Approver, good), s.Publisher.CertificateDER()), "signature", signing.ErrBadSignature, "is not signed by the key"},
		"another kind":        {s.Attest(s.Publisher, signing.Publication, "x", entry(1)), "kind", trust.ErrMalformed, "of kind publication"},
		"no members":          {s.Attest(s.Approver, signing.Approval, "x", entry(1)), "form", trust.ErrMalformed, "canonical"},
		"unknown member":      {trusttest.Sign(t, s.Approver, swap(`{"approves"`, `{"a":1,"approves"`)), "form", trust.ErrMalformed, "unknown field"},
		"not sorted":          {trusttest.Sign(t, s.Approver, swap(fmt.Sprintf(`"%s","%s"`, reversed[1], reversed[0]), fmt.Sprintf(`"%s","%s"`, reversed[0], reversed[1]))), "form", trust.ErrMalformed, "sorted"},
		"another's key":       {trusttest.Sign(t, s.Publisher, good), "form", trust.ErrMalformed, "and says " + s.Thumbprint(s.Approver).String()},
		"another list":        {trusttest.Sign(t, s.Approver, about), "form", trust.ErrMalformed, "want that of the list"},
		"another count":       {trusttest.Sign(t, s.Approver, named), "form", trust.ErrMalformed, "want that of the list"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trust.OpenApproval(test.a)
			wantDenied(t, err, test.rule, test.reason)
			wantError(t, err, test.says)
			wantError(t, err, "approval "+test.a.ID().String())
		})
	}
}

func TestApprovalRoundTrip(t *testing.T) {
	s := newSpace(t)
	rapid.Check(t, func(r *rapid.T) {
		p := approvalOf(s.Approver, s.Lineage(), rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 300), idNumber), 1, 200).Draw(r, "ids")...)
		p.Audience = append(p.Audience, rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 9), lineageNumber), 0, 20).Draw(r, "audience")...)
		p.Comment = rapid.StringMatching(`[ -~é]{0,100}`).Draw(r, "comment")
		p.Expires = signing.FormatTime(time.Unix(rapid.Int64Range(1_800_000_000, 4_000_000_000).Draw(r, "expires"), 0))
		st, err := p.Statement()
		if err != nil {
			r.Fatal(err)
		}
		got, err := trust.OpenApproval(trusttest.Sign(t, s.Approver, st))
		if err != nil {
			r.Fatal(err)
		}
		for _, id := range p.Approves {
			if !slices.Contains(got.Approval.Approves, id) || !bytes.Contains(got.Approval.List(), []byte(id.String()+"\n")) {
				r.Errorf("%s went", id)
			}
		}
		again, err := got.Approval.Statement()
		if err != nil || !bytes.Equal(again.Predicate, st.Predicate) || again.Subject != st.Subject {
			r.Errorf("%s became %s, %v", st.Predicate, again.Predicate, err)
		}
	})
}

// FuzzApproval: what opens is written again byte for byte.
func FuzzApproval(f *testing.F) {
	s := newSpace(f)
	good := must(approvalOf(s.Approver, s.Lineage(), idNumber(1), idNumber(2)).Statement())
	f.Add([]byte(good.Predicate), good.SubjectName)
	f.Add([]byte(`{}`), "approval of 1 publication")
	f.Fuzz(func(t *testing.T, predicate []byte, name string) {
		st := signing.Statement{Kind: signing.Approval, Subject: good.Subject, SubjectName: name, Predicate: predicate}
		payload, err := st.Format()
		if err != nil {
			return
		}
		a := trusttest.Sign(t, s.Approver, st)
		got, err := trust.OpenApproval(a)
		if err != nil {
			return
		}
		again, err := got.Approval.Statement()
		if err != nil {
			t.Fatalf("%s opens and cannot be written: %v", predicate, err)
		}
		if b := must(again.Format()); !bytes.Equal(b, payload) {
			t.Errorf("%s became %s", payload, b)
		}
	})
}

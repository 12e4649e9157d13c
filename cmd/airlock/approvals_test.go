package main

import (
	"bytes"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// receiver is a home that trusts the author's Space for what bob approved, and
// the program on it.
func receiver(t *testing.T, author *feedtest.Author) (*app, *bytes.Buffer, trust.Lineage) {
	t.Helper()
	h, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own, err := h.Init(t.Context(), home.NewSpace{Space: trust.Space{Organisation: "acme", Name: "production"},
		Issuer: trusttest.Issuer, Person: "zoe", Now: feedtest.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := author.Space
	p := trust.NewPolicy(s.Name, s.Lineage())
	p.Allow = []trust.Allow{{Feeds: []string{"*"}, Kinds: []string{"*"}, Rights: []trust.Right{trust.MayPublish}}}
	p.Approvals = []trust.ApprovalRule{{Kinds: []string{"*"}, Keys: 1, Persons: []trust.Person{{Name: "bob", Key: s.Thumbprint(s.Approver)}}}}
	if err := h.AddTrust(s.History(), p); err != nil {
		t.Fatal(err)
	}
	said := new(bytes.Buffer)
	return &app{streams: streams{out: said, err: said}, now: func() time.Time { return feedtest.Now }, open: h}, said, own.Lineage()
}

// approvalIn is an approval for a feed, changed by change.
func approvalIn(t *testing.T, author *feedtest.Author, to trust.Lineage, of signing.ID, change func(*trust.Approval)) feedtest.Signed {
	t.Helper()
	lineage := author.Space.Lineage()
	p := trust.Approval{Approves: []signing.ID{of}, Audience: []trust.Lineage{to}, Epoch: 1, Expires: "2030-01-01T00:00:00Z",
		Feed: author.ID.String(), Key: author.Space.Thumbprint(author.Space.Approver), Lineage: &lineage, Time: "2026-01-01T00:00:00Z"}
	if change != nil {
		change(&p)
	}
	st, err := p.Statement()
	return author.Sign(author.Space.Approver, st, err)
}

// An approval that stands in a feed counts at once, also for what stands in the
// same feed, and is kept. What is none stops nobody.
func TestApprovalsInFeed(t *testing.T) {
	for name, test := range map[string]struct {
		entry func(author *feedtest.Author, to trust.Lineage, of signing.ID) feedtest.Signed
		kept  int
		says  string
	}{
		"counts": {func(a *feedtest.Author, to trust.Lineage, of signing.ID) feedtest.Signed {
			return approvalIn(t, a, to, of, nil)
		}, 1, "took in an approval by bob of 1 publication, from acme/dev-qa/shared entry 3"},
		"critical": {func(a *feedtest.Author, to trust.Lineage, of signing.ID) feedtest.Signed {
			return approvalIn(t, a, to, of, func(p *trust.Approval) { p.Critical = true })
		}, 1, "took in"},
		"expired": {func(a *feedtest.Author, to trust.Lineage, of signing.ID) feedtest.Signed {
			return approvalIn(t, a, to, of, func(p *trust.Approval) { p.Expires = "2026-01-01T00:00:01Z" })
		}, 0, "entry 3 does not count: it expired"},
		"for others": {func(a *feedtest.Author, _ trust.Lineage, of signing.ID) feedtest.Signed {
			return approvalIn(t, a, a.Space.Lineage(), of, nil)
		}, 0, ""},
		"no approval inside": {func(a *feedtest.Author, _ trust.Lineage, _ signing.ID) feedtest.Signed {
			at := trust.Position{Feed: a.ID.String(), Epoch: 1}
			return feedtest.Signed{Attestation: a.Space.Attest(a.Space.Approver, signing.Approval, "x", at)}
		}, 0, "entry 3 is not kept: approval sha256:"},
		"by a publisher": {func(a *feedtest.Author, to trust.Lineage, of signing.ID) feedtest.Signed {
			st, err := signing.ParseStatement(approvalIn(t, a, to, of, nil).Payload())
			return a.Sign(a.Space.Publisher, st, err)
		}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			author := feedtest.NewAuthor(t, "acme/dev-qa/shared")
			a, said, to := receiver(t, author)
			tape := feedtest.NewTape(author).Add(author.Opening()...)
			pub := author.Publish("file/motd@1")
			tape.Add(pub, test.entry(author, to, pub.ID()))
			f, err := a.follower(t.Context(), tape, tape.ID)
			if err != nil {
				t.Fatal(err)
			}
			state, _, err := f.Sync(t.Context(), tape.ID)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := a.open.Approvals()
			if err != nil || len(kept) != test.kept || !bytes.Contains(said.Bytes(), []byte(test.says)) || test.says == "" && said.Len() > 0 {
				t.Errorf("%d kept, %v; said: %s", len(kept), err, said)
			}
			err = f.View.Authorize(state.Item(rowOf(t, state, pub.ID())), feedtest.Now)
			if (err == nil) != (test.kept == 1) {
				t.Errorf("let in: %v", err)
			}
		})
	}
}

func rowOf(t *testing.T, s *feed.State, id signing.ID) feed.Row {
	t.Helper()
	i, ok := s.Index.ByID(id)
	if !ok {
		t.Fatalf("the feed has no %s", id)
	}
	return s.Index.Row(i)
}

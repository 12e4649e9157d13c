package home

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

var approvalsNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// approval returns one of publication n, by a key of its own.
func approval(t *testing.T, by *signing.Signer, receiver trust.Lineage, n int, expires time.Time) trust.Approved {
	t.Helper()
	p := trust.Approval{Approves: []signing.ID{signing.ID(storage.DigestOf([]byte(fmt.Sprint(n))))}, Audience: []trust.Lineage{receiver},
		Expires: signing.FormatTime(expires), Key: keyOf(t, by), Time: "2026-01-01T00:00:00Z"}
	st, err := p.Statement()
	if err != nil {
		t.Fatal(err)
	}
	a, err := trust.OpenApproval(trusttest.Sign(t, by, st))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func keyOf(t *testing.T, by *signing.Signer) storage.Digest {
	t.Helper()
	cert, err := signing.ParseCertificate(by.CertificateDER())
	if err != nil {
		t.Fatal(err)
	}
	return signing.KeyThumbprint(cert)
}

func TestApprovals(t *testing.T) {
	h := open(t, t.TempDir())
	s := trusttest.New(t, "acme/dev-qa")
	if all, err := h.Approvals(); err != nil || len(all) != 0 {
		t.Errorf("at first: %v, %v", all, err)
	}
	a := approval(t, s.Approver, s.Lineage(), 1, approvalsNow)
	for i, want := range []bool{true, false} {
		if isNew, err := h.KeepApproval(a, approvalsNow); err != nil || isNew != want {
			t.Errorf("kept for the %d. time: new %v, %v", i+1, isNew, err)
		}
	}
	for _, name := range []string{storage.TempPrefix + "1", "notes.txt", "0.json"} {
		if err := os.WriteFile(h.file("approvals", name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := open(t, h.path).Approvals()
	if err != nil || len(all) != 1 || all[0].ID != a.ID || !bytes.Equal(all[0].Attestation.Bytes(), a.Attestation.Bytes()) {
		t.Errorf("kept: %+v, %v", all, err)
	}
	if err := h.RemoveApproval(a.ID); err != nil {
		t.Error(err)
	}
	if err := h.RemoveApproval(a.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

// A file that was changed, or lies under the name of another, is never passed
// over: whoever looks for a missing approval must learn of it.
func TestApprovalsDamaged(t *testing.T) {
	s := trusttest.New(t, "acme/dev-qa")
	a := approval(t, s.Approver, s.Lineage(), 1, approvalsNow)
	b := approval(t, s.Approver, s.Lineage(), 2, approvalsNow)
	twice := trust.Approved{ID: b.ID, Attestation: a.Attestation}
	bad := bytes.Clone(a.Attestation.Bytes())
	bad[60] ^= 1
	for name, test := range map[string]struct {
		content []byte
		want    error
	}{
		"another's name": {twice.Attestation.Bytes(), trust.ErrMalformed},
		"flipped":        {bad, signing.ErrBadSignature},
		"cut off":        {a.Attestation.Bytes()[:100], trust.ErrMalformed},
		"oversized":      {bytes.Repeat([]byte("x"), signing.MaxAttestation+1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir())
			if err := os.Mkdir(h.file("approvals"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(h.approvalFile(b.ID), test.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Approvals(); err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// The number is bounded; what expired makes room, and nothing else does.
func TestApprovalsFull(t *testing.T) {
	h := open(t, t.TempDir())
	s := trusttest.New(t, "acme/dev-qa")
	for n := range MaxApprovals {
		a := approval(t, s.Approver, s.Lineage(), n, approvalsNow.AddDate(0, 0, 1+n%2))
		if n == 0 { // the others need not be durable
			if _, err := h.KeepApproval(a, approvalsNow); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(h.approvalFile(a.ID), a.Attestation.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	extra := approval(t, s.Approver, s.Lineage(), MaxApprovals, approvalsNow.AddDate(1, 0, 0))
	if _, err := h.KeepApproval(extra, approvalsNow); !as[*FullError](err) {
		t.Errorf("one too many: %v", err)
	}
	if isNew, err := h.KeepApproval(extra, approvalsNow.AddDate(0, 0, 1).Add(time.Second)); err != nil || !isNew {
		t.Errorf("with expired ones: %v, %v", isNew, err)
	}
	if all, err := h.Approvals(); err != nil || len(all) != MaxApprovals/2+1 {
		t.Errorf("%d are left, %v", len(all), err)
	}
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// A view of a Space is given what its policy asks for, and whose word counts.
func TestViewJudges(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "home"))
	own, err := h.Init(context.Background(), newSpace(nil))
	if err != nil {
		t.Fatal(err)
	}
	source, other := trusttest.New(t, "acme/source"), trusttest.New(t, "acme/other")
	key := source.Thumbprint(source.Approver)
	policy := trust.NewPolicy(source.Name, source.Lineage())
	policy.Approvals = []trust.ApprovalRule{{Kinds: []string{"*"}, Keys: 1, Persons: []trust.Person{{Name: "bob", Key: key}}}}
	if err := errors.Join(h.AddTrust(source.History(), policy), h.AddTrust(other.History(), trust.NewPolicy(other.Name, other.Lineage()))); err != nil {
		t.Fatal(err)
	}
	if _, err := h.KeepApproval(approval(t, source.Approver, own.Lineage(), 1, approvalsNow), approvalsNow); err != nil {
		t.Fatal(err)
	}
	v, err := h.View(source.Name)
	if err != nil {
		t.Fatal(err)
	}
	e := v.Evidence()
	if e.Receiver != own.Lineage() || len(e.Approvals) != 1 || e.Approvals[0].Approval.Key != key || len(e.Known) != 4 {
		t.Errorf("evidence: %+v", e)
	}
	if v, err = h.View(other.Name); err != nil || len(v.Evidence().Approvals) != 0 {
		t.Errorf("where none is asked for: %+v, %v", v.Evidence(), err)
	}
}

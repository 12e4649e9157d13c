package trusttest

import (
	"bytes"
	"testing"

	"airlock/signing"
	"airlock/trust"
)

// TestSpace takes a Space through every change of identity and asks the real
// code about each.
func TestSpace(t *testing.T) {
	s := New(t, "acme/dev-qa")
	at := trust.Position{Feed: "acme/dev-qa/shared", Epoch: 1, Index: 5}
	before := s.Attest(s.Publisher, signing.Publication, "file/a@1", at)
	if _, err := s.View(nil).Verify(before, trust.Want{}, at); err != nil {
		t.Fatal(err)
	}

	carol := s.Leaf("carol", trust.Operator, trust.Publisher)
	s.Next(func(id *trust.Identity) { s.List(id, carol); s.Drop(id, s.Approver) })
	old := s.Publisher
	s.Next(s.Rotate)
	s.Next(func(id *trust.Identity) { s.Revoke(id, s.Publisher, at) })
	h := s.History()
	if h.Current().Version != 4 || len(h.Current().Leaves) != 1 || len(h.Current().Revocations) != 1 {
		t.Errorf("version %d with %d leaves, %d revocations", h.Current().Version, len(h.Current().Leaves), len(h.Current().Revocations))
	}
	if s.Publisher == old || s.Thumbprint(s.Publisher) != s.Thumbprint(old) {
		t.Error("after a rotation the publisher has not the same key and a new certificate")
	}
	if s.HistoryAt(1).Current().Version != 1 || len(h.Versions()[2].Statements) != 2 {
		t.Error("version 3 is not signed by two roots, or HistoryAt(1) is not version 1")
	}
	if parsed, err := trust.ParseFile(s.File()); err != nil || !bytes.Equal(trust.FormatFile(parsed), s.File()) {
		t.Errorf("identity file: %v", err)
	}
}

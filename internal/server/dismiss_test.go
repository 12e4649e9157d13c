package server_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// A dismissed Space may not append any more, on any server of the store; its
// feeds stay readable, and only an admission of its own lineage lets it go on.
func TestDismiss(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	w.srv = w.server(server.Config{Fresh: time.Second})
	other := w.server(server.Config{Fresh: time.Second})
	w.mustSend(append(w.Opening(), w.Publish("file/a@1"))...)
	if _, err := other.Publish(ctx, reader, batch(w.ID, w.Publish("file/b@1"))); err != nil {
		t.Fatal(err)
	}
	if err := w.srv.Dismiss(ctx, reader, w.ID.Space); err != nil {
		t.Fatal(err)
	}
	if gone, err := other.Dismissed(ctx, w.ID.Space); err != nil || !gone {
		t.Errorf("dismissed: %v, %v", gone, err)
	}
	next := w.Publish("file/c@1")
	_, err := w.send(next)
	wantDenied(t, err, server.RuleAdmission)
	_, err = w.srv.Expect(ctx, reader, w.ID, batch(w.ID, next).Statements, nil)
	wantDenied(t, err, server.RuleAdmission)
	_, err = other.Publish(ctx, reader, batch(w.ID, next))
	wantDenied(t, err, server.RuleAdmission)
	w.clock.add(time.Second) // heads may be so old
	if state, void := w.follow(w.srv.Local()); state.Edge.Size() != 4 || len(void) != 0 {
		t.Errorf("%d entries, %v void, want the 4 of before", state.Edge.Size(), void)
	}

	// The operator's own commands do not undo it, nor does a namesake.
	if err := w.srv.AdmitSelf(ctx, w.Space.History()); err != nil {
		t.Fatal(err)
	}
	_, err = w.srv.Admit(ctx, reader, feedtest.NewAuthor(t, w.ID.String()).Space.File())
	wantDenied(t, err, "lineage")
	_, err = w.send(next)
	wantDenied(t, err, server.RuleAdmission)
	w.admit(w.Author)
	w.mustSend(next)
}

// What it was told to upload, a Space may not upload once it is dismissed.
func TestDismissedUpload(t *testing.T) {
	ctx := context.Background()
	w := withSpool(t)
	payload := storetest.Random(7, 300<<10)
	s := w.Publish("file/a@1", feedtest.File{Path: "a", Data: payload})
	if _, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{s.Attestation}, s.Objects[:1]); err != nil {
		t.Fatal(err)
	}
	if err := w.srv.Dismiss(ctx, reader, w.ID.Space); err != nil {
		t.Fatal(err)
	}
	_, err := w.srv.Upload(ctx, reader, w.ID, storage.DigestOf(payload), 0, bytes.NewReader(payload))
	wantDenied(t, err, server.RuleAdmission)
	if n, err := w.srv.Offset(ctx, reader, w.ID, storage.DigestOf(payload)); err != nil || n != 0 || w.has(payload) {
		t.Errorf("%d bytes were taken, %v", n, err)
	}
}

func TestDismissUnknown(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	err := w.srv.Dismiss(context.Background(), reader, trust.Space{Organisation: "acme", Name: "never"})
	wantDenied(t, err, server.RuleAdmission)
}

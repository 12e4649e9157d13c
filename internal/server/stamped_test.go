package server_test

import (
	"bytes"
	"testing"

	"airlock/feed"
	"airlock/internal/tsa"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// A statement that comes again with a time stamp, or without the one that it had,
// is the same statement: nothing is added, and what was stored first stays.
func TestStampedAgain(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	id, err := tsa.NewIdentity("acme/dev-qa", w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	clock := tsa.New(id, w.clock.Now)
	stamped := func(a signing.Attestation) signing.Attestation {
		token, err := clock.Stamp(t.Context(), a.Signature())
		if err == nil {
			a, err = a.WithTimestamp(token)
		}
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	at := trust.Position{Feed: w.ID.String(), Epoch: 1}
	plain := w.Space.Attest(w.Space.Publisher, signing.Receipt, "one", at)
	other := w.Space.Attest(w.Space.Publisher, signing.Receipt, "two", at)
	send := func(a signing.Attestation) feed.Accepted {
		got, err := w.srv.Publish(t.Context(), reader, feed.Batch{Feed: w.ID, Epoch: 1, Statements: []signing.Attestation{a}})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	withToken := stamped(other)
	for i, step := range []struct {
		att   signing.Attestation
		index int64
		added int
	}{{plain, 2, 1}, {stamped(plain), 2, 0}, {withToken, 3, 1}, {other, 3, 0}, {stamped(other), 3, 0}} {
		if got := send(step.att); got.Added != step.added || got.Indices[0] != step.index {
			t.Errorf("step %d: %d added, entry %v", i, got.Added, got.Indices)
		}
	}
	state, void := w.follow(w.srv.Local())
	if state.Index.Size() != 4 || len(void) > 0 {
		t.Errorf("%d entries, void %v", state.Index.Size(), void)
	}
	for s, err := range w.srv.Local().Segments(t.Context(), w.ID, 0, 4) {
		if err != nil || !bytes.Equal(s.Statements[2], plain.Bytes()) || !bytes.Equal(s.Statements[3], withToken.Bytes()) {
			t.Errorf("%v: another stored form", err)
		}
	}
}

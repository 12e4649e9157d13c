package feed_test

import (
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
)

// TestAccepted changes an honest answer in every way a server could lie about it.
func TestAccepted(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	sent := []feedtest.Signed{w.Author.Publish("file/a@1"), w.Author.Publish("file/b@1")}
	statements := []signing.Attestation{sent[0].Attestation, sent[1].Attestation}
	good := w.Append(sent...)
	if err := good.Verify(w.ID, w.Key.Public(), statements); err != nil {
		t.Fatal(err)
	}
	other := w.Draft(w.Space.Publisher, "file/c@1", nil, nil).Attestation
	foreign, err := feedtest.Key(2).Sign(w.ID.Origin(1), good.Checkpoint.Size, good.Checkpoint.Root)
	if err != nil {
		t.Fatal(err)
	}
	shorter, err := w.Key.Sign(w.ID.Origin(1), 3, tlog.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(a *feed.Accepted, sent *[]signing.Attestation){
		"another statement":      func(_ *feed.Accepted, s *[]signing.Attestation) { (*s)[1] = other },
		"one more statement":     func(_ *feed.Accepted, s *[]signing.Attestation) { *s = append(*s, other) },
		"one statement less":     func(_ *feed.Accepted, s *[]signing.Attestation) { *s = (*s)[:1] },
		"the other order":        func(_ *feed.Accepted, s *[]signing.Attestation) { slices.Reverse(*s) },
		"another index":          func(a *feed.Accepted, _ *[]signing.Attestation) { a.Indices[0]++ },
		"one index missing":      func(a *feed.Accepted, _ *[]signing.Attestation) { a.Indices = a.Indices[:1] },
		"not added":              func(a *feed.Accepted, _ *[]signing.Attestation) { a.Added = 1 },
		"another edge before":    func(a *feed.Accepted, _ *[]signing.Attestation) { a.Before = feed.Edge{} },
		"entries that are not":   func(a *feed.Accepted, _ *[]signing.Attestation) { a.After = []tlog.Hash{{1}} },
		"another key":            func(a *feed.Accepted, _ *[]signing.Attestation) { a.Checkpoint = foreign },
		"an older checkpoint":    func(a *feed.Accepted, _ *[]signing.Attestation) { a.Checkpoint = shorter },
		"another epoch":          func(a *feed.Accepted, _ *[]signing.Attestation) { a.Epoch = 2 },
		"no checkpoint":          func(a *feed.Accepted, _ *[]signing.Attestation) { a.Checkpoint = feed.Checkpoint{} },
		"nothing at all":         func(a *feed.Accepted, _ *[]signing.Attestation) { *a = feed.Accepted{} },
		"a checkpoint unsigned":  func(a *feed.Accepted, _ *[]signing.Attestation) { a.Checkpoint.Note = a.Checkpoint.Note[:80] },
		"indices below the edge": func(a *feed.Accepted, _ *[]signing.Attestation) { a.Indices = []int64{-1, 0} },
	} {
		answer, claims := good, slices.Clone(statements)
		answer.Indices = slices.Clone(good.Indices)
		lie(&answer, &claims)
		if err := answer.Verify(w.ID, w.Key.Public(), claims); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
	if err := good.Verify(feed.ID{Space: w.ID.Space, Name: "other"}, w.Key.Public(), statements); err == nil {
		t.Error("believed for another feed")
	}
}

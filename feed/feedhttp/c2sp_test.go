package feedhttp_test

import (
	"fmt"
	"net/http"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"airlock/feed"
	"airlock/feed/feedtest"
)

// TestC2SPReader reads a feed with a client of the tlog-tiles form that knows
// nothing of us: checkpoint, tiles, entries.
func TestC2SPReader(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 600)
	base := serve(t, handler(t, b, nil))

	fetcher, err := torchwood.NewTileFetcher(base.String()+shared, torchwood.WithHTTPClient(http.DefaultClient))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := fetcher.ReadEndpoint(t.Context(), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	origin := a.ID.Origin(1)
	verifier, err := note.NewVerifier(feed.VerifierKey(origin, a.Key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed,
		torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(verifier)))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := torchwood.NewClient(fetcher)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for range reader.AllEntries(t.Context(), checkpoint.Tree, 0) {
		n++
	}
	if err := reader.Err(); err != nil || n != checkpoint.N || n != 602 {
		t.Errorf("%d entries of %d: %v", n, checkpoint.N, err)
	}
}

// TestOneRequest holds that a batch of many small files is one request.
func TestOneRequest(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	var signed []feedtest.Signed
	for i := range 600 {
		content := random(12_000)
		content[0], content[1] = byte(i), byte(i>>8)
		signed = append(signed, a.Publish(fmt.Sprintf("step-template/template-%d@1", i),
			feedtest.File{Path: "template.json", Data: content}))
	}
	batch := batchOf(a, append(a.Opening(), signed...)...)
	if _, err := client(t, serve(t, handler(t, b, nil)), nil).Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if n := b.calls.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

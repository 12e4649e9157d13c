package server_test

import (
	"errors"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// TestHoldings publishes holdings: the document that they name must come along,
// at the size that they say, small or large.
func TestHoldings(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	spool, err := storage.OpenSpool(t.TempDir(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	w.srv = w.server(server.Config{Spool: spool})
	c := w.mustSend(w.Opening()...).Checkpoint
	h := w.Holdings("2026-02-03T04:05:06Z", c)
	bare := h
	bare.Objects = nil
	if _, err := w.send(bare); !errors.As(err, new(*feed.MissingError)) {
		t.Errorf("without its document: %v", err)
	}
	document := h.Objects[0]
	lie := feed.Holdings{DocumentSize: int64(len(document)) + 1, Epoch: 1, Feed: w.ID, Lineage: w.Space.Lineage(), Time: "2026-02-03T04:05:06Z"}
	st, err := lie.Statement(storage.DigestOf(document))
	other := w.Sign(w.Space.Publisher, st, err)
	other.Objects = h.Objects
	if _, err := w.send(other); !errors.As(err, new(*storage.SizeError)) {
		t.Errorf("of another size: %v", err)
	}
	if w.has(document) {
		t.Error("the document of what was refused is stored")
	}
	w.mustSend(h)

	page := []byte("a page, as far as a server cares")
	snap := &feed.Snapshot{Edge: []storage.Digest{{1}}, Identity: 1, Pages: []feed.SnapshotPage{{Digest: storage.DigestOf(page), Size: int64(len(page))}}}
	if _, err := w.send(w.Snapshot(w.Space.Publisher, "2026-02-03T04:05:06Z", c, snap)); !errors.As(err, new(*feed.MissingError)) {
		t.Errorf("without its page: %v", err)
	}
	w.mustSend(w.Snapshot(w.Space.Publisher, "2026-02-03T04:05:06Z", c, snap, page))

	large := w.large(30_000)
	if n := len(large.Objects[0]); n <= 1<<20 {
		t.Fatalf("the large document has %d bytes", n)
	}
	remote := client(t, w.srv)
	if _, err := remote.Publish(t.Context(), batch(w.ID, large)); err != nil {
		t.Fatal(err)
	}
	state, void := w.follow(remote)
	if row := state.Index.Row(4); len(void) > 0 || row.Manifest != storage.DigestOf(large.Objects[0]) || row.Ref.Kind != "holdings" {
		t.Errorf("row %+v, void %v", row, void)
	}
}

// large signs holdings of a Space that holds n packages of another.
func (w *world) large(n int) feedtest.Signed {
	w.t.Helper()
	other := feedtest.NewAuthor(w.t, "acme/other/shared")
	c, err := feedtest.NewTape(other).Add(other.Opening()...).Checkpoint(w.t.Context(), other.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	held := make([]feed.Held, n)
	for i := range held {
		held[i] = feed.Held{Kind: "file", Manifest: storage.Digest{1}, Name: "n", Version: string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676%26)) + string(rune('0'+i/17576))}
	}
	a := feed.NewAccount(w.Space.Name, w.Space.Lineage(), "2026-02-03T04:05:07Z",
		[]feed.FeedAccount{{Epoch: 1, Feed: other.ID, Lineage: trust.Lineage{7}, Note: string(c.Note), Live: held}})
	document, err := a.Format()
	if err != nil {
		w.t.Fatal(err)
	}
	h := feed.Holdings{DocumentSize: int64(len(document)), Epoch: 1, Feed: w.ID, Lineage: w.Space.Lineage(), Time: a.Time}
	st, err := h.Statement(storage.DigestOf(document))
	s := w.Sign(w.Space.Publisher, st, err)
	s.Objects = [][]byte{document}
	return s
}

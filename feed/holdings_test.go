package feed_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// TestHoldings reads holdings from a feed: the statement by its row, then the
// document that it names.
func TestHoldings(t *testing.T) {
	a, tape := example(t)
	c, err := tape.Checkpoint(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	tape.Add(a.Holdings("2026-02-03T04:05:06Z", c), a.Publish("file/z@1"))
	fill(a, tape, 300)
	tape.Add(a.Holdings("2026-02-04T04:05:06Z", c))
	f := a.Follower(tape)
	s, _ := sync(t, f, a.ID)
	wantVoid(t, s)
	rows := slices.Collect(s.Index.Others(signing.Holdings, 0))
	if len(rows) != 2 || rows[0].Index != 300 || rows[1].Index != 5 || len(slices.Collect(s.Index.Others(signing.Holdings, 6))) != 1 {
		t.Fatalf("rows %+v", rows)
	}
	var got *feed.Account
	err = f.Statements(t.Context(), s, rows[:1], func(row feed.Row, v trust.Verified, att signing.Attestation) error {
		if got, err = feed.ReadAccount(t.Context(), tape, a.ID, v); err != nil {
			return err
		}
		// The same as files, outside of the feed.
		raw, err := feed.ReadObject(t.Context(), tape, a.ID, row.Manifest, row.ManifestSize)
		if err != nil {
			return err
		}
		apart, _, err := feed.OpenHoldings(a.Space.History(), att, raw)
		if err == nil && apart.Time != got.Time {
			t.Errorf("as files: %+v", apart)
		}
		if _, _, err := feed.OpenHoldings(a.Space.History(), att, append(raw, ' ')); !errors.Is(err, trust.ErrMalformed) {
			t.Errorf("another document: %v", err)
		}
		return err
	})
	if err != nil || got.Time != "2026-02-04T04:05:06Z" || got.Feeds[0].Checkpoint().Size != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestHoldingsOfOthers signs holdings with a document of another Space, of
// another time, or that is none: they say nothing.
func TestHoldingsOfOthers(t *testing.T) {
	a, tape := example(t)
	c, err := tape.Checkpoint(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	good := a.Holdings("2026-02-03T04:05:06Z", c)
	replace := func(old, with string) []byte {
		out := strings.Replace(string(good.Objects[0]), old, with, 1)
		if out == string(good.Objects[0]) {
			t.Fatalf("%q is not in the document", old)
		}
		return []byte(out)
	}
	for name, document := range map[string][]byte{
		"another Space":   replace(`"space":"acme/dev-qa"`, `"space":"acme/other"`),
		"another lineage": replace(`"kind":"Holdings","lineage":"`+a.Space.Lineage().String(), `"kind":"Holdings","lineage":"`+trust.Lineage{7}.String()),
		"another time":    replace("04:05:06Z", "04:05:07Z"),
		"no document":     []byte("{}"),
	} {
		h := feed.Holdings{DocumentSize: int64(len(document)), Epoch: 1, Feed: a.ID, Lineage: a.Space.Lineage(), Time: "2026-02-03T04:05:06Z"}
		st, err := h.Statement(storage.DigestOf(document))
		signed := a.Sign(a.Space.Publisher, st, err)
		if got, _, err := feed.OpenHoldings(a.Space.History(), signed.Attestation, document); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	if _, _, err := feed.OpenHoldings(feedtest.NewAuthor(t, "acme/dev-qa/shared").Space.History(), good.Attestation, good.Objects[0]); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("by a stranger: %v", err)
	}
}

// TestHoldingsVoid puts holdings into a feed that are not of their form: they do
// not count, and the feed goes on.
func TestHoldingsVoid(t *testing.T) {
	a, tape := example(t)
	good := feed.Holdings{DocumentSize: 2, Epoch: 1, Feed: a.ID, Lineage: a.Space.Lineage(), Time: "2026-02-03T04:05:06Z"}
	change := func(change func(h *feed.Holdings)) feedtest.Signed {
		h := good
		change(&h)
		st, err := h.Statement(storage.Digest{1})
		return a.Sign(a.Space.Publisher, st, err)
	}
	st, err := good.Statement(storage.Digest{1})
	byApprover := a.Sign(a.Space.Approver, st, err)
	st.SubjectName = "something else"
	otherName := a.Sign(a.Space.Publisher, st, nil)
	tape.Add(
		change(func(h *feed.Holdings) { h.Time = "2026-02-03" }),                // 5
		change(func(h *feed.Holdings) { h.Time = "2026-02-03T05:05:06+01:00" }), // 6
		change(func(h *feed.Holdings) { h.DocumentSize = 0 }),                   // 7
		change(func(h *feed.Holdings) { h.DocumentSize = feed.MaxAccount + 1 }), // 8
		otherName,  // 9
		byApprover, // 10
		change(func(h *feed.Holdings) { h.Epoch = 2 }),                                         // 11
		change(func(h *feed.Holdings) { h.DocumentSize = feed.MaxAccount; h.Critical = true }), // 12: understood
		a.Publish("file/a@3"),
	)
	s, report := sync(t, a.Follower(tape), a.ID)
	wantVoid(t, s, 5, 6, 7, 8, 9, 10, 11)
	wantDenied(t, report.Void[10], "role")
}

// TestReadHoldings reads the files of a Space from a folder with those of
// another.
func TestReadHoldings(t *testing.T) {
	a, tape := example(t)
	c, err := tape.Checkpoint(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	h := a.Holdings("2026-02-03T04:05:06Z", c)
	document, about := feed.HoldingsFiles(a.Space.Name)
	if document != "acme.dev-qa.holdings.json" || about != "acme.dev-qa.holdings.sigstore.json" {
		t.Errorf("names %s, %s", document, about)
	}
	files := fstest.MapFS{document: {Data: h.Objects[0]}, about: {Data: h.Bytes()}}
	att, raw, err := feed.ReadHoldings(files, a.Space.Name)
	if err != nil || att.ID() != h.ID() || string(raw) != string(h.Objects[0]) {
		t.Errorf("read %s, %d bytes, %v", att.ID(), len(raw), err)
	}
	if _, _, err := feed.ReadHoldings(files, trust.Space{Organisation: "acme", Name: "other"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of another Space: %v", err)
	}
	for name, change := range map[string][2]string{
		"attestation that is none":   {about, "{}"},
		"attestation past its bound": {about, string(h.Bytes()) + strings.Repeat(" ", signing.MaxAttestation)},
		"document past its bound":    {document, strings.Repeat(" ", feed.MaxAccount+1)},
	} {
		bad := fstest.MapFS{document: files[document], about: files[about]}
		bad[change[0]] = &fstest.MapFile{Data: []byte(change[1])}
		if _, _, err := feed.ReadHoldings(bad, a.Space.Name); !errors.Is(err, feed.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// tapePlace is a log in memory that took whatever it was given.
type tapePlace struct{ *feedtest.Tape }

func (p tapePlace) Heads(context.Context, map[feed.ID]int64, time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	return nil, nil
}

func (p tapePlace) LogKey(context.Context) ([]byte, error) { return p.Key.Public(), nil }

func (p tapePlace) Publish(context.Context, feed.Batch) (feed.Accepted, error) {
	return feed.Accepted{}, errors.New("a tape is not published to")
}

func (p tapePlace) Chunks(context.Context, feed.ID, storage.Digest) (*storage.ChunkIndex, error) {
	return nil, fs.ErrNotExist
}

func (p tapePlace) Delta(context.Context, feed.ID, storage.Digest, storage.Digest) (storage.Ref, error) {
	return storage.Ref{}, fs.ErrNotExist
}

func (p tapePlace) Feeds(context.Context, ...trust.Space) ([]feed.ID, error) {
	return []feed.ID{p.ID}, nil
}

// openTape follows a tape, as openFeed does a source.
func openTape(t *testing.T, author *feedtest.Author, tape *feedtest.Tape) *opened {
	t.Helper()
	f := author.Follower(tape)
	f.State = storage.NewMem()
	state, _, err := f.Sync(t.Context(), tape.ID)
	if err != nil {
		t.Fatal(err)
	}
	return &opened{&conn{place: tapePlace{tape}, name: "tape"}, f, state}
}

// What a careless log operator let in does not count, and explain says why,
// with the exit code of the reason (B9).
func TestExplainWhatDoesNotCount(t *testing.T) {
	stranger := trusttest.New(t, "acme/dev-qa")
	text := []feedtest.File{feedtest.Text("motd.txt", "hello")}
	tests := []struct {
		name  string
		entry func(author *feedtest.Author) feedtest.Signed
		code  int
		says  string
	}{
		{"forged", func(author *feedtest.Author) feedtest.Signed {
			return author.Draft(stranger.Publisher, "file/motd@2", text, nil)
		}, exitUntrusted, "no known identity"},
		{"badly signed", func(author *feedtest.Author) feedtest.Signed {
			a := author.Draft(author.Space.Publisher, "file/motd@2", text, nil)
			b := author.Draft(author.Space.Publisher, "file/motd@3", text, nil)
			return withSignatureOf(t, a, b)
		}, exitBadSignature, "is not signed by the key of"},
		{"wrong role", func(author *feedtest.Author) feedtest.Signed {
			return author.Draft(author.Space.Approver, "file/motd@2", text, nil)
		}, exitUntrusted, "no role publisher"},
		{"moved", func(author *feedtest.Author) feedtest.Signed {
			return author.Draft(author.Space.Publisher, "file/motd@2", text, func(p *feed.Publication) { p.Epoch = 7 })
		}, exitBadSignature, "was made for feed"},
		{"out of chain", func(author *feedtest.Author) feedtest.Signed {
			return author.Draft(author.Space.Publisher, "file/motd@2", text, func(p *feed.Publication) { p.Previous = nil })
		}, exitFailed, "does not follow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			author := feedtest.NewAuthor(t, "acme/dev-qa/shared")
			tape := feedtest.NewTape(author)
			tape.Add(author.Opening()...)
			tape.Add(author.Publish("file/motd@1", text...), tt.entry(author))
			at := openTape(t, author, tape)

			doc, verdict, err := at.explain(t.Context(), pkgRef{feed: tape.ID, name: "motd", version: "2"}, feedtest.Now)
			if err != nil {
				t.Fatal(err)
			}
			if code, _ := outcomeOf(verdict); code != tt.code || doc.Let {
				t.Errorf("verdict %v: code %d, let in %v; want code %d", verdict, code, doc.Let, tt.code)
			}
			if len(doc.Void) != 1 || !strings.Contains(doc.Void[0].Void, tt.says) {
				t.Errorf("void: %+v, want one that says %q", doc.Void, tt.says)
			}
			if doc, verdict, err := at.explain(t.Context(), pkgRef{feed: tape.ID, name: "motd", version: "1"}, feedtest.Now); err != nil || verdict != nil || !doc.Let {
				t.Errorf("the version before: let in %v, %v, %v", doc.Let, verdict, err)
			}
		})
	}
}

// withSignatureOf puts the signature over b in the place of a's.
func withSignatureOf(t *testing.T, a, b feedtest.Signed) feedtest.Signed {
	t.Helper()
	encode := base64.StdEncoding.EncodeToString
	mixed := strings.Replace(string(a.Bytes()), encode(a.Signature()), encode(b.Signature()), 1)
	att, err := signing.ParseAttestation([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	a.Attestation = att
	return a
}

func TestPkgRef(t *testing.T) {
	a := &app{}
	tests := map[string]string{ // "" for refused
		"acme/dev-qa/shared/db@1.4":                "acme/dev-qa/shared db@1.4",
		"acme/dev-qa/shared/variable-set/db@1+b":   "acme/dev-qa/shared variable-set/db@1+b",
		"acme/dev-qa/shared/db":                    "acme/dev-qa/shared db",
		"acme/dev-qa/shared":                       "",
		"acme/dev-qa/shared/nonsense/db@1":         "",
		"acme/dev-qa/shared/variable-set/db@":      "",
		"acme/dev-qa/shared/variable-set/DB@1":     "",
		"acme/dev-qa/shared/variable-set/db@1/../": "",
		"a/b/c/d/e/f@1":                            "",
		"../../etc/passwd@1":                       "",
		"@1":                                       "",
		"":                                         "",
	}
	for text, want := range tests {
		r, err := a.pkgRef(text)
		got := ""
		if err == nil {
			got = r.feed.String() + " " + r.String()
		} else if code, hint := outcomeOf(err); code != exitUsage || hint == "" {
			t.Errorf("%q: %v: code %d, hint %q", text, err, code, hint)
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", text, got, want, err)
		}
	}
}

func FuzzReadBundle(f *testing.F) {
	author := feedtest.NewAuthor(f, "acme/dev-qa/shared")
	signed := author.Publish("file/motd@1", feedtest.Text("motd.txt", "hello"))
	f.Add(signed.Bytes())
	form, err := openBundle(signed.Attestation)
	if err != nil {
		f.Fatal(err)
	}
	form.Material.TLogEntries = []bundleEntry{{LogIndex: "0", Proof: bundleProof{LogIndex: "0", TreeSize: "1"}}}
	withProof, err := form.format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(withProof)
	f.Add([]byte(`{"verificationMaterial":{"publicKey":{"hint":""}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		att, proof, err := readBundle(b)
		if err != nil {
			return
		}
		if again, err := signing.ParseAttestation(att.Bytes()); err != nil || again.ID() != att.ID() {
			t.Errorf("what was read is not of the stored form: %v", err)
		}
		if proof != nil {
			_ = proof.check(att) // must not panic
		}
	})
}

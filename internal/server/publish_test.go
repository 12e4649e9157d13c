package server_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// A Space must be admitted, and a name stays with its lineage (B24).
func TestAdmission(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	w.admit(w.Author)
	twin := feedtest.NewAuthor(t, w.ID.String())
	_, err := w.srv.Admit(ctx, reader, twin.Space.File())
	wantDenied(t, err, "lineage")
	stranger := feedtest.NewAuthor(t, "acme/other/shared")
	_, err = w.srv.Publish(ctx, reader, batch(stranger.ID, stranger.Opening()...))
	wantDenied(t, err, server.RuleAdmission)
	// The twin's own statements do not pass under the admitted name.
	if _, err = w.send(twin.Opening()...); err == nil {
		t.Error("another lineage opened the feed of an admitted name")
	}
	spaces, err := w.srv.Spaces(ctx)
	if err != nil || len(spaces) != 1 || spaces[0].Lineage() != w.Space.Lineage() {
		t.Errorf("admitted: %v, %v", spaces, err)
	}
	if err := w.srv.AdmitSelf(ctx, w.Space.History()); err != nil {
		t.Error(err)
	}
}

// TestRefusals has batches that a server must not take. None of them leaves
// an object behind or moves the feed.
func TestRefusals(t *testing.T) {
	payload := []byte("the payload of a refused batch")
	files := []feedtest.File{{Path: "a", Data: payload}}
	cases := map[string]struct {
		rule string
		make func(w *world) feed.Batch
	}{
		"bad signature": {"signature", func(w *world) feed.Batch {
			// Alice's certificate over what another key of hers never signed.
			b := batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", files, nil))
			other := w.Draft(w.Space.Publisher, "file/a@2", files, nil)
			b.Statements[0] = mixed(w.t, other.Attestation, b.Statements[0])
			return b
		}},
		"unlisted leaf": {"position", func(w *world) feed.Batch {
			return batch(w.ID, w.Draft(w.Space.Leaf("mallory", trust.Publisher), "file/a@1", files, nil))
		}},
		"wrong role": {"role", func(w *world) feed.Batch {
			return batch(w.ID, w.Draft(w.Space.Approver, "file/a@1", files, nil))
		}},
		"another feed": {"binding", func(w *world) feed.Batch {
			return batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", files, func(p *feed.Publication) { p.Feed.Name = "other" }))
		}},
		"another epoch": {"binding", func(w *world) feed.Batch {
			return batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", files, func(p *feed.Publication) { p.Epoch = 2 }))
		}},
		"batch of another epoch": {"conflict", func(w *world) feed.Batch {
			b := batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", files, func(p *feed.Publication) { p.Epoch = 2 }))
			b.Epoch = 2
			return b
		}},
		"another kind of manifest": {"form", func(w *world) feed.Batch {
			return republished(w, "file/a@1", func(m *feed.Manifest) { m.Kind = "script-module" })
		}},
		"another version of manifest": {"form", func(w *world) feed.Batch {
			return republished(w, "file/a@1", func(m *feed.Manifest) { m.Version = "2" })
		}},
		"manifest not canonical": {"form", func(w *world) feed.Batch {
			return rewritten(w, "file/a@1", func(raw []byte) []byte { return append([]byte(" "), raw...) })
		}},
		"opening for another log": {"form", func(w *world) feed.Batch {
			a := *w.Author
			a.Key, a.ID = feedtest.Key(9), feed.ID{Space: w.ID.Space, Name: "second"}
			return batch(a.ID, a.Opening()...)
		}},
		"second opening": {"conflict", func(w *world) feed.Batch {
			o := feed.Opening{Epoch: 1, Feed: w.ID, Identity: 1, Lineage: w.Space.Lineage(), LogKey: w.Key.Public(), Origin: w.ID.Origin(1), Previous: "x"}
			st, err := o.Statement()
			return batch(w.ID, w.Sign(w.Space.Publisher, st, err))
		}},
		"opening under an identity that is not there": {"form", func(w *world) feed.Batch {
			id := feed.ID{Space: w.ID.Space, Name: "second"}
			o := feed.Opening{Epoch: 1, Feed: id, Identity: 7, Lineage: w.Space.Lineage(), LogKey: w.Key.Public(), Origin: id.Origin(1)}
			st, err := o.Statement()
			return batch(id, w.Sign(w.Space.Publisher, st, err))
		}},
		"unknown object": {"request", func(w *world) feed.Batch {
			b := batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", files, nil))
			b.Objects = append(b.Objects, feed.ContentOf([]byte("named by nobody")))
			return b
		}},
		"unknown object and a large one": {"request", func(w *world) feed.Batch {
			b := batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", append(files, feedtest.File{Path: "large", Data: storetest.Random(1, 2<<20)}), nil))
			b.Objects = append(b.Objects, feed.ContentOf([]byte("named by nobody")))
			return b
		}},
		"object missing": {"missing", func(w *world) feed.Batch {
			b := batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", append(files, feedtest.Text("b", "second")), nil))
			b.Objects = b.Objects[:len(b.Objects)-1]
			return b
		}},
		"size of the manifest": {"size", func(w *world) feed.Batch {
			return batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", files, func(p *feed.Publication) { p.ManifestSize++ }))
		}},
		"size of the payload": {"size", func(w *world) feed.Batch {
			return republished(w, "file/a@1", func(m *feed.Manifest) { m.Layers[0].Size++ })
		}},
		"bytes of the payload": {"content", func(w *world) feed.Batch {
			b := batch(w.ID, w.Draft(w.Space.Publisher, "file/a@1", files, nil))
			wrong := feed.ContentOf(append([]byte("x"), payload[1:]...))
			wrong.Digest = b.Objects[1].Digest
			b.Objects[1] = wrong
			return b
		}},
		"identity too large": {"limit", func(w *world) feed.Batch {
			large := make([]byte, trust.MaxIdentity+1)
			return batch(w.ID, identityAbout(w, large))
		}},
		"identity by nobody": {"form", func(w *world) feed.Batch {
			other := feedtest.NewAuthor(w.t, "acme/other/shared")
			other.Space.Next(func(*trust.Identity) {})
			return batch(w.ID, other.Identity(2)...)
		}},
		"identity without its document": {"request", func(w *world) feed.Batch {
			return batch(w.ID, feedtest.Signed{Attestation: identityAbout(w, []byte("never sent")).Attestation})
		}},
		"no statements": {"request", func(w *world) feed.Batch { return feed.Batch{Feed: w.ID, Epoch: 1} }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.NewMem())
			w.mustSend(w.Opening()...)
			b := c.make(w)
			before := map[storage.Digest]bool{}
			for _, o := range b.Objects {
				before[o.Digest] = w.stored(o.Digest)
			}
			for _, a := range b.Statements {
				d := storage.DigestOf(a.Bytes())
				before[d] = w.stored(d)
			}
			_, err := w.srv.Publish(context.Background(), reader, b)
			if got := ruleOf(err); got != c.rule {
				t.Errorf("refused by %q, want %q: %v", got, c.rule, err)
			}
			for _, o := range b.Objects {
				if w.stored(o.Digest) && !before[o.Digest] {
					t.Errorf("object %s of a refused batch is in the store", o.Digest)
				}
			}
			for _, a := range b.Statements {
				// What the log alone can know it refuses once all else is stored.
				if d := storage.DigestOf(a.Bytes()); c.rule != "conflict" && w.stored(d) && !before[d] {
					t.Errorf("statement %s of a refused batch is in the store", a.ID())
				}
			}
			if w.size() != 2 {
				t.Errorf("the feed has %d entries, want the 2 from before", w.size())
			}
		})
	}
}

// ruleOf names what refused.
func ruleOf(err error) string {
	if d, ok := errors.AsType[*trust.DeniedError](err); ok {
		return d.Rule
	}
	for _, row := range []struct {
		name string
		is   bool
	}{
		{"missing", as[*feed.MissingError](err)}, {"limit", as[*feedhttp.LimitError](err)}, {"size", as[*storage.SizeError](err)},
		{"content", as[*storage.DigestError](err)}, {"request", as[*feedhttp.RequestError](err)},
		{"conflict", as[*feedhttp.ConflictError](err)},
	} {
		if row.is {
			return row.name
		}
	}
	return ""
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// republished publishes ref with a manifest that says something else.
func republished(w *world, ref string, change func(*feed.Manifest)) feed.Batch {
	return rewritten(w, ref, func(raw []byte) []byte {
		m, err := feed.ParseManifest(raw)
		if err != nil {
			w.t.Fatal(err)
		}
		change(&m)
		if raw, err = m.Format(); err != nil {
			w.t.Fatal(err)
		}
		return raw
	})
}

// rewritten publishes ref with other bytes in the place of its manifest.
func rewritten(w *world, ref string, change func([]byte) []byte) feed.Batch {
	plain := w.Draft(w.Space.Publisher, ref, nil, nil)
	raw := change(plain.Objects[0])
	r := feedtest.ParseRef(ref)
	p := feed.Publication{Epoch: 1, Feed: w.ID, Kind: r.Kind, Lineage: w.Space.Lineage(), ManifestSize: int64(len(raw)),
		Name: r.Name, Time: "2026-02-03T04:05:06Z", Title: r.Name, Version: r.Version}
	st, err := p.Statement(storage.DigestOf(raw))
	s := w.Sign(w.Space.Publisher, st, err)
	s.Objects = [][]byte{raw, plain.Objects[1]}
	return batch(w.ID, s)
}

// identityAbout is a statement of the root about any bytes.
func identityAbout(w *world, document []byte) feedtest.Signed {
	st, err := signing.ParseStatement(w.Space.Version(1).Statements[0].Payload())
	if err != nil {
		w.t.Fatal(err)
	}
	st.Subject = storage.DigestOf(document)
	return feedtest.Signed{Attestation: trusttest.Sign(w.t, w.Space.RootSigner(), st), Objects: [][]byte{document}}
}

// Certificate dates bind when a statement is appended.
func TestDates(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	w.clock.add(trusttest.NotAfter.Sub(w.clock.Now()) + time.Second)
	_, err := w.send(w.Draft(w.Space.Publisher, "file/a@1", nil, nil))
	wantDenied(t, err, "dates")
}

// One content for a version, one head for a name, one entry for a statement.
func TestFeedRules(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	c := client(t, w.srv)
	ctx := context.Background()
	w.mustSend(w.Opening()...)
	first := w.Publish("file/a@1")
	w.mustSend(first)
	again, err := c.Publish(ctx, batch(w.ID, first))
	if err != nil || again.Added != 0 || again.Indices[0] != 2 || w.size() != 3 {
		t.Errorf("the same statement again: %+v, %v", again, err)
	}
	second := w.Draft(w.Space.Publisher, "file/a@1", []feedtest.File{feedtest.Text("x", "other")}, nil)
	_, err = c.Publish(ctx, batch(w.ID, second))
	if v, ok := errors.AsType[*feed.VersionError](err); !ok || v.Have != storage.DigestOf(first.Objects[0]) || v.Got != storage.DigestOf(second.Objects[0]) {
		t.Errorf("second content: %v, want both manifests named", err)
	}
	_, err = c.Publish(ctx, batch(w.ID, w.Draft(w.Space.Publisher, "file/a@2", nil, func(p *feed.Publication) { p.Previous = nil })))
	if e, ok := errors.AsType[*feed.ChainError](err); !ok || e.Head == nil || *e.Head != first.ID() {
		t.Errorf("out of chain: %v, want the head %s", err, first.ID())
	}
	w.mustSend(w.Publish("file/b@1"), w.Withdraw("file/b@1"))
	if w.size() != 5 {
		t.Errorf("%d entries, want 5", w.size())
	}
	if _, void := w.follow(c); len(void) != 0 {
		t.Errorf("void entries: %v", void)
	}
}

var sigField = regexp.MustCompile(`"sig":"[^"]*"`)

// mixed returns a with the signature of other.
func mixed(t *testing.T, other, a signing.Attestation) signing.Attestation {
	t.Helper()
	raw := sigField.ReplaceAllLiteral(a.Bytes(), sigField.Find(other.Bytes()))
	out, err := signing.ParseAttestation(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

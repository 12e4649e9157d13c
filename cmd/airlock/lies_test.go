package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// deeplyNested is more than any document may be.
var deeplyNested = strings.Repeat("[", 5000) + strings.Repeat("]", 5000)

// lies are what a server may show: the log that was seen, or that log and one
// note more, with one thing in it changed.
var lies = map[string]func(l *liar, tb testing.TB) lyingSource{
	"nothing": func(l *liar, _ testing.TB) lyingSource { return l.tape },
	"smaller": func(l *liar, _ testing.TB) lyingSource { return l.tape.First(l.tape.Len() - 1) },
	"fork":    func(l *liar, tb testing.TB) lyingSource { return l.tape.First(l.tape.Len() - 1).Add(l.note(tb, false)) },
	"longer fork": func(l *liar, tb testing.TB) lyingSource {
		return l.tape.First(l.tape.Len()-1).Add(l.note(tb, false), l.note(tb, false))
	},
	"tile": func(l *liar, tb testing.TB) lyingSource {
		return &feedtest.Tampered{Source: l.tape, TileHash: func(_ int, _ int64, b []byte) []byte { b[3] ^= 1; return b }}
	},
	"log of another key": func(l *liar, tb testing.TB) lyingSource {
		longer := l.longer(tb)
		longer.Key = feedtest.Key(9)
		return longer
	},
	"flipped entry":   lieAboutEntry(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }),
	"truncated entry": lieAboutEntry(func(b []byte) []byte { return b[:len(b)/2] }),
	"high-S entry": func(l *liar, tb testing.TB) lyingSource {
		return lieAboutEntry(func(b []byte) []byte { return feedtest.HighS(tb, parsedAs(tb, b).Attestation) })(l, tb)
	},
	"oversized entry": lieAboutEntry(func(b []byte) []byte { return append(b, make([]byte, signing.MaxAttestation)...) }),
	"nested entry":    lieAboutEntry(func([]byte) []byte { return []byte(deeplyNested) }),
	"key twice":       lieAboutEntry(replacing(`{"payload"`, `{"payload":"e30=","payload"`)),
	"key in case":     lieAboutEntry(replacing(`"payload"`, `"Payload"`)),
	"payload type":    lieAboutEntry(replacing(signing.PayloadType, "application/json")),
	"critical kind":   func(l *liar, tb testing.TB) lyingSource { return l.tape.Clone().Add(l.note(tb, true)) },
	"fewer entries": func(l *liar, tb testing.TB) lyingSource {
		return &feedtest.Tampered{Source: l.longer(tb), Segment: feedtest.Truncate(l.tape.Len())}
	},

	"flipped checkpoint":   lieAboutCheckpoint(func(_ *liar, c feed.Checkpoint) feed.Checkpoint { c.Note[len(c.Note)-10] ^= 1; return c }),
	"truncated checkpoint": lieAboutCheckpoint(func(_ *liar, c feed.Checkpoint) feed.Checkpoint { c.Note = c.Note[:len(c.Note)/2]; return c }),
	"checkpoint of another feed": lieAboutCheckpoint(func(l *liar, c feed.Checkpoint) feed.Checkpoint {
		c, _ = l.Key.Sign("e1.other.dev-qa.acme.airlock.example", c.Size, c.Root)
		return c
	}),
	"more than there is": lieAboutCheckpoint(func(l *liar, c feed.Checkpoint) feed.Checkpoint {
		c, _ = l.Key.Sign(c.Origin, 10_000_000, c.Root)
		return c
	}),

	"flipped payload": lieAboutObject("hello again\n", func(b []byte) []byte { b[0] ^= 1; return b }),
	"cut payload":     lieAboutObject("hello again\n", func(b []byte) []byte { return b[:3] }),
	"longer payload":  lieAboutObject("hello again\n", func(b []byte) []byte { return append(b, '!') }),
}

// longer is the log with one note more.
func (l *liar) longer(tb testing.TB) *feedtest.Tape { return l.tape.Clone().Add(l.note(tb, false)) }

// lieAboutEntry shows a longer log whose last entry is changed on the way.
func lieAboutEntry(change func([]byte) []byte) func(*liar, testing.TB) lyingSource {
	return func(l *liar, tb testing.TB) lyingSource {
		return &feedtest.Tampered{Source: l.longer(tb), Segment: feedtest.Change(l.tape.Len(), change)}
	}
}

// lieAboutCheckpoint shows a longer log with another checkpoint.
func lieAboutCheckpoint(change func(*liar, feed.Checkpoint) feed.Checkpoint) func(*liar, testing.TB) lyingSource {
	return func(l *liar, tb testing.TB) lyingSource {
		return &feedtest.Tampered{Source: l.longer(tb), Head: func(c feed.Checkpoint) feed.Checkpoint { return change(l, c) }}
	}
}

// lieAboutObject shows a log with file/motd@2, of which one object is changed.
func lieAboutObject(content string, change func([]byte) []byte) func(*liar, testing.TB) lyingSource {
	return func(l *liar, tb testing.TB) lyingSource {
		longer := l.tape.Clone().Add(l.motd())
		return &feedtest.Tampered{Source: longer, Bytes: func(d storage.Digest, r io.ReadCloser) io.ReadCloser {
			if d != storage.DigestOf([]byte(content)) {
				return r
			}
			b, err := io.ReadAll(r)
			if err != nil {
				tb.Fatal(err)
			}
			return io.NopCloser(bytes.NewReader(change(b)))
		}}
	}
}

func replacing(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

// motd is the publication of file/motd@2 by carol, after that of file/motd@1:
// one and the same however often it is shown.
func (l *liar) motd() feedtest.Signed {
	if l.second.Objects == nil {
		l.second = l.Draft(l.pen.Signer, "file/motd@2", []feedtest.File{feedtest.Text("motd.txt", "hello again\n")}, nil)
	}
	return l.second
}

// badEntries are what a log may hold. All but "good" must not count.
var badEntries = map[string]func(l *liar, tb testing.TB, ref string) feedtest.Signed{
	"good": func(l *liar, _ testing.TB, _ string) feedtest.Signed { return l.motd() },

	"unlisted-leaf": func(l *liar, _ testing.TB, ref string) feedtest.Signed {
		return l.Draft(l.Space.Leaf("mallory", trust.Publisher), ref, nil, nil)
	},
	"no-role": func(l *liar, _ testing.TB, ref string) feedtest.Signed {
		return l.Draft(l.Space.Approver, ref, nil, nil)
	},
	"dropped-leaf": func(l *liar, _ testing.TB, ref string) feedtest.Signed { return l.Draft(l.alice, ref, nil, nil) },
	"another-lineage": func(_ *liar, tb testing.TB, ref string) feedtest.Signed {
		twin := feedtest.NewAuthor(tb, "acme/dev-qa/shared")
		return twin.Draft(twin.Space.Publisher, ref, nil, nil)
	},
	"moved-feed":  drafted(func(p *feed.Publication) { p.Feed.Name = "other" }),
	"moved-epoch": drafted(func(p *feed.Publication) { p.Epoch = 2 }),
	"bad-signature": func(l *liar, tb testing.TB, ref string) feedtest.Signed {
		a, b := l.Draft(l.pen.Signer, ref, nil, nil), l.note(tb, false)
		return parsedAs(tb, feedtest.StoredForm(a.Payload(), b.Signature(), a.CertificateDER()))
	},
	"repeated": func(l *liar, _ testing.TB, _ string) feedtest.Signed { return l.motd() },
	"skips-previous": func(l *liar, _ testing.TB, _ string) feedtest.Signed {
		return l.Draft(l.pen.Signer, "file/motd@3", nil, func(p *feed.Publication) { p.Previous = nil })
	},
	"second-content": func(l *liar, _ testing.TB, _ string) feedtest.Signed {
		return l.Draft(l.pen.Signer, "file/other@1", []feedtest.File{feedtest.Text("motd.txt", "forged\n")}, nil)
	},
	"withdrawal-without-role": func(l *liar, tb testing.TB, _ string) feedtest.Signed {
		return l.DraftWithdrawal(l.Space.Approver, "file/other@1", nil)
	},

	"name-up":       drafted(func(p *feed.Publication) { p.Name = "../x" }),
	"name-absolute": drafted(func(p *feed.Publication) { p.Name = "/etc/x" }),
	"name-empty":    drafted(func(p *feed.Publication) { p.Name = "" }),
	"name-dot":      drafted(func(p *feed.Publication) { p.Name = "." }),
	"name-no-UTF-8": resigned(`"title":"`, `"title":"`+"\xff"),

	"high-s": func(l *liar, _ testing.TB, ref string) feedtest.Signed { return l.Draft(l.pen.Signer, ref, nil, nil) },

	"path-up":       withPath("../x"),
	"path-absolute": withPath("/etc/x"),

	"key-twice":      resigned(`"epoch":1`, `"epoch":1,"epoch":1`),
	"key-in-case":    resigned(`"version":`, `"versioN":`),
	"nested":         resigned(`"epoch":1`, `"epoch":`+deeplyNested),
	"predicate-type": resigned("https://airlock.example/publication/v1", "https://slsa.dev/provenance/v1"),
}

// withHighS is the log with the other signature that verifies in the place of
// that of s, its last entry: this is what the log's key signs for.
func (l *liar) withHighS(tb testing.TB, s feedtest.Signed) *feedtest.Tape {
	raw, b64 := feedtest.HighS(tb, s.Attestation), base64.StdEncoding.EncodeToString
	_, sig, _ := bytes.Cut(raw, []byte(`"sig":"`))
	sig, _, _ = bytes.Cut(sig, []byte(`"`))
	tape := l.tape.First(l.tape.Len() - 1)
	tape.AddRaw(raw, tlog.RecordHash(bytes.Replace(feed.LogEntry(s.Attestation), []byte(b64(s.Signature())), sig, 1)))
	return tape
}

// drafted is a publication by carol with something in it changed before she
// signed.
func drafted(change func(*feed.Publication)) func(*liar, testing.TB, string) feedtest.Signed {
	return func(l *liar, _ testing.TB, ref string) feedtest.Signed {
		return l.Draft(l.pen.Signer, ref, nil, change)
	}
}

// resigned is a publication by carol that no program of ours would write.
func resigned(old, new string) func(*liar, testing.TB, string) feedtest.Signed {
	return func(l *liar, tb testing.TB, ref string) feedtest.Signed {
		s := l.Draft(l.pen.Signer, ref, nil, nil)
		return l.pen.SignBytes(tb, replacing(old, new)(s.Payload()), s.Objects...)
	}
}

// withPath is a publication by carol whose manifest names a path that leads out
// of the folder: the statement is good, the package is not.
func withPath(path string) func(*liar, testing.TB, string) feedtest.Signed {
	return func(l *liar, tb testing.TB, ref string) feedtest.Signed {
		s, r := l.Draft(l.pen.Signer, ref, nil, nil), feedtest.ParseRef(ref)
		manifest := replacing(`"content"`, `"`+path+`"`)(s.Objects[0])
		p := feed.Publication{Epoch: 1, Feed: l.ID, Kind: r.Kind, Lineage: l.Space.Lineage(), ManifestSize: int64(len(manifest)),
			Name: r.Name, Time: "2026-02-03T04:05:06Z", Title: r.Name, Version: r.Version}
		st, err := p.Statement(storage.DigestOf(manifest))
		signed := l.Sign(l.pen.Signer, st, err)
		signed.Objects = [][]byte{manifest, s.Objects[1]}
		return signed
	}
}

func parsedAs(tb testing.TB, raw []byte) feedtest.Signed {
	a, err := signing.ParseAttestation(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return feedtest.Signed{Attestation: a}
}

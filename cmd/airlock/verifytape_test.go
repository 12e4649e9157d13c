package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// motdTape is a feed with one package, and the program of a home that trusts it
// and has seen all of it.
func motdTape(t *testing.T) (*feedtest.Author, *feedtest.Tape, *app) {
	t.Helper()
	author := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(author).Add(author.Opening()...)
	tape.Add(author.Publish("file/motd@1", feedtest.Text("motd.txt", "hello")), author.Unknown("note", false, 1))
	a := &app{streams: streams{out: io.Discard, err: io.Discard}, commonFlags: commonFlags{format: "table", homePath: t.TempDir()}, now: func() time.Time { return feedtest.Now }}
	h, err := a.home()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.AddTrust(author.Space.History(), trust.NewPolicy(author.Space.Name, author.Space.Lineage())); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := a.sync(t.Context(), &conn{place: tapePlace{tape}, name: "tape"}, tape.ID); err != nil {
		t.Fatal(err)
	}
	return author, tape, a
}

// verifyPlace verifies a feed, and returns what is wrong with it.
func verifyPlace(t *testing.T, a *app, p place, id feed.ID) error {
	t.Helper()
	v := &verification{app: a, found: map[string]bool{}}
	at, err := v.entries(t.Context(), &conn{place: p, name: "place"}, id)
	if err == nil {
		err = v.tree(t.Context(), at)
	}
	if err == nil {
		err = v.objects(t.Context(), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v.first
}

// badObjects has good packs, and objects of which one is damaged.
type badObjects struct{ tapePlace }

func (p badObjects) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	if d == storage.DigestOf([]byte("hello")) {
		return io.NopCloser(bytes.NewReader([]byte("hullo")[off:])), nil
	}
	return p.tapePlace.Object(ctx, id, d, off)
}

// badTiles has tiles that are not those of its entries.
type badTiles struct{ tapePlace }

func (p badTiles) Tile(ctx context.Context, id feed.ID, level int, n int64, width int) ([]byte, error) {
	b, err := p.tapePlace.Tile(ctx, id, level, n, width)
	if err == nil {
		b = bytes.Clone(b)
		b[0] ^= 1
	}
	return b, err
}

// What a pull does not need to look at, verify does: each object by itself,
// every tile, and what was seen here before.
func TestVerifyFinds(t *testing.T) {
	author, tape, a := motdTape(t)
	if err := verifyPlace(t, a, tapePlace{tape}, tape.ID); err != nil {
		t.Fatal(err)
	}
	wentBack := func(err error) bool { return as[*feed.RollbackError](err) && !errors.Is(err, feed.ErrForked) }
	fork := tape.First(tape.Len() - 1)
	fork.Add(author.Unknown("note", false, 2), author.Unknown("note", false, 3))
	for name, c := range map[string]struct {
		place place
		finds func(error) bool
		code  int
	}{
		"an object behind a pack": {badObjects{tapePlace{tape}}, as[*storage.DigestError], exitBadSignature},
		"a tile":                  {badTiles{tapePlace{tape}}, is(feed.ErrRoot), exitBadSignature},
		"fewer entries":           {tapePlace{tape.First(tape.Len() - 1)}, wentBack, exitRollback},
		"other entries":           {tapePlace{fork}, is(feed.ErrForked), exitRollback},
	} {
		t.Run(name, func(t *testing.T) {
			err := verifyPlace(t, a, c.place, tape.ID)
			if code, hint := outcomeOf(err); err == nil || !c.finds(err) || code != c.code || hint == "" {
				t.Errorf("found %v, with code %d and hint %q", err, code, hint)
			}
		})
	}
}

// An attestation is held against what it speaks of, and against the kind that
// was asked for; a bare key says nothing of a Space.
func TestAttestationAlone(t *testing.T) {
	author := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	signed := author.Publish("file/motd@1")
	verify := func(manifest []byte, kind signing.Kind) error {
		v := &verification{app: &app{streams: streams{out: io.Discard}, commonFlags: commonFlags{format: "table"}}, found: map[string]bool{}}
		return v.statement(signed.Attestation, manifest, author.Space.History(), kind)
	}
	if err := verify(signed.Objects[0], signing.Publication); err != nil {
		t.Fatal(err)
	}
	for rule, err := range map[string]error{
		"subject": verify([]byte("{}"), signing.Publication),
		"kind":    verify(signed.Objects[0], signing.Withdrawal),
	} {
		if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != rule {
			t.Errorf("got %v, want a refusal by rule %s", err, rule)
		}
	}
	raw, err := withPublicKey(signed.Attestation, author.Space.Thumbprint(author.Space.Publisher))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := readBundle(raw); !errors.Is(err, errBareKey) {
		t.Errorf("a bare key: %v", err)
	}
}

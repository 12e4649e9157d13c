package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/storage/storetest"
)

// held is what a receiver holds: payloads by digest.
type held map[storage.Digest][]byte

func (h held) open(_ context.Context, d storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
	b, ok := h[d]
	if !ok {
		return nil, 0, nil, errors.New("there is no such file")
	}
	return bytes.NewReader(b), int64(len(b)), io.NopCloser(nil), nil
}

// deltaSite publishes a payload twice, edited, and returns what a receiver of
// the first version has.
func deltaSite(t *testing.T) (s *site, have Have, old, edited []byte) {
	s = newSite(t)
	old = storetest.Random(7, 3<<20)
	s.publishLarge("file/big@1", old)
	state := s.state()
	row, _ := state.Index.State(feed.Ref{Kind: "file", Name: "big", Version: "1"})
	have = Have{Size: state.Edge.Size(), Root: state.Edge.Root(), Packages: map[HeldVersion]bool{{row.Ref, row.Manifest}: true}}
	edited = slices.Concat(old[:1<<20], []byte("an edit in the middle"), old[1<<20:])
	s.publishLarge("file/big@2", edited)
	return s, have, old, edited
}

// A payload that is like one the receiver holds travels as a delta: small, and
// the same bytes once it is there.
func TestDelta(t *testing.T) {
	s, have, old, edited := deltaSite(t)
	o := s.options()
	o.Feeds[0].Have, o.Spool = have, t.TempDir()
	p := s.plan(o)
	i := slices.IndexFunc(p.Parts, func(p Part) bool { return p.Kind == Delta })
	if i < 0 || p.Parts[i].Size > 300_000 || p.Parts[i].Base != storage.DigestOf(old) {
		t.Fatalf("no delta in %+v", p.Parts)
	}
	dir, _ := s.write(o)
	id, want := s.ID, storage.DigestOf(edited)
	b := open(t, OpenOptions{Base: held{storage.DigestOf(old): old}.open}, dir)
	for _, off := range []int64{0, 1<<20 + 5, int64(len(edited))} {
		got, err := readBody(b.Object(t.Context(), id, want, off))
		if err != nil || !bytes.Equal(got, edited[off:]) {
			t.Errorf("from byte %d: %d bytes, %v", off, len(got), err)
		}
	}
	if _, err := b.Object(t.Context(), id, want, int64(len(edited))+1); !errors.Is(err, storage.ErrRange) {
		t.Errorf("beyond the end: %v", err)
	}
	wrong := slices.Concat(old[:2<<20], []byte{old[2<<20] ^ 1}, old[2<<20+1:])
	for name, base := range map[string]held{"no base": {}, "a base that only looks right": {storage.DigestOf(old): wrong}} {
		b := open(t, OpenOptions{Base: base.open}, dir)
		if _, err := readBody(b.Object(t.Context(), id, want, 0)); !as[*BaseError](err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readBody(open(t, OpenOptions{}, dir).Object(t.Context(), id, want, 0)); !as[*BaseError](err) {
		t.Errorf("nothing held: %v", err)
	}
}

// Without a folder for deltas, and for a payload like nothing that is held,
// payloads travel whole.
func TestNoDelta(t *testing.T) {
	s, have, _, _ := deltaSite(t)
	s.publishLarge("file/big@3", storetest.Random(8, 2<<20))
	o := s.options()
	o.Feeds[0].Have = have
	for _, spool := range []string{"", t.TempDir()} {
		o.Spool = spool
		deltas := 0
		for _, p := range s.plan(o).Parts {
			if p.Kind == Delta {
				deltas++
			}
		}
		if want := min(len(spool), 1); deltas != want {
			t.Errorf("%d deltas, want %d", deltas, want)
		}
	}
}

// A payload that the receiver holds already is named and not carried.
func TestHeld(t *testing.T) {
	s, have, old, _ := deltaSite(t)
	s.publishLarge("file/big@3", old)
	o := s.options()
	o.Feeds[0].Have = have
	dir, _ := s.write(o)
	b := open(t, OpenOptions{Base: held{storage.DigestOf(old): old}.open}, dir)
	got, err := readBody(b.Object(t.Context(), s.ID, storage.DigestOf(old), 0))
	if err != nil || !bytes.Equal(got, old) {
		t.Errorf("what is held: %v", err)
	}
	if _, err := open(t, OpenOptions{}, dir).Object(t.Context(), s.ID, storage.DigestOf(old), 0); !as[*BaseError](err) {
		t.Errorf("what should be held: %v", err)
	}
}

// A package that the receiver took is named and not carried, in the feed where
// it took it. Where no files lie there nothing is made from them.
func TestHeldPackage(t *testing.T) {
	s, have, old, _ := deltaSite(t)
	s.publishLarge("file/big@3", old)
	o := s.options()
	for version := range have.Packages {
		have.Packages[version] = false
	}
	o.Feeds[0].Have, o.Spool, o.EncryptTo = have, t.TempDir(), testRecipient
	dir, _ := s.write(o)
	b := open(t, OpenOptions{Key: give(testKey)}, dir)
	for _, p := range b.Parts() {
		if p.Kind == Delta || p.Kind == Held {
			t.Errorf("%s of %s without files that lie there", p.Kind, p.Of)
		}
	}
	for ref, held := range map[string]bool{"file/big@1": true, "file/big@2": false, "file/motd@2": false} {
		row, _ := s.state().Index.State(feedtest.ParseRef(ref))
		if got := b.ReceiverHas(s.ID, row.Manifest); got != held {
			t.Errorf("the receiver has %s: %t", ref, got)
		}
		other := feed.ID{Space: s.ID.Space, Name: "other"}
		if b.ReceiverHas(other, row.Manifest) {
			t.Errorf("the receiver has %s of another feed", ref)
		}
		if _, err := readBody(b.Object(t.Context(), s.ID, row.Manifest, 0)); errors.Is(err, fs.ErrNotExist) != held {
			t.Errorf("the manifest of %s: %v", ref, err)
		}
	}
}

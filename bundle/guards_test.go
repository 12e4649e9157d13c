package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// A header between blocks of parity is bound too.
func TestParityHeader(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.Parity = 30
	dir, _ := s.write(o)
	b := open(t, OpenOptions{}, dir)
	names := volumes(t, dir)
	last := names[len(names)-1]
	raw := readAll(t, last)
	raw[b.layout.frame] ^= 1
	check(t, os.WriteFile(last, raw, 0o600))
	h, err := b.Verify(t.Context(), nil)
	check(t, err)
	if len(h.Damaged) != 1 || !h.Damaged[0].Frame || !h.Repairable {
		t.Errorf("found %+v", h.Damaged)
	}
}

// A frame with the statement about another bundle is no frame.
func TestForeignStatement(t *testing.T) {
	s := newSite(t)
	dir, _ := s.write(s.options())
	o := s.options()
	o.Label = "another"
	other, _ := s.write(o)
	a, b := open(t, OpenOptions{}, dir), open(t, OpenOptions{}, other)
	if _, err := newManifest(a.manifest.raw, b.manifest.stated); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestExpiry(t *testing.T) {
	d := exampleDocument()
	d.Expires = "2026-03-03T04:05:06Z"
	last, err := signing.ParseTime(d.Expires)
	check(t, err)
	if err := d.CheckExpiry(last); err != nil {
		t.Error(err)
	}
	if err := d.CheckExpiry(last.Add(time.Second)); !as[*ExpiredError](err) {
		t.Errorf("a second later: %v", err)
	}
	d.Expires = ""
	if err := d.CheckExpiry(last); err != nil {
		t.Error(err)
	}
}

// A delta whose head speaks of another payload or base is refused.
func TestDeltaOfAnother(t *testing.T) {
	s, have, old, edited := deltaSite(t)
	o := s.options()
	o.Feeds[0].Have, o.Spool = have, t.TempDir()
	dir, _ := s.write(o)
	forged := s.forge(dir, func(_ *Document, x *Tables, area []byte) []byte {
		for i := range x.Parts {
			if x.Parts[i].Kind == Delta {
				x.Parts[i].Base = storage.Digest{9}
			}
		}
		return area
	})
	b := open(t, OpenOptions{Base: held{storage.Digest{9}: old}.open}, forged)
	if _, err := readBody(b.Object(t.Context(), s.ID, storage.DigestOf(edited), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

// lyingSource changes objects.
type lyingSource struct {
	chunkedSource
	bytes func([]byte) []byte
}

func (l *lyingSource) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, err := l.chunkedSource.Object(ctx, id, d, off)
	if err != nil || l.bytes == nil {
		return r, err
	}
	b, err := readBody(r, nil)
	return io.NopCloser(bytes.NewReader(l.bytes(b))), err
}

// A source that changed after the feed was accepted makes no bundle.
func TestSourceChanged(t *testing.T) {
	s := newSite(t)
	folder, err := NewFolder(t.TempDir())
	check(t, err)
	o := s.options()
	o.Feeds[0].Source = newSite(t).source()
	if _, err := Prepare(t.Context(), o); !errors.Is(err, feed.ErrRoot) {
		t.Errorf("statements of another feed: %v", err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"longer":  func(b []byte) []byte { return append(b, 0) },
		"shorter": func(b []byte) []byte { return b[:len(b)-1] },
		"other":   func(b []byte) []byte { b[0] ^= 1; return b },
	} {
		lying := &lyingSource{chunkedSource: s.source().(chunkedSource)}
		o.Feeds[0].Source = lying
		p := s.plan(o)
		lying.bytes = change
		if _, err := Write(t.Context(), p, folder, s.sign, nil); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	p := s.plan(s.options())
	p.Parts[0].Kind = Delta // unchecked but for its size
	content := p.content[0]
	p.content[0] = func(ctx context.Context) (io.ReadCloser, error) {
		r, err := content(ctx)
		return io.NopCloser(io.MultiReader(r, strings.NewReader("more"))), err
	}
	if _, err := Write(t.Context(), p, folder, s.sign, nil); err == nil || !strings.Contains(err.Error(), "that were planned") {
		t.Errorf("a part that grew: %v", err)
	}
}

// What parity makes is held against the document before it has a name.
func TestRepairProved(t *testing.T) {
	s := newSite(t)
	dir, _ := tenVolumes(s)
	check(t, os.Remove(volumes(t, dir)[1]))
	b := open(t, OpenOptions{}, dir)
	h, err := b.Verify(t.Context(), nil)
	check(t, err)
	b.tables.Blocks[b.layout.perVolume()+1] = storage.Digest{} // as if the parity were of other bytes
	to := t.TempDir()
	folder, err := NewFolder(to)
	check(t, err)
	if _, err := b.Repair(t.Context(), h, folder, nil); !as[*storage.DigestError](err) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(to); len(left) > 0 {
		t.Errorf("%v were left", left)
	}
}

// Whoever signed, a bundle that says another made it counts for neither.
func TestOtherCreator(t *testing.T) {
	s := newSite(t)
	dir, _ := s.write(s.options())
	forged := s.forge(dir, func(d *Document, _ *Tables, area []byte) []byte {
		d.Creator.Lineage = s.receiver.Lineage()
		return area
	})
	b := open(t, OpenOptions{}, forged)
	f := s.Follower(b)
	_, _, err := f.Sync(t.Context(), s.ID)
	check(t, err)
	if _, err := b.Authenticate(f.View); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("got %v", err)
	}
}

// A bundle without new entries tells a newcomer what it has not.
func TestNothingNew(t *testing.T) {
	s := newSite(t)
	o := s.options()
	state := o.Feeds[0].State
	o.Feeds[0].Have = Have{Size: state.Edge.Size(), Root: state.Edge.Root()}
	dir, _ := s.write(o)
	b := open(t, OpenOptions{}, dir)
	if _, err := s.take(b); !as[*feed.GapError](err) {
		t.Errorf("a newcomer: %v", err)
	}
}

// Tables that were damaged in one place are read from the other.
func TestTablesTwice(t *testing.T) {
	s := newSite(t)
	want, err := s.take(s.source())
	check(t, err)
	dir, _ := s.write(s.options())
	name := volumes(t, dir)[0]
	raw := readAll(t, name)
	at := bytes.Index(raw, open(t, OpenOptions{}, dir).manifest.tables)
	raw[at+len(tablesHeader)+8+len(open(t, OpenOptions{}, dir).tables.Parts)*partRecord] ^= 1 // the first block's digest
	check(t, os.WriteFile(name, raw, 0o600))
	b := open(t, OpenOptions{}, dir)
	if got, err := s.take(b); err != nil || got != want {
		t.Errorf("taking: %v", err)
	}
	h, err := b.Verify(t.Context(), nil)
	check(t, err)
	if len(h.Damaged) != 1 || !h.Damaged[0].Frame || len(h.Damaged[0].Blocks) > 0 {
		t.Errorf("found %+v", h.Damaged)
	}
}

// A frame that says it is of another volume, or of none, is none.
func TestVolumeNumber(t *testing.T) {
	whole := exampleVolume(t)
	for _, wrong := range []string{"002 of 001", "000 of 001", "001 of 002"} {
		b := bytes.ReplaceAll(whole, []byte("001 of 001"), []byte(wrong))
		if _, err := readHead(bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	if _, err := readHead(bytes.NewReader(whole), int64(len(whole))); err != nil {
		t.Error(err)
	}
}

// Whatever the parity, two columns under way stay within 32 MiB.
func TestColumnsAreBounded(t *testing.T) {
	for _, block := range []int64{512, 1 << 20, maxBlock} {
		for data := 1; data < maxShards; data++ {
			d := exampleDocument()
			d.Block, d.Parity = block, &Parity{Data: data, Groups: 1, Shards: maxShards - data}
			c := &coder{layout: &layout{doc: d}}
			if n := 2 * c.width() * maxShards; n > 32<<20 || c.width() < 512 {
				t.Fatalf("%d data blocks of %d bytes take %d bytes", data, block, n)
			}
		}
	}
}

package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/storage/storetest"

	"pgregory.net/rapid"
)

// tenVolumes makes a bundle with parity of ten percent.
func tenVolumes(s *site) (string, *Written) {
	s.t.Helper()
	for i := range 6 {
		s.Publish(fmt.Sprintf("file/blob-%d@1", i), feedtest.File{Path: "blob", Data: storetest.Random(uint64(i+10), 65_000)})
	}
	o := s.options()
	o.Parity, o.Block, o.MaxVolume = 10, 1024, 120<<10
	p := s.plan(o)
	if !p.SurvivesLoss() {
		s.t.Fatalf("a lost volume is not covered: %+v %+v", p.Document.Volumes, p.Document.Parity)
	}
	return s.write(o)
}

// repaired repairs a folder's bundle into another folder, and returns both.
func repaired(t *testing.T, paths ...string) (dir string, err error) {
	t.Helper()
	b, err := Open(t.Context(), paths, OpenOptions{})
	if err != nil {
		return "", err
	}
	defer b.Close()
	h, err := b.Verify(t.Context(), nil)
	check(t, err)
	dir = t.TempDir()
	folder, err := NewFolder(dir)
	check(t, err)
	_, err = b.Repair(t.Context(), h, folder, nil)
	return dir, err
}

// Any one volume of ten may be lost, with parity of ten percent: what comes
// back is, byte for byte, what was lost.
func TestAnyVolumeMayBeLost(t *testing.T) {
	s := newSite(t)
	dir, w := tenVolumes(s)
	if n := len(w.Files); n != 10 {
		t.Errorf("%d volumes", n)
	}
	for v, name := range volumes(t, dir) {
		want := readAll(t, name)
		check(t, os.Remove(name))
		b := open(t, OpenOptions{}, dir)
		h, err := b.Verify(t.Context(), nil)
		check(t, err)
		if e, ok := errors.AsType[*MissingVolumeError](h.Err()); !ok || !e.Repairable || len(e.Volumes) != 1 {
			t.Errorf("volume %d: %v", v+1, h.Err())
		}
		to, err := repaired(t, dir)
		check(t, err)
		if got := readAll(t, filepath.Join(to, filepath.Base(name))); !bytes.Equal(got, want) {
			t.Errorf("volume %d came back as something else", v+1)
		}
		check(t, os.WriteFile(name, want, 0o600))
	}
	names := volumes(t, dir)
	check(t, os.Remove(names[0]))
	check(t, os.Remove(names[1]))
	if _, err := repaired(t, dir); !as[*MissingVolumeError](err) {
		t.Errorf("two lost volumes: %v", err)
	}
}

// Scattered damage within the share is repaired, more is named, and a medium
// that is repaired in place is whole again.
func TestScatteredDamage(t *testing.T) {
	s := newSite(t)
	dir, w := tenVolumes(s)
	want, err := s.take(s.source())
	check(t, err)
	for v, name := range volumes(t, dir) {
		raw := readAll(t, name)
		raw[len(raw)/2] ^= 1
		if v == 2 {
			clear(raw[:4096]) // both frames
			clear(raw[len(raw)-4096:])
		}
		check(t, os.WriteFile(name, raw, 0o600))
	}
	b := open(t, OpenOptions{}, dir)
	h, err := b.Verify(t.Context(), nil)
	check(t, err)
	if e, ok := errors.AsType[*DamagedError](h.Err()); !ok || !e.Repairable || len(e.Volumes) != len(b.Set().Volumes) {
		t.Fatalf("damage: %v", h.Err())
	}
	folder, err := NewFolder(dir)
	check(t, err)
	_, err = b.Repair(t.Context(), h, folder, nil)
	check(t, err)
	b = open(t, OpenOptions{}, dir)
	if h, err = b.Verify(t.Context(), nil); err != nil || !h.Whole() {
		t.Fatalf("repaired: %v, %v", err, h.Err())
	}
	if got, err := s.take(b); err != nil || got != want {
		t.Errorf("from the repaired bundle: %v", err)
	}
	frame := int(frameSize(int64(len(mustFormat(t, w.Document))), w.Document.Tables.Size))
	for _, name := range volumes(t, dir) {
		raw := readAll(t, name)
		for i := frame; i < len(raw)-frame-tarEnd; i += 2048 {
			raw[i] ^= 1
		}
		check(t, os.WriteFile(name, raw, 0o600))
	}
	if _, err := repaired(t, dir); !as[*DamagedError](err) {
		t.Errorf("too much damage: %v", err)
	}
}

// Whatever the sizes, volumes are no larger than asked for, and where the plan
// says that any volume may be lost, no group holds more of one than its parity.
func TestGeometry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pl := &planner{plan: &Plan{}}
		pl.Parity = rapid.IntRange(0, 50).Draw(t, "parity")
		pl.MaxVolume = rapid.Int64Range(60<<10, 4<<20).Draw(t, "volume")
		doc := exampleDocument()
		doc.Block = 512 * rapid.Int64Range(1, 8).Draw(t, "block")
		doc.Feeds[0].To = 1
		pl.plan.Document = doc
		pl.plan.Parts = []Part{{Kind: Statements, Count: 1, Size: rapid.Int64Range(1, 20<<20).Draw(t, "statements"), Of: storage.Digest{1}}}
		for _, size := range rapid.SliceOfN(rapid.Int64Range(1, 300_000), 0, 20).Draw(t, "sizes") {
			pl.plan.Parts = append(pl.plan.Parts, Part{Kind: Object, Size: size, Of: storage.Digest{2}})
		}
		if err := pl.arrange(); err != nil {
			if as[*VolumeSizeError](err) || doc.Volumes.Count > MaxVolumes {
				return
			}
			t.Fatal(err)
		}
		l := pl.plan.layout
		var blocks int64
		for v, size := range pl.plan.Sizes() {
			if size > pl.MaxVolume {
				t.Fatalf("volume %d of %d bytes, at most %d were asked for", v, size, pl.MaxVolume)
			}
			from, to := l.blocksOf(v)
			blocks += to - from
			if !pl.plan.SurvivesLoss() {
				continue
			}
			bad := map[int64]bool{}
			for i := from; i < to; i++ {
				bad[i] = true
			}
			if !l.repairable(bad) {
				t.Fatalf("volume %d may not be lost: %+v %+v", v, doc.Volumes, doc.Parity)
			}
		}
		if blocks != l.blocks() {
			t.Fatalf("%d blocks in volumes, there are %d", blocks, l.blocks())
		}
		if n := l.dataVolumes(); n > 1 && pl.Parity*(n+1) >= 100 && !pl.plan.SurvivesLoss() {
			t.Fatalf("%d%% of %d volumes and none may be lost: %+v", pl.Parity, n+1, doc.Parity)
		}
	})
}

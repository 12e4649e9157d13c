package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"airlock/internal/bench/peers"
	"airlock/internal/home"
)

// receiverName is the Space that bundles are made for. Its home is the folder
// "inner" of a site.
const receiverName = "acme/inner"

// behindAGap makes the home of a receiver that no network reaches. Each of the
// two Spaces knows the other.
func (s *site) behindAGap(ctx context.Context) error {
	for _, args := range [][]string{
		{"--home", s.path("inner"), "init", receiverName, "--plain-keys", "--person", "Receiver"},
		{"--home", s.path("inner"), "identity", "export", "-o", s.path("inner.id")},
	} {
		if _, _, err := peers.Run(ctx, s.airlock, args...); err != nil {
			return err
		}
	}
	h, err := home.Open(s.path("inner"))
	if err != nil {
		return err
	}
	theirs, err := h.Identity()
	if err != nil {
		return err
	}
	if err := s.trust(ctx, s.path("dev"), s.path("inner.id"), "receipts", theirs); err != nil {
		return err
	}
	return s.receiver(ctx, s.path("inner"))
}

// createBundle makes a bundle of the site's feed in the folder "stick"; args say
// where the feed is, and more.
func (s *site) createBundle(ctx context.Context, args ...string) (peers.Cost, error) {
	cost, _, err := peers.Run(ctx, s.airlock, append([]string{"--home", s.path("dev"), "bundle", "create", feedName, "--to", receiverName, "-o", s.path("stick")}, args...)...)
	return cost, err
}

// takeIn verifies what is on the stick and applies it in a folder, with the home
// of a receiver.
func (s *site) takeIn(ctx context.Context, home, into string, args ...string) (peers.Cost, error) {
	cost, _, err := peers.Run(ctx, s.airlock, append([]string{"--home", home, "pull", s.id.String(), "--from", s.path("stick"), "--into", into}, args...)...)
	return cost, err
}

// crossing measures one large file on its way over a medium.
type crossing struct {
	*bench
	file                         string
	pressed, copied, carried     side // of the peer, and the sum of the two
	published, created, together side // ours, likewise
	unpacked, taken              side
}

// measureBundles carries one large file of text from a store over a medium into
// a folder on the other side.
func measureBundles(ctx context.Context, b *bench) []row {
	rows := []row{
		{name: "tar", title: "Publish a tar of " + bytesText(b.file) + " to the directory store, in frames"},
		{name: "bundle", title: "Publish a tar of " + bytesText(b.file) + ", then write a full bundle of it"},
		{name: "takein", title: "Verify a bundle of a tar of " + bytesText(b.file) + " and take it in, durable"},
	}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	defer os.RemoveAll(dir)
	c := &crossing{bench: b, file: filepath.Join(dir, "tree.tar"),
		pressed: side{name: "zstd -3 -T2, sync"}, copied: side{name: "cp of the .zst, sync"}, carried: side{name: "zstd, sync, cp, sync"},
		published: side{name: "airlock publish --store"}, created: side{name: "airlock bundle create"}, together: side{name: "publish, bundle create"},
		unpacked: side{name: "zstd -dc, tee, openssl dgst, sync"}, taken: side{name: "airlock pull --from stick"}}
	if err := tree(c.file, b.file, false); err != nil {
		return failed(rows, err)
	}
	for i := range b.rounds {
		b.say("bundle: round %d", i+1)
		if err := c.round(ctx); err != nil {
			return failed(rows, err)
		}
	}
	c.report(&rows[0], &rows[1], &rows[2])
	return rows
}

func (c *crossing) report(tar, bundle, takein *row) {
	tar.lines = []line{
		{what: "wall time", unit: "s", peer: &c.pressed, ours: c.published, target: atMost(1.5)},
		{what: "peak memory of airlock", unit: "MiB", ours: side{name: c.published.name, values: c.published.peak}, target: below(256)},
	}
	tar.note("Files of text, 16 KiB on average. The tar is in the page cache on both sides; home and store are new in every round. Digests, cutting, signing and syncing are inside Airlock's clock.")
	bundle.lines = []line{
		{what: "create, beside packing", unit: "s", peer: &c.pressed, ours: c.created, target: atMost(0.5)},
		{what: "create, beside copying what was packed", unit: "s", peer: &c.copied, ours: c.created},
		{what: "both", unit: "s", peer: &c.carried, ours: c.together},
	}
	bundle.note("The file and its publishing are those of the row before. The target is a share of what zstd takes to pack it to disk; beside that stands what copying the packed file takes. Digests, signing, SHA256SUMS and syncing are inside Airlock's clock.")
	takein.lines = []line{
		{what: "wall time", unit: "s", peer: &c.unpacked, ours: c.taken, target: atMost(1.2)},
		{what: "peak memory of airlock", unit: "MiB", ours: side{name: c.taken.name, values: c.taken.peak}, target: below(256)},
	}
	takein.note("The medium is in the page cache on both sides; home and folder are new in every round. The peer checks nothing; that its digest is the right one is for whoever reads it.")
}

// round packs, carries and unpacks: the peer right before ours each time.
func (c *crossing) round(ctx context.Context) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSite(ctx, c.airlock, filepath.Join(dir, "site"))
	if err != nil {
		return err
	}
	if err := s.behindAGap(ctx); err != nil {
		return err
	}
	pressed, medium, store := filepath.Join(dir, "tree.tar.zst"), filepath.Join(dir, "medium"), filepath.Join(dir, "store")
	if err := os.Mkdir(medium, 0o755); err != nil {
		return err
	}
	for _, step := range []struct {
		to  *side
		run func() (peers.Cost, error)
	}{
		{&c.pressed, func() (peers.Cost, error) { return peers.Zstd(ctx, c.file, pressed) }},
		{&c.published, func() (peers.Cost, error) { return s.publishToStore(ctx, c.file, store) }},
		{&c.copied, func() (peers.Cost, error) { return peers.CopySync(ctx, pressed, medium) }},
		{&c.created, func() (peers.Cost, error) { return s.createBundle(ctx, "--store", store) }},
		{&c.unpacked, func() (peers.Cost, error) { return peers.Unzstd(ctx, pressed, medium) }},
		{&c.taken, func() (peers.Cost, error) { return s.takeIn(ctx, s.path("inner"), s.path("taken")) }},
	} {
		if err := c.clock(ctx, step.to, step.run); err != nil {
			return err
		}
	}
	c.carried.addBoth(c.pressed, c.copied)
	c.together.addBoth(c.published, c.created)
	return sameFile(c.file, s.path("taken", "file", "big", filepath.Base(c.file)))
}

// sameFile checks that a file came out as it went in.
func sameFile(want, got string) error {
	a, err := digestOf(want)
	if err != nil {
		return err
	}
	b, err := digestOf(got)
	if err == nil && a != b {
		err = fmt.Errorf("%s is another file than %s", got, want)
	}
	return err
}

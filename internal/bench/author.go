package main

import (
	"context"
	"errors"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// author writes publications of small packages. All hold the same payload, so
// that the log and not the packages is what grows.
type author struct {
	*site
	logKey  []byte
	payload []byte
}

func newAuthor(s *site, logKey []byte) *author {
	return &author{site: s, logKey: logKey, payload: []byte("the payload of every package\n")}
}

// pkg is a version of a package.
type pkg struct{ name, version string }

// batch signs publications of packages that are new to the feed, each following
// the one before it in the batch. It may be called concurrently.
func (a *author) batch(ctx context.Context, packages []pkg) (feed.Batch, error) {
	b := feed.Batch{Feed: a.id, Epoch: 1}
	objects := map[storage.Digest]bool{}
	add := func(content []byte) storage.Digest {
		c := feed.ContentOf(content)
		if !objects[c.Digest] {
			objects[c.Digest] = true
			b.Objects = append(b.Objects, c)
		}
		return c.Digest
	}
	add(a.payload)
	heads := map[string]signing.ID{}
	unsigned := make([]signing.Statement, len(packages))
	for i, p := range packages {
		m := feed.Manifest{Kind: "file", Title: "entry", Version: p.version, Layers: []feed.Layer{
			{Ref: storage.RefOf(a.payload), Path: "entry.txt", MediaType: "text/plain"}}}
		raw, err := m.Format()
		if err != nil {
			return b, err
		}
		st, err := a.publication(heads, p, add(raw), len(raw))
		if err != nil {
			return b, err
		}
		unsigned[i] = st
	}
	b.Statements = make([]signing.Attestation, len(unsigned))
	errs := make([]error, len(unsigned))
	feed.Parallel(len(unsigned), func(i int) { b.Statements[i], errs[i] = a.signer.Sign(ctx, unsigned[i]) })
	return b, errors.Join(errs...)
}

// publication is the unsigned statement, which becomes the head of its name.
func (a *author) publication(heads map[string]signing.ID, p pkg, manifest storage.Digest, size int) (signing.Statement, error) {
	pub := feed.Publication{Epoch: 1, Feed: a.id, Kind: "file", Lineage: a.own.Lineage(), ManifestSize: int64(size),
		Name: p.name, Time: signing.FormatTime(time.Now()), Title: "entry", Version: p.version}
	if head, ok := heads[p.name]; ok {
		pub.Previous = &head
	}
	st, err := pub.Statement(manifest)
	if err != nil {
		return st, err
	}
	id, err := st.ID()
	heads[p.name] = id
	return st, err
}

// opening is the batch that begins the feed.
func (a *author) opening(ctx context.Context) (feed.Batch, error) {
	return openingOf(ctx, a.id, a.own, a.signer, a.logKey)
}

// openingOf is the batch that begins a feed of a Space.
func openingOf(ctx context.Context, id feed.ID, own *trust.History, signer *signing.Signer, logKey []byte) (feed.Batch, error) {
	o := feed.Opening{Epoch: 1, Feed: id, Identity: own.Current().Version, Lineage: own.Lineage(), LogKey: logKey, Origin: id.Origin(1)}
	st, err := o.Statement()
	if err != nil {
		return feed.Batch{}, err
	}
	signed, err := signer.Sign(ctx, st)
	b := feed.Batch{Feed: id, Epoch: 1, Statements: []signing.Attestation{signed}}
	for _, v := range own.Versions() {
		b.Statements = append(b.Statements, v.Statements...)
		b.Objects = append(b.Objects, feed.ContentOf(v.Identity.Raw()))
	}
	return b, err
}

package feed

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"airlock/storage"
	"airlock/trust"
)

// Package is a package of an accepted entry: its manifest was checked against
// the statement, and what its files hold is checked while it is read.
type Package struct {
	Row      Row
	Manifest Manifest

	small  map[storage.Digest][]byte
	source Source
	id     ID
	bases  func(Ref, string) (Base, bool)
	// reading is Follower.Reading.
	reading func(n int)
}

// Open returns the bytes of file i of the manifest. They are checked against
// the manifest: what does not match ends in an error instead of io.EOF.
func (p *Package) Open(ctx context.Context, i int) (io.ReadCloser, error) {
	layer := p.Manifest.Layers[i]
	if b, ok := p.small[layer.Digest]; ok {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	r, err := p.openLarge(ctx, i)
	if r == nil && err == nil {
		r, err = p.source.Object(ctx, p.id, layer.Digest, 0)
	}
	if err != nil {
		return nil, p.errLayer(i, err)
	}
	return p.counted(storage.Checked(ctx, r, layer.Ref)), nil
}

// counted returns r, with who wants to know told of what is read.
func (p *Package) counted(r io.ReadCloser) io.ReadCloser {
	if p.reading == nil {
		return r
	}
	return storage.Counted(r, p.reading)
}

// fetchAhead is how many segments' packs are fetched at the same time.
const fetchAhead = 4

// Fetch gets the packages of rows, which are publications in the order of
// their index, and hands them to each in that order. Where the source has
// packs, small packages come by the segment.
func (f *Follower) Fetch(ctx context.Context, s *State, rows []Row, each func(*Package) error) error {
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan group, fetchAhead)
	g.Go(func() error {
		defer close(queue)
		for len(rows) > 0 {
			n := 1
			for n < len(rows) && rows[n].Index/SegmentSize == rows[0].Index/SegmentSize {
				n++
			}
			mine, out := rows[:n], make(chan group, 1)
			rows = rows[n:]
			select {
			case queue <- out:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				out <- f.fetchGroup(ctx, s, mine)
				return nil
			})
		}
		return nil
	})
	g.Go(func() error {
		for out := range queue {
			got := <-out
			if got.err != nil {
				return got.err
			}
			for _, p := range got.packages {
				if err := each(p); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return g.Wait()
}

type group struct {
	packages []*Package
	err      error
}

// fetchGroup gets the packages of one segment.
func (f *Follower) fetchGroup(ctx context.Context, s *State, rows []Row) group {
	small, err := f.pack(ctx, s, rows)
	if err != nil {
		return group{err: err}
	}
	var out []*Package
	for _, row := range rows {
		p, err := f.fetchOne(ctx, s, row, small)
		if err != nil {
			return group{err: err}
		}
		out = append(out, p)
	}
	return group{packages: out}
}

// pack gets the pack of the rows' segment if that saves requests. It is a
// cache: without it the objects come one by one.
func (f *Follower) pack(ctx context.Context, s *State, rows []Row) (*Pack, error) {
	packs, ok := f.Source.(Packs)
	if !ok || len(rows) < 2 {
		return nil, nil
	}
	from := rows[0].Index
	p, err := packs.Pack(ctx, s.ID, from, min(s.Edge.Size(), (from/SegmentSize+1)*SegmentSize))
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return p, nil
}

func (f *Follower) fetchOne(ctx context.Context, s *State, row Row, pack *Pack) (*Package, error) {
	var raw []byte
	if pack != nil {
		raw, _ = pack.Object(row.Manifest)
	}
	if raw == nil {
		var err error
		if raw, err = ReadObject(ctx, f.Source, s.ID, row.Manifest, MaxManifest); err != nil {
			return nil, fmt.Errorf("%s: manifest: %w", row.Ref, err)
		}
	}
	m, err := ParseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", row.Ref, trust.ErrMalformed, err)
	}
	if m.Kind != row.Ref.Kind || m.Version != row.Ref.Version || int64(len(raw)) != row.ManifestSize {
		return nil, fmt.Errorf("%s: %w: %s version %s, %d bytes", row.Ref, errOtherPackage, m.Kind, m.Version, len(raw))
	}
	p := &Package{Row: row, Manifest: m, source: f.Source, id: s.ID, bases: f.Bases, reading: f.Reading, small: map[storage.Digest][]byte{}}
	if pack != nil {
		for _, l := range m.Layers {
			if b, ok := pack.Object(l.Digest); ok && int64(len(b)) == l.Size {
				p.small[l.Digest] = b
			}
		}
	}
	return p, nil
}

var errOtherPackage = fmt.Errorf("%w: the manifest is of another package", trust.ErrMalformed)

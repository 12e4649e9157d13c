package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// statements plans the statements of a feed, and the documents that they name.
func (pl *planner) statements(ctx context.Context, number int) error {
	f := pl.Feeds[number]
	from, to := f.Have.Size, f.State.Edge.Size()
	var documents []document
	for first := from; first < to; {
		end := min((first/feed.SegmentSize+1)*feed.SegmentSize, to)
		s, err := readSegment(ctx, f.Source, f.State.ID, first, end)
		if err != nil {
			return err
		}
		named, err := checkSegment(s, f.State.Index)
		if err != nil {
			return err
		}
		documents = append(documents, named...)
		raw := s.Format()
		begin := first
		pl.add(Part{Kind: Statements, Feed: number, First: first, Count: int(end - first), Size: int64(len(raw)), Of: storage.DigestOf(raw)},
			func(ctx context.Context) (io.ReadCloser, error) {
				s, err := readSegment(ctx, f.Source, f.State.ID, begin, end)
				return io.NopCloser(bytes.NewReader(s.Format())), err
			})
		first = end
	}
	for i, d := range documents {
		if d.kind == signing.Holdings && newerHoldings(documents[i+1:]) {
			continue // a snapshot stands for all before it
		}
		if err := pl.document(ctx, number, d); err != nil {
			return err
		}
	}
	return nil
}

func newerHoldings(rest []document) bool {
	for _, d := range rest {
		if d.kind == signing.Holdings {
			return true
		}
	}
	return false
}

// document is an object that a statement speaks of and that has no manifest.
type document struct {
	kind   signing.Kind
	index  int64
	digest storage.Digest
	void   bool
}

// readSegment reads the entries from first up to end, which lie in one segment.
func readSegment(ctx context.Context, src feed.Source, id feed.ID, first, end int64) (feed.Segment, error) {
	out := feed.Segment{Start: first}
	for s, err := range src.Segments(ctx, id, first, end) {
		if err != nil {
			return out, err
		}
		next := first + int64(len(out.Statements))
		if s.Start > next || s.Start+int64(len(s.Statements)) <= next {
			return out, &feed.GapError{ID: id, From: next, To: max(s.Start, next+1)}
		}
		out.Statements = append(out.Statements, s.Statements[next-s.Start:]...)
		if int64(len(out.Statements)) >= end-first {
			out.Statements = out.Statements[:end-first]
			return out, nil
		}
	}
	return out, &feed.GapError{ID: id, From: first + int64(len(out.Statements)), To: end}
}

// checkSegment holds statements against the accepted index, and returns the
// documents that they name.
func checkSegment(s feed.Segment, x *feed.Index) ([]document, error) {
	var out []document
	for i, raw := range s.Statements {
		a, err := feed.Logged(raw)
		row := x.Row(s.Start + int64(i))
		if err != nil || a.ID() != row.ID {
			return nil, fmt.Errorf("entry %d of the source is not the one that was accepted: %w", row.Index, feed.ErrRoot)
		}
		kind := signing.Identity
		switch {
		case row.What == feed.IsIdentity:
		case row.What == feed.IsOther && row.Ref.Kind == string(signing.Holdings) && row.Void == "":
			kind = signing.Holdings
		default:
			continue
		}
		if st, err := signing.ParseStatement(a.Payload()); err == nil {
			out = append(out, document{kind, row.Index, st.Subject, row.Void != ""})
		}
	}
	return out, nil
}

// document plans a document. A void entry may name something that nobody has.
func (pl *planner) document(ctx context.Context, number int, d document) error {
	f := pl.Feeds[number]
	if !pl.first(number, d.digest) {
		return nil
	}
	limit := int64(trust.MaxIdentity)
	if d.kind == signing.Holdings {
		limit = storage.MaxFile
	}
	raw, err := feed.ReadObject(ctx, f.Source, f.State.ID, d.digest, limit)
	if err != nil && d.void && ctx.Err() == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("entry %d: %s: %w", d.index, d.kind, err)
	}
	pl.object(number, storage.RefOf(raw))
	return nil
}

// first reports whether an object has no part yet, and gives it one.
func (pl *planner) first(number int, d storage.Digest) bool {
	key := objectKey{pl.Feeds[number].State.ID.Space, d}
	if pl.carried[key] {
		return false
	}
	pl.carried[key] = true
	return true
}

// object adds an object as it is.
func (pl *planner) object(number int, ref storage.Ref) {
	f := pl.Feeds[number]
	pl.add(Part{Kind: Object, Feed: number, Size: ref.Size, Of: ref.Digest}, func(ctx context.Context) (io.ReadCloser, error) {
		return f.Source.Object(ctx, f.State.ID, ref.Digest, 0)
	})
}

// packages plans the payloads of a feed: small ones by the segment, large ones
// each on its own. What the receiver took is named.
func (pl *planner) packages(ctx context.Context, number int) error {
	f := pl.Feeds[number]
	rows, held := pl.rows(f)
	for _, manifest := range held {
		pl.add(Part{Kind: HeldPackage, Feed: number, Of: manifest}, nil)
	}
	pl.plan.Packages = append(pl.plan.Packages, rows)
	scanned, err := pl.scanned(ctx, f, rows)
	if err != nil {
		return err
	}
	bases := newBases(f)
	var large []largeFile
	for len(rows) > 0 {
		n := 1
		start := rows[0].Index / feed.SegmentSize * feed.SegmentSize
		for n < len(rows) && rows[n].Index < start+feed.SegmentSize {
			n++
		}
		group := rows[:n]
		rows = rows[n:]
		pack, more, err := f.pack(ctx, group)
		if err != nil {
			return err
		}
		raw := pack.Format()
		pl.add(Part{Kind: Packed, Feed: number, First: start, Size: int64(len(raw)), Of: storage.DigestOf(raw)},
			func(ctx context.Context) (io.ReadCloser, error) {
				pack, _, err := f.pack(ctx, group)
				if err != nil {
					return nil, err
				}
				return io.NopCloser(bytes.NewReader(pack.Format())), nil
			})
		large = append(large, more...)
		if err := pl.scans(number, start, group, scanned); err != nil {
			return err
		}
	}
	for _, file := range large {
		if !pl.first(number, file.Digest) {
			continue
		}
		if err := pl.largeFile(ctx, number, file, bases); err != nil {
			return fmt.Errorf("%s: %s: %w", file.of, file.path, err)
		}
	}
	return nil
}

// largeFile is what does not fit a pack: a payload, or a manifest.
type largeFile struct {
	storage.Ref
	of       feed.Ref
	path     string
	manifest bool
}

// rows returns the publications whose payloads are carried: what is new and
// live, and of what the receiver has seen the newest of each name that it says
// it does not hold. So a base never makes too little of a bundle. It returns the
// manifests of what is live and held, too.
func (pl *planner) rows(f Feed) (carried []feed.Row, held []storage.Digest) {
	newest := map[string]int64{}
	for r := range f.State.Index.Rows(0) {
		if f.State.Index.Live(r) {
			newest[r.Ref.Kind+"/"+r.Ref.Name] = r.Index
		}
	}
	for r := range f.State.Index.Rows(0) {
		if !f.State.Index.Live(r) {
			continue
		}
		if _, took := f.Have.took(r); took {
			held = append(held, r.Manifest)
			continue
		}
		if r.Index < f.Have.Size && newest[r.Ref.Kind+"/"+r.Ref.Name] != r.Index {
			continue
		}
		if pl.Carry != nil && !pl.Carry(f.State.ID, r) {
			pl.plan.LeftOut++
			continue
		}
		carried = append(carried, r)
	}
	return carried, held
}

// pack puts the manifests and small files of rows of one segment together, and
// returns what does not fit.
func (f Feed) pack(ctx context.Context, rows []feed.Row) (*feed.Pack, []largeFile, error) {
	pack := feed.NewPack()
	var large []largeFile
	reader := &feed.Follower{Source: f.Source}
	err := reader.Fetch(ctx, f.State, rows, func(p *feed.Package) error {
		raw, err := p.Manifest.Format()
		if err != nil {
			return err
		}
		if !pack.Add(p.Row.Manifest, raw) {
			large = append(large, largeFile{storage.RefOf(raw), p.Row.Ref, "manifest", true})
		}
		for i, l := range p.Manifest.Layers {
			small := l.Size <= feed.MaxPacked
			if small {
				if small, err = packFile(ctx, pack, p, i); err != nil {
					return err
				}
			}
			if !small {
				large = append(large, largeFile{l.Ref, p.Row.Ref, l.Path, false})
			}
		}
		return nil
	})
	return pack, large, err
}

// packFile adds file i of a package, and reports whether there was room for it.
func packFile(ctx context.Context, pack *feed.Pack, p *feed.Package, i int) (bool, error) {
	r, err := p.Open(ctx, i)
	if err != nil {
		return false, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return false, fmt.Errorf("%s: %s: %w", p.Row.Ref, p.Manifest.Layers[i].Path, err)
	}
	return pack.Add(p.Manifest.Layers[i].Digest, b), nil
}

// largeFile plans a large file: not at all where the receiver holds it, as a
// delta, in frames, or as it is.
func (pl *planner) largeFile(ctx context.Context, number int, file largeFile, b *bases) error {
	f := pl.Feeds[number]
	x, err := f.chunks(ctx, file.Ref)
	if err != nil {
		return err
	}
	base, held, err := b.of(ctx, file)
	switch {
	case err != nil:
		return err
	case held:
		pl.add(Part{Kind: Held, Feed: number, Of: file.Digest}, nil)
		return nil
	case x == nil:
		pl.object(number, file.Ref)
		return nil
	}
	if base != nil && pl.Spool != "" {
		done, err := pl.delta(ctx, number, x, *base)
		if done || err != nil {
			return err
		}
	}
	raw, err := x.Format()
	if err != nil {
		return err
	}
	pl.add(Part{Kind: Chunks, Feed: number, Size: int64(len(raw)), Of: file.Digest}, func(ctx context.Context) (io.ReadCloser, error) {
		x, err := f.chunks(ctx, file.Ref)
		if err != nil || x == nil {
			return nil, errors.Join(err, fmt.Errorf("chunks of %s are not there any more", file.Digest))
		}
		raw, err := x.Format()
		return io.NopCloser(bytes.NewReader(raw)), err
	})
	if x.Plain() || pl.first(number, x.Frames.Digest) {
		pl.object(number, x.Frames)
	}
	return nil
}

// chunks returns how the source cuts a payload, nil where it does not.
func (f Feed) chunks(ctx context.Context, ref storage.Ref) (*storage.ChunkIndex, error) {
	source, ok := f.Source.(feed.Chunks)
	if !ok || ref.Size <= storage.ChunkAbove {
		return nil, nil
	}
	x, err := source.Chunks(ctx, f.State.ID, ref.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && x.Payload != ref {
		err = fmt.Errorf("the source cuts another payload, %s", x.Payload.Digest)
	}
	return x, err
}

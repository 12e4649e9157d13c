package feed

import (
	"bytes"
	"context"
	"errors"

	"airlock/signing"
	"airlock/trust"
)

// A newcomer looks for holdings with a snapshot among the entries that it has to
// read in any case: those behind the last full page, and behind the one before
// it, since the page may be younger than the newest holdings.
const (
	lookBack = 2 * PageSize
	stride   = 16 * SegmentSize // entries that are looked through at once
)

var holdingsType = []byte(`"predicateType":"` + signing.Holdings.PredicateType() + `"`)

var errNoSnapshot = errors.New("there is no snapshot to go on from")

// goOn reads a feed of which nothing was seen from its newest snapshot on. What
// the snapshot says of the entries before is the word of its signer. All that is
// behind it is read and verified as always, the holdings themselves with it: they
// must count where they stand, in the tree that the checkpoint signs. So whoever
// keeps the feed can withhold a snapshot, and not change what it says.
//
// An error means that the feed is to be read from its start. The view has learned
// nothing then.
func (f *Follower) goOn(ctx context.Context, id ID, got Checkpoint) (*fold, error) {
	own := *f
	own.View = f.View.Clone()
	w, from, err := own.snapshotFold(ctx, id, got)
	if err != nil {
		return nil, err
	}
	if err := own.read(ctx, w, got); err != nil {
		return nil, err
	}
	opened, err := OpenCheckpoint(got.Note, id.Origin(w.epoch), w.logKey)
	if err != nil {
		return nil, err
	}
	if w.unread != nil || w.edge.Size() != opened.Size || w.edge.Root() != opened.Root {
		return nil, ErrRoot
	}
	row := w.index.Row(from.index)
	if row.Void != "" || row.ID != from.id || own.outdated(from.Identity) {
		return nil, errNoSnapshot
	}
	*f.View = *own.View
	return w, nil
}

// offer is a snapshot, and the entry of the holdings that hold it.
type offer struct {
	*Snapshot
	index int64
	id    signing.ID
}

// snapshotFold returns a fold that stands where the newest snapshot ends.
func (f *Follower) snapshotFold(ctx context.Context, id ID, got Checkpoint) (*fold, *offer, error) {
	w := f.begin(id, nil, false)
	if err := f.openAlone(ctx, w, got); err != nil {
		return nil, nil, err
	}
	from, err := f.newestSnapshot(ctx, w, got.Size)
	if err != nil {
		return nil, nil, err
	}
	index := NewIndex()
	for _, p := range from.Pages {
		raw, err := ReadObject(ctx, f.Source, id, p.Digest, p.Size)
		if err == nil {
			err = index.AddPage(raw)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if index.FullPages() != len(from.Pages) || index.Size() != from.entries() {
		return nil, nil, malformed("feed %s: a page of the snapshot is not full", id)
	}
	on := f.begin(id, nil, false)
	on.index, on.logKey, on.began = index, w.logKey, index.Size()
	if on.edge, err = from.edge(); err != nil {
		return nil, nil, err
	}
	return on, from, f.identities(ctx, on)
}

// openAlone reads entry 0 and what stands right behind it, and holds the
// checkpoint against the log key that it names.
func (f *Follower) openAlone(ctx context.Context, w *fold, got Checkpoint) error {
	for s, err := range f.ahead(ctx, w.id, 0, SegmentSize) {
		if err != nil || len(s.items) == 0 {
			return errors.Join(err, errNoSnapshot)
		}
		if _, err := w.open(ctx, s.items); err != nil {
			return err
		}
		_, err := OpenCheckpoint(got.Note, w.id.Origin(w.epoch), w.logKey)
		return err
	}
	return errors.Join(ctx.Err(), errNoSnapshot)
}

// newestSnapshot looks from the newest entries back. Nothing is believed but what
// a leaf of the newest identity signed that is known beforehand: pages are large.
func (f *Follower) newestSnapshot(ctx context.Context, w *fold, size int64) (*offer, error) {
	view := f.View.Clone()
	view.PutInForce(view.History().Current().Version, w.signers.at(0))
	lowest := max(size/PageSize*PageSize+PageSize-lookBack, PageSize)
	for to := size; to > lowest; {
		from := max((to-1)/stride*stride, lowest)
		var found *offer
		for s, err := range f.ahead(ctx, w.id, from, to) {
			if err != nil {
				return nil, err
			}
			for i := range s.items {
				if o := f.offered(view, w, &s.items[i]); o != nil {
					found = o
				}
			}
		}
		if found != nil || ctx.Err() != nil {
			return found, ctx.Err()
		}
		to = from
	}
	return nil, errNoSnapshot
}

// offered returns the snapshot of an entry, nil where it has none to go by.
func (f *Follower) offered(view *trust.View, w *fold, it *item) *offer {
	if it.denied != nil || !bytes.Contains(it.att.Payload(), holdingsType) {
		return nil
	}
	v, err := view.Verify(it.att, trust.Want{Kind: signing.Holdings}, w.signers.at(it.index))
	if err != nil {
		return nil
	}
	h, err := ParseHoldings(v.Statement())
	if err != nil || h.Snapshot == nil || h.Snapshot.entries() > it.index || f.outdated(h.Snapshot.Identity) {
		return nil
	}
	return &offer{h.Snapshot, it.index, it.att.ID()}
}

// identities reads the trust entries that the pages of a fold name, and lets them
// count.
func (f *Follower) identities(ctx context.Context, w *fold) error {
	var rows []Row
	for i := range w.index.Identities() {
		rows = append(rows, w.index.Row(i))
	}
	if len(rows) == 0 || rows[0].What != IsOpening || rows[0].Index != 0 {
		return malformed("feed %s: the snapshot does not begin with the opening", w.id)
	}
	s := &State{ID: w.id, Epoch: w.epoch, Edge: w.edge}
	return f.reread(ctx, s, rows, func(rows []Row, atts []signing.Attestation) error {
		for i, row := range rows {
			err := error(nil)
			if row.Index == 0 {
				err = w.signers.Open(atts[i])
			} else {
				err = w.signers.Add(ctx, row.Index, atts[i])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

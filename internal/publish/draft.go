package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// draft is a batch that grows until it is signed.
type draft struct {
	feed    feed.ID
	epoch   uint64
	lineage trust.Lineage
	logKey  []byte
	state   *feed.State // nil where the feed is to be opened

	// ready holds identity statements, which are signed already; statements
	// what follows them, and signed what is about no package and was signed
	// before. The opening, where there is one, comes first.
	opening    *signing.Statement
	ready      []signing.Attestation
	statements []unsigned
	signed     []signing.Attestation
	objects    []feed.Content
	seen       map[storage.Digest]bool
}

// unsigned is a statement whose previous may be another one of the draft, so
// it can only be written out once that one's ID is known. IDs do not depend on
// signatures, so all of them can then be signed at once.
type unsigned struct {
	ref  feed.Ref
	make func(previous *signing.ID) (signing.Statement, error)
}

// draft begins a batch: for a feed that does not exist with its opening, and
// with every identity version that the feed does not carry yet.
func (p *Publisher) draft(ctx context.Context, state *feed.State) (*draft, error) {
	d := &draft{feed: p.Feed, epoch: 1, lineage: p.Own.Lineage(), state: state, seen: map[storage.Digest]bool{}}
	carried := 0
	if state != nil {
		d.epoch, d.logKey, carried = state.Epoch, state.LogKey, feed.Carried(state.InForce)
	} else {
		if err := d.open(ctx, p); err != nil {
			return nil, err
		}
	}
	for _, v := range p.Own.Versions() {
		if v.Identity.Version > carried {
			d.ready = append(d.ready, v.Statements...)
			d.object(feed.ContentOf(v.Identity.Raw()))
		}
	}
	return d, nil
}

func (d *draft) open(ctx context.Context, p *Publisher) error {
	key, err := p.To.LogKey(ctx)
	if err != nil {
		return err
	}
	o := feed.Opening{Epoch: d.epoch, Feed: d.feed, Identity: p.Own.Current().Version, Lineage: d.lineage, LogKey: key, Origin: d.feed.Origin(d.epoch)}
	st, err := o.Statement()
	d.opening, d.logKey = &st, key
	return err
}

func (d *draft) object(c feed.Content) {
	if !d.seen[c.Digest] {
		d.seen[c.Digest] = true
		d.objects = append(d.objects, c)
	}
}

// add adds the publication of a package.
func (d *draft) add(p Package, now time.Time) {
	d.object(feed.ContentOf(p.Manifest))
	for _, c := range p.Contents {
		d.object(c)
	}
	pub := feed.Publication{Epoch: d.epoch, Feed: d.feed, Kind: p.Ref.Kind, Lineage: d.lineage, ManifestSize: int64(len(p.Manifest)),
		Name: p.Ref.Name, Time: signing.FormatTime(now), Title: p.Title, Urgent: p.Urgent, Version: p.Ref.Version}
	d.statements = append(d.statements, unsigned{p.Ref, func(previous *signing.ID) (signing.Statement, error) {
		pub.Previous = previous
		return pub.Statement(p.Digest)
	}})
}

// withdraw adds the withdrawal of a version.
func (d *draft) withdraw(row feed.Row, reason string, now time.Time) {
	w := feed.Withdrawal{Epoch: d.epoch, Feed: d.feed, Kind: row.Ref.Kind, Lineage: d.lineage, Name: row.Ref.Name,
		Reason: reason, Time: signing.FormatTime(now), Version: row.Ref.Version}
	d.statements = append(d.statements, unsigned{row.Ref, func(previous *signing.ID) (signing.Statement, error) {
		w.Previous = previous
		return w.Statement(row.Manifest)
	}})
}

// write writes the statements out, each naming the one before it.
func (d *draft) write() ([]signing.Statement, error) {
	var out []signing.Statement
	if d.opening != nil {
		out = append(out, *d.opening)
	}
	heads := map[string]signing.ID{}
	for _, u := range d.statements {
		name := u.ref.Kind + "/" + u.ref.Name
		previous, ok := heads[name]
		if !ok && d.state != nil {
			var row feed.Row
			row, ok = d.state.Index.Head(u.ref.Kind, u.ref.Name)
			previous = row.ID
		}
		var before *signing.ID
		if ok {
			before = &previous
		}
		st, err := u.make(before)
		if err != nil {
			return nil, err
		}
		id, err := st.ID()
		if err != nil {
			return nil, err
		}
		heads[name] = id
		out = append(out, st)
	}
	return out, nil
}

// sign signs a draft, and returns the batch and the IDs of the drafted statements,
// which end it.
func (p *Publisher) sign(ctx context.Context, d *draft) (feed.Batch, []signing.ID, error) {
	statements, err := d.write()
	if err != nil {
		return feed.Batch{}, nil, err
	}
	signed, err := p.signAll(ctx, statements)
	if err != nil {
		return feed.Batch{}, nil, err
	}
	first := 0
	all := make([]signing.Attestation, 0, len(signed)+len(d.ready)+len(d.signed))
	if d.opening != nil {
		all, first = append(all, signed[0]), 1
	}
	all = append(append(append(all, d.ready...), d.signed...), signed[first:]...)
	ids := make([]signing.ID, 0, len(d.statements))
	for _, a := range signed[first:] {
		ids = append(ids, a.ID())
	}
	return feed.Batch{Feed: d.feed, Epoch: d.epoch, Statements: all, Objects: d.objects}, ids, nil
}

// commit signs a draft, commits it and checks the answer. It returns what the
// drafted statements became; their IDs also where the answer was no.
func (p *Publisher) commit(ctx context.Context, d *draft) ([]signing.ID, []int64, error) {
	b, ids, err := p.sign(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	accepted, err := p.To.Publish(ctx, b)
	if err != nil {
		return ids, nil, err
	}
	if accepted.Added < len(b.Statements) {
		return ids, nil, fmt.Errorf("feed %s: %w", d.feed, errAlready)
	}
	if err := accepted.Verify(d.feed, d.logKey, b.Statements); err != nil {
		return nil, nil, err
	}
	return ids, accepted.Indices[len(b.Statements)-len(ids):], nil
}

// signAll signs statements on all processors.
func (p *Publisher) signAll(ctx context.Context, statements []signing.Statement) ([]signing.Attestation, error) {
	out := make([]signing.Attestation, len(statements))
	errs := make([]error, len(statements))
	feed.Parallel(len(statements), func(i int) { out[i], errs[i] = p.Sign.Sign(ctx, statements[i]) })
	return out, errors.Join(errs...)
}

// PlanWithdrawal returns what Withdraw would do by a state of the feed; Index
// is that of the publication.
func (p *Publisher) PlanWithdrawal(state *feed.State, refs []feed.Ref) ([]Result, error) {
	rows, err := p.live(state, refs)
	results := make([]Result, len(rows))
	for i, row := range rows {
		results[i] = Result{Ref: row.Ref, Index: row.Index, New: true}
	}
	return results, err
}

// live returns the publications of versions. One that is not live gives
// *feed.VersionError.
func (p *Publisher) live(state *feed.State, refs []feed.Ref) ([]feed.Row, error) {
	rows := make([]feed.Row, len(refs))
	for i, r := range refs {
		row, ok := state.Index.State(r)
		if !ok || row.What == feed.IsWithdrawal {
			return nil, fmt.Errorf("feed %s: %w", p.Feed, &feed.VersionError{Ref: r, Have: row.Manifest, Index: row.Index, Withdrawn: ok, Withdrawing: true})
		}
		rows[i] = row
	}
	return rows, nil
}

// Withdraw withdraws versions, for good. Each must be live.
func (p *Publisher) Withdraw(ctx context.Context, refs []feed.Ref, reason string) ([]Result, error) {
	for range maxTries {
		state, err := p.Sync(ctx)
		if err != nil {
			return nil, err
		}
		d, err := p.draft(ctx, state)
		if err != nil {
			return nil, err
		}
		rows, err := p.live(state, refs)
		if err != nil {
			return nil, err
		}
		results := make([]Result, len(rows))
		for i, row := range rows {
			d.withdraw(row, reason, p.Now())
			results[i] = Result{Ref: row.Ref, New: true}
		}
		ids, indices, err := p.commit(ctx, d)
		if err == nil {
			for i := range results {
				results[i].ID, results[i].Index = ids[i], indices[i]
			}
			return results, nil
		}
		if !retryable(err, d) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("feed %s: others of the Space published each time: %w", p.Feed, errAlready)
}

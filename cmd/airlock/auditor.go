package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/receipts"
	"airlock/signing"
	"airlock/trust"
)

// auditor reads what an audit needs, with a memory of its own: what was seen
// here before is one more witness, and no more than that.
type auditor struct {
	*app
	places     places
	identities map[trust.Space]*trust.History
	audit      *receipts.Audit
	back       *followedFeed                     // with the receipts
	feeds      map[receipts.Wanted]*followedFeed // that were read of those that receipts speak of
}

// followedFeed is a feed that was read, from all places that have it.
type followedFeed struct {
	opened
	void map[int64]error
}

func (a *app) newAuditor(ctx context.Context, how receipts.AuditOptions, o auditOptions) (*auditor, error) {
	r := &auditor{app: a, identities: map[trust.Space]*trust.History{}, feeds: map[receipts.Wanted]*followedFeed{}, audit: receipts.NewAudit(how)}
	if err := r.readIdentities(o.identities); err != nil {
		return nil, err
	}
	var err error
	r.places, err = a.places(ctx, o.from)
	return r, err
}

// readIdentities collects what is known of each Space. A file that was named
// comes before what the home has.
func (r *auditor) readIdentities(files []string) error {
	known, err := r.knownSpaces()
	if err != nil {
		return err
	}
	for _, h := range slices.Backward(known) { // the home's own comes first, and counts
		r.identities[h.Space()] = h
	}
	for _, path := range files {
		b, err := home.ReadFile(path, trust.MaxFile)
		if err != nil {
			return err
		}
		history, err := trust.ParseFile(b)
		if err != nil {
			return badFile(path, err)
		}
		r.identities[history.Space()] = history
	}
	return nil
}

// run reads everything. A feed that its receipts speak of and that is not to be
// had is a finding; without the receipts there is no audit.
func (r *auditor) run(ctx context.Context, id feed.ID) (*receipts.Report, error) {
	back, err := r.follow(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := r.audit.Receipts(ctx, back.follower, back.state, back.void); err != nil {
		return nil, tampered(err)
	}
	r.back = back
	r.brokenBundles(id)
	all := []*followedFeed{back}
	for _, w := range r.audit.Wanted() {
		f, err := r.source(ctx, w)
		if err != nil {
			return nil, err
		}
		if f != nil {
			r.feeds[w] = f
			all = append(all, f)
		}
	}
	if err := r.sightings(ctx, all); err != nil {
		return nil, err
	}
	for _, f := range all[1:] {
		if err := r.audit.Feed(ctx, f.follower, f.state); err != nil {
			return nil, tampered(err)
		}
	}
	return r.audit.Report(), nil
}

// source follows a feed that receipts speak of; nil where it cannot be checked,
// which is a finding then.
func (r *auditor) source(ctx context.Context, w receipts.Wanted) (*followedFeed, error) {
	if r.identities[w.ID.Space] == nil {
		r.unchecked(w.ID, "receipts speak of it, and no identity of %s is known here", w.ID.Space)
		return nil, nil
	}
	f, err := r.follow(ctx, w.ID)
	if errors.Is(err, errUnread) {
		r.unchecked(w.ID, "receipts speak of it, and no place that was read has it")
		return nil, nil
	}
	if err == nil && f.state.Epoch != w.Epoch {
		r.unchecked(w.ID, "receipts speak of epoch %d, and here is epoch %d", w.Epoch, f.state.Epoch)
		return nil, nil
	}
	return f, err
}

// holdingsRead is how many of a feed's newest holdings are looked at.
const holdingsRead = 20

// sightings tells the audit which checkpoints others were shown: this home, and
// the Spaces whose holdings stand in the feeds.
func (r *auditor) sightings(ctx context.Context, feeds []*followedFeed) error {
	seen, err := r.followedFeeds()
	if err != nil {
		return err
	}
	for _, s := range seen {
		r.audit.Saw(s.Checkpoint(), receipts.Place{Feed: s.ID, Index: receipts.Remembered})
	}
	for _, f := range feeds {
		var rows []feed.Row
		for row := range f.state.Index.Others(signing.Holdings, 0) {
			if rows = append(rows, row); len(rows) == holdingsRead {
				break
			}
		}
		slices.Reverse(rows)
		err := f.follower.Statements(ctx, f.state, rows, func(row feed.Row, v trust.Verified, _ signing.Attestation) error {
			account, err := feed.ReadAccount(ctx, f, f.state.ID, v)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a medium need not carry the documents of all
			}
			if err != nil {
				return err
			}
			for _, of := range account.Feeds {
				r.audit.Saw(of.Checkpoint(), receipts.Place{Feed: f.state.ID, Index: row.Index})
			}
			return nil
		})
		if err != nil {
			return tampered(err)
		}
	}
	return nil
}

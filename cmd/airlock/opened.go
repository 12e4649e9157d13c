package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"airlock/feed"
	"airlock/signing"
	"airlock/trust"
)

// opened is a feed that was followed to its newest checkpoint. Close it.
type opened struct {
	*conn
	follower *feed.Follower
	state    *feed.State
}

// openFeed connects and follows a feed.
func (a *app) openFeed(ctx context.Context, id feed.ID, where string) (*opened, error) {
	c, err := a.from(ctx, where)
	if err != nil {
		return nil, err
	}
	f, state, _, err := a.sync(ctx, c, id)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &opened{c, f, state}, nil
}

// openPackage follows the feed of a package and finds its publication.
func (a *app) openPackage(ctx context.Context, name, where string) (*opened, feed.Row, error) {
	ref, err := a.pkgRef(name)
	if err != nil {
		return nil, feed.Row{}, err
	}
	o, err := a.openFeed(ctx, ref.feed, where)
	if err != nil {
		return nil, feed.Row{}, err
	}
	row, err := ref.find(o.state.Index)
	if err != nil {
		o.Close()
		return nil, feed.Row{}, err
	}
	return o, row, nil
}

func (o *opened) at(index int64) trust.Position {
	return trust.Position{Feed: o.state.ID.String(), Epoch: o.state.Epoch, Index: index}
}

// attestations hands out the statements of rows, which are in the order of
// their index. They are those that were accepted: the source cannot put
// others in their place.
func (o *opened) attestations(ctx context.Context, rows []feed.Row, each func(feed.Row, signing.Attestation) error) error {
	for len(rows) > 0 {
		last := 0
		for last+1 < len(rows) && rows[last+1].Index/feed.SegmentSize == rows[0].Index/feed.SegmentSize {
			last++
		}
		mine := rows[:last+1]
		rows = rows[last+1:]
		// A whole segment is a stored file, so ask for that.
		start := mine[0].Index / feed.SegmentSize * feed.SegmentSize
		end := min(start+feed.SegmentSize, o.state.Edge.Size())
		for s, err := range o.Segments(ctx, o.state.ID, start, end) {
			if err != nil {
				return err
			}
			for len(mine) > 0 && mine[0].Index < s.Start+int64(len(s.Statements)) {
				if mine[0].Index < s.Start {
					return &feed.GapError{ID: o.state.ID, From: mine[0].Index, To: s.Start}
				}
				att, err := accepted(mine[0], s.Statements[mine[0].Index-s.Start])
				if err != nil {
					return fmt.Errorf("feed %s: entry %d: %w", o.state.ID, mine[0].Index, err)
				}
				if err := each(mine[0], att); err != nil {
					return err
				}
				mine = mine[1:]
			}
		}
		if len(mine) > 0 {
			return &feed.GapError{ID: o.state.ID, From: mine[0].Index, To: end}
		}
	}
	return nil
}

// accepted parses a statement again and holds it against its row. The one of a
// void row may have a signature that never verifies.
func accepted(row feed.Row, raw []byte) (signing.Attestation, error) {
	att, err := feed.Logged(raw)
	if err != nil {
		return att, fmt.Errorf("%w: %w", signing.ErrBadSignature, err)
	}
	if att.ID() != row.ID {
		return att, fmt.Errorf("%w: statement %s stands where %s was accepted", signing.ErrBadSignature, att.ID(), row.ID)
	}
	return att, nil
}

// attestation returns the statement of one row.
func (o *opened) attestation(ctx context.Context, row feed.Row) (signing.Attestation, error) {
	var out signing.Attestation
	err := o.attestations(ctx, []feed.Row{row}, func(_ feed.Row, a signing.Attestation) error {
		out = a
		return nil
	})
	return out, err
}

// verified verifies the statement of a row at its place.
func (o *opened) verified(ctx context.Context, row feed.Row) (signing.Attestation, trust.Verified, error) {
	att, err := o.attestation(ctx, row)
	if err != nil {
		return att, trust.Verified{}, err
	}
	v, err := o.follower.View.Verify(att, trust.Want{Subject: row.Manifest}, o.at(row.Index))
	return att, v, err
}

// identityAt returns the identity version in force at an entry.
func (o *opened) identityAt(index int64) int {
	version := 1
	for _, f := range o.state.InForce {
		if f.From <= index {
			version = max(version, f.Version)
		}
	}
	return version
}

// item is what a policy is asked about a row.
func (o *opened) item(row feed.Row) trust.Item {
	right := trust.MayPublish
	if row.What == feed.IsWithdrawal {
		right = trust.MayWithdraw
	}
	return trust.Item{Feed: o.state.ID.Name, Kind: row.Ref.Kind, Name: row.Ref.Name, Version: row.Ref.Version, Right: right}
}

// rowState says in a word what became of a row: live, withdrawn, void, or
// what it is.
func rowState(x *feed.Index, row feed.Row) string {
	switch {
	case row.Void != "":
		return "void"
	case row.What == feed.IsPublication && isLive(x, row):
		return "live"
	case row.What == feed.IsPublication:
		return "withdrawn"
	}
	return whatWord(row)
}

// whatWord names the kind of an entry.
func whatWord(row feed.Row) string {
	switch row.What {
	case feed.IsOpening:
		return "opening"
	case feed.IsIdentity:
		return "identity"
	case feed.IsPublication:
		return "publication"
	case feed.IsWithdrawal:
		return "withdrawal"
	}
	if row.Void != "" && row.Ref.Kind == "" {
		return "unknown"
	}
	return strings.ToLower(row.Ref.Kind)
}

// followedFeeds returns the feeds that were followed here and that the place
// has.
func (a *app) followedFeeds() ([]*feed.State, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	all, err := h.AllTrusted()
	if err != nil {
		return nil, err
	}
	var histories []*trust.History
	if own, err := h.Identity(); err == nil {
		histories = append(histories, own)
	}
	for _, t := range all {
		histories = append(histories, t.History)
	}
	var out []*feed.State
	for _, history := range histories {
		states, err := a.followed(history)
		if err != nil {
			return nil, err
		}
		out = append(out, states...)
	}
	return out, nil
}

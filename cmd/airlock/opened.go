package main

import (
	"context"
	"errors"
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

// verified reads the statement of a row again and verifies it at its place.
func (o *opened) verified(ctx context.Context, row feed.Row) (att signing.Attestation, v trust.Verified, err error) {
	err = o.follower.Statements(ctx, o.state, []feed.Row{row}, func(_ feed.Row, got trust.Verified, a signing.Attestation) error {
		att, v = a, got
		return nil
	})
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

// rowState says in a word what became of a row: live, withdrawn, void, or
// what it is.
func rowState(x *feed.Index, row feed.Row) string {
	switch {
	case row.Void != "":
		return "void"
	case row.What == feed.IsPublication && x.Live(row):
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
	histories, err := a.knownSpaces()
	if err != nil {
		return nil, err
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

// knownSpaces returns what is known of the home's own Space and of those that it
// trusts.
func (a *app) knownSpaces() ([]*trust.History, error) {
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
	return histories, nil
}

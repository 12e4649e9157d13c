package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
)

// accountOf says where this home stands in a feed, and what the targets that the
// feed's packages were applied to have of it. What is not there whole does not
// count, nor does what the feed never published: the records of folders lie where
// others may write.
func (t *teller) accountOf(ctx context.Context, s *feed.State) (feed.FeedAccount, error) {
	account := bareAccount(s)
	targets, err := t.home.Targets(s.Lineage, s.ID)
	if err != nil {
		return account, err
	}
	found := map[string]foundPackage{} // by kind/name@version, without case
	for _, at := range targets {
		items, err := t.itemsOf(ctx, s, at)
		if err != nil {
			return account, err
		}
		for _, it := range items {
			row, ok := publicationOf(s.Index, it)
			if !ok || it.Missing > 0 || len(it.Changed) > 0 {
				continue
			}
			name := strings.ToLower(row.Ref.String())
			if have, ok := found[name]; !ok || have.row.Index < row.Index {
				found[name] = foundPackage{row, at.Into != ""}
			} else if have.row.Index == row.Index {
				found[name] = foundPackage{row, have.files || at.Into != ""}
			}
		}
	}
	for _, p := range found {
		held := feed.Held{Files: p.files, Kind: p.row.Ref.Kind, Manifest: p.row.Manifest, Name: p.row.Ref.Name, Version: p.row.Ref.Version}
		if s.Index.Live(p.row) {
			account.Live = append(account.Live, held)
		} else {
			account.Withdrawn = append(account.Withdrawn, held)
		}
	}
	return account, nil
}

// bareAccount says where this home stands in a feed, and nothing of packages.
func bareAccount(s *feed.State) feed.FeedAccount {
	return feed.FeedAccount{Epoch: s.Epoch, Feed: s.ID, Lineage: s.Lineage, Note: string(s.Note)}
}

// foundPackage is a package that a target has, and whether its files lie there.
type foundPackage struct {
	row   feed.Row
	files bool
}

// itemsOf returns what a target has of a feed. A folder that is gone has nothing,
// and one that cannot be read says nothing: a sign of life does not wait for it.
func (t *teller) itemsOf(ctx context.Context, s *feed.State, at home.Target) ([]apply.Item, error) {
	if at.Into == "" {
		return apply.Taken(ctx, t.state, s.ID, at.Record)
	}
	if _, err := os.Stat(at.Into); errors.Is(err, fs.ErrNotExist) {
		if !t.refills {
			t.note("%s: %s is not there: what was pulled into it does not count as held", s.ID, at.Into)
		}
		return nil, nil
	}
	d, err := apply.OpenDir(at.Into, t.now)
	var items []apply.Item
	if err == nil {
		items, err = d.Installed(ctx, s.ID)
	}
	if err != nil {
		t.note("airlock: warning: %s: what was pulled into %s does not count as held: %s", s.ID, at.Into, oneLine(err.Error()))
	}
	return items, nil
}

// publicationOf returns the entry that an item says it came from.
func publicationOf(x *feed.Index, it apply.Item) (feed.Row, bool) {
	i, ok := x.ByID(it.Statement)
	if !ok {
		return feed.Row{}, false
	}
	row := x.Row(i)
	return row, row.What == feed.IsPublication && row.Ref == it.Ref && row.Manifest == it.Manifest
}

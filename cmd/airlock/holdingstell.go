package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// tell signs, publishes and writes. A reader of one feed sees nothing of the
// others, so each but receipts has an account of its own.
func (t *teller) tell(ctx context.Context, c *conn, out string, mine []*feed.State, theirs []feed.FeedAccount) error {
	all := slices.Clone(theirs)
	for _, s := range mine {
		all = append(all, bareAccount(s))
	}
	full := feed.NewAccount(t.own.Space(), t.own.Lineage(), t.time, all)
	t.describe(full)
	receipts, known := feed.ID{Space: t.own.Space(), Name: feed.ReceiptsName}, false
	for _, s := range mine {
		account := full
		if known = known || s.ID == receipts; s.ID != receipts {
			account = feed.NewAccount(t.own.Space(), t.own.Lineage(), t.time, []feed.FeedAccount{bareAccount(s)})
		}
		if err := t.say(ctx, c, s.ID, account, s); err != nil {
			return err
		}
	}
	if !known && len(theirs) > 0 {
		if err := t.say(ctx, c, receipts, full, nil); err != nil {
			return err
		}
	}
	if out != "" {
		return t.write(ctx, out, receipts, full)
	}
	return nil
}

// say publishes an account in a feed, with a snapshot for newcomers where there
// is a state of it to make one from.
func (t *teller) say(ctx context.Context, c *conn, id feed.ID, account *feed.Account, s *feed.State) error {
	if c == nil {
		return nil
	}
	if t.doc.DryRun {
		t.doc.Said = append(t.doc.Said, saidDoc{Feed: id.String()})
		return nil
	}
	p, err := t.publisherOn(ctx, c, id, t.own, t.signer)
	if err != nil {
		return err
	}
	var snapshot *feed.Snapshot
	var objects []feed.Content
	if s != nil {
		if snapshot, objects, err = s.Snapshot(ctx, c); err != nil {
			return err
		}
	}
	att, document, err := t.sign(ctx, id, account, snapshot)
	if err != nil {
		return err
	}
	if err := p.AppendWith(ctx, []signing.Attestation{att}, append(objects, feed.ContentOf(document))); err != nil {
		return err
	}
	t.doc.Said = append(t.doc.Said, saidDoc{id.String(), att.ID().String()})
	return t.noteFollowed(id, p)
}

// sign signs holdings for one of the Space's feeds.
func (t *teller) sign(ctx context.Context, id feed.ID, account *feed.Account, s *feed.Snapshot) (signing.Attestation, []byte, error) {
	document, err := account.Format()
	if err != nil {
		return signing.Attestation{}, nil, err
	}
	epoch := uint64(1)
	if f, ok := account.Feed(t.own.Lineage(), id); ok {
		epoch = f.Epoch
	}
	h := feed.Holdings{DocumentSize: int64(len(document)), Epoch: epoch, Feed: id, Lineage: t.own.Lineage(), Snapshot: s, Time: t.time}
	st, err := h.Statement(storage.DigestOf(document))
	if err != nil {
		return signing.Attestation{}, nil, err
	}
	att, err := t.signer.Sign(ctx, st)
	return att, document, err
}

// write writes an account to a folder, the attestation last: without it the
// document says nothing.
func (t *teller) write(ctx context.Context, dir string, id feed.ID, account *feed.Account) error {
	name, about := feed.HoldingsFiles(t.own.Space())
	t.doc.Files = []string{filepath.Join(dir, name), filepath.Join(dir, about)}
	if t.doc.DryRun {
		return nil
	}
	att, document, err := t.sign(ctx, id, account, nil)
	if err != nil {
		return err
	}
	if err := t.app.writeOutput(t.doc.Files[0], bytes.NewReader(document)); err != nil {
		return err
	}
	return t.app.writeOutput(t.doc.Files[1], bytes.NewReader(att.Bytes()))
}

func (t *teller) describe(account *feed.Account) {
	for _, f := range account.Feeds {
		c := f.Checkpoint()
		t.doc.Feeds = append(t.doc.Feeds, heldFeedDoc{Feed: f.Feed.String(), Lineage: f.Lineage.String(), Size: c.Size, Root: c.Root.String(),
			Own: f.Lineage == t.own.Lineage(), Live: orEmpty(f.Live), Withdrawn: orEmpty(f.Withdrawn)})
	}
}

func orEmpty(list []feed.Held) []feed.Held {
	if list == nil {
		return []feed.Held{}
	}
	return list
}

func (t *teller) table(w io.Writer) {
	var rows [][]string
	for _, f := range t.doc.Feeds {
		live, withdrawn := fmt.Sprint(len(f.Live)), fmt.Sprint(len(f.Withdrawn))
		if f.Own {
			live, withdrawn = "own", "own"
		}
		rows = append(rows, []string{f.Feed, fmt.Sprint(f.Size), live, withdrawn})
	}
	columns(w, []string{"FEED", "ENTRIES", "HELD LIVE", "HELD WITHDRAWN"}, rows)
	for _, s := range t.doc.Said {
		if t.doc.DryRun {
			fmt.Fprintf(w, "would be published in %s\n", s.Feed)
		} else {
			fmt.Fprintf(w, "published in %s\n", s.Feed)
		}
	}
	for _, name := range t.doc.Files {
		if !t.doc.DryRun {
			fmt.Fprintf(w, "wrote %s\n", name)
		}
	}
	if t.doc.DryRun {
		fmt.Fprintln(w, "nothing was signed: --dry-run")
	}
}

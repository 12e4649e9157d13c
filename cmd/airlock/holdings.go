package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

func (a *app) holdingsCommand() *cobra.Command {
	var out string
	var dryRun bool
	c := &cobra.Command{
		Use:   "holdings [-o DIR]",
		Short: "Sign what this Space holds: its sign of life, and the base of the next bundle",
		Long: `Sign where this Space stands in the feeds that it knows and what it holds of those
that it follows, and publish that: in each of its own feeds its checkpoint alone,
as a sign of life, and in its feed receipts, which is read with a credential, all
of it. Readers whose policy has maxAge take nothing new from a Space without a
sign of life: run this at least every half of the shortest maxAge.

What counts as held is what lies unchanged in the folders of pull --into, and what
the program of pull --exec took.

With -o the same is written to a folder, as a document and its attestation, for
the base of a bundle. Then it is published only where --server or --store is said.`,
		Example: `  airlock holdings
  airlock holdings --server https://feeds.acme.example
  airlock holdings -o /media/stick
  airlock holdings --dry-run -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.holdings(cmd.Context(), out, dryRun) },
	}
	c.Flags().StringVarP(&out, "output", "o", "", "folder to write the document and its attestation to")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be signed, and sign nothing")
	return c
}

type holdingsDoc struct {
	Space   string        `json:"space"`
	Lineage string        `json:"lineage"`
	Time    string        `json:"time"`
	Feeds   []heldFeedDoc `json:"feeds"`
	Said    []saidDoc     `json:"published"`
	Files   []string      `json:"files,omitempty"`
	DryRun  bool          `json:"dryRun,omitempty"`
}

type heldFeedDoc struct {
	Feed      string      `json:"feed"`
	Lineage   string      `json:"lineage"`
	Size      int64       `json:"size"` // entries
	Root      string      `json:"root"`
	Own       bool        `json:"own"`
	Live      []feed.Held `json:"live"`
	Withdrawn []feed.Held `json:"withdrawn"`
}

type saidDoc struct {
	Feed      string `json:"feed"`
	Statement string `json:"statement,omitempty"`
}

// teller signs what a Space holds, and says it where it is to be said.
type teller struct {
	*app
	home   *home.Home
	own    *trust.History
	signer *signing.Signer // nil to plan
	state  *storage.Store
	time   string
	doc    holdingsDoc
}

func (a *app) holdings(ctx context.Context, out string, dryRun bool) error {
	if info, err := os.Stat(out); out != "" && (err != nil || !info.IsDir()) {
		return usage("-o %s: is no folder", "name a folder, such as that of the stick", out)
	}
	t, err := a.teller(ctx, dryRun)
	if err != nil {
		return err
	}
	var c *conn
	if out == "" || a.server != "" || a.store != "" {
		to := publishing
		if dryRun {
			to = planning
		}
		if c, err = a.connect(ctx, to); err != nil {
			return err
		}
		defer c.Close()
	}
	mine, err := t.ownFeeds(ctx, c)
	if err != nil {
		return err
	}
	theirs, err := t.othersFeeds(ctx)
	if err != nil {
		return err
	}
	if len(mine)+len(theirs) == 0 {
		return usage("this Space has nothing to tell: it published no feed there and followed none", "airlock publish or airlock pull comes first")
	}
	return t.tell(ctx, c, out, mine, theirs)
}

func (a *app) teller(ctx context.Context, dryRun bool) (*teller, error) {
	h, own, err := a.space()
	if err != nil {
		return nil, err
	}
	t := &teller{app: a, home: h, own: own, time: a.now().UTC().Format(time.RFC3339)}
	t.doc = holdingsDoc{Space: own.Space().String(), Lineage: own.Lineage().String(), Time: t.time, Said: []saidDoc{}, DryRun: dryRun}
	if t.state, err = h.State(ctx); err != nil || dryRun {
		return t, err
	}
	t.signer, err = h.Publisher(a.passphrase)
	return t, err
}

// ownFeeds returns the Space's own feeds: those that a place has, followed to
// their ends, or with no place those that were seen.
func (t *teller) ownFeeds(ctx context.Context, c *conn) (out []*feed.State, err error) {
	if c == nil {
		return t.followed(t.own)
	}
	names, err := t.home.Followed(t.own.Lineage())
	if err != nil {
		return nil, err
	}
	there, err := c.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		id := feed.ID{Space: t.own.Space(), Name: name}
		if !slices.Contains(there, id) {
			continue
		}
		_, s, _, err := t.sync(ctx, c, id)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// othersFeeds accounts for the feeds of the Spaces that are trusted.
func (t *teller) othersFeeds(ctx context.Context) (out []feed.FeedAccount, err error) {
	all, err := t.home.AllTrusted()
	if err != nil {
		return nil, err
	}
	for _, other := range all {
		states, err := t.followed(other.History)
		if err != nil {
			return nil, err
		}
		for _, s := range states {
			account, err := t.accountOf(ctx, t.home, s)
			if err != nil {
				return nil, err
			}
			out = append(out, account)
		}
	}
	return out, nil
}

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
		if err := t.write(ctx, out, receipts, full); err != nil {
			return err
		}
	}
	if c != nil {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return t.show(t.doc, t.table)
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
	if err := writeWhole(t.doc.Files[0], bytes.NewReader(document)); err != nil {
		return err
	}
	return writeWhole(t.doc.Files[1], bytes.NewReader(att.Bytes()))
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

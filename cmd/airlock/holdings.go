package main

import (
	"context"
	"os"
	"slices"

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
	// refills is for an agent, which fills a folder that is not there, or not yet.
	refills bool
}

func (a *app) holdings(ctx context.Context, out string, dryRun bool) error {
	if info, err := os.Stat(out); out != "" && (err != nil || !info.IsDir()) {
		return usage("-o %s: is no folder", "name a folder, such as that of the stick", out)
	}
	t, err := a.teller(ctx, dryRun, a.passphrase)
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
	if err := t.tell(ctx, c, out, mine, theirs); err != nil {
		return err
	}
	if c != nil {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return t.show(t.doc, t.table)
}

// teller signs with a key that passphrase opens.
func (a *app) teller(ctx context.Context, dryRun bool, passphrase home.Ask) (*teller, error) {
	h, own, err := a.space()
	if err != nil {
		return nil, err
	}
	t := &teller{app: a, home: h, own: own, time: signing.FormatTime(a.now())}
	t.doc = holdingsDoc{Space: own.Space().String(), Lineage: own.Lineage().String(), Time: t.time, Said: []saidDoc{}, DryRun: dryRun}
	if t.state, err = h.State(ctx); err != nil || dryRun {
		return t, err
	}
	t.signer, err = h.Publisher(passphrase)
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
	there, err := c.Feeds(ctx, t.own.Space())
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
			account, err := t.accountOf(ctx, s)
			if err != nil {
				return nil, err
			}
			out = append(out, account)
		}
	}
	return out, nil
}

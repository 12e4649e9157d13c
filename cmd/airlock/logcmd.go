package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/signing"
	"airlock/trust"
)

func (a *app) logCommand() *cobra.Command {
	var from string
	var refused bool
	limit := 100
	c := &cobra.Command{
		Use:   "log [FEED]",
		Short: "Show the entries of a feed, the newest last",
		Long: `Verify a feed and show its entries, the newest last: what each is, who signed it,
and why it does not count (void) or is kept out by the local policy (refused).
Without FEED, all feeds that were followed here.`,
		Example: `  airlock log acme/dev-qa/shared
  airlock log --refused
  airlock log acme/dev-qa/shared --limit 0 -f json`,
		Args:              atMost(1, "at most one feed"),
		ValidArgsFunction: a.completeFeeds,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usage("--limit %d is negative", "say how many entries to show, 0 for all", limit)
			}
			return a.log(cmd.Context(), args, from, refused, limit)
		},
	}
	fromFlag(c, &from)
	c.Flags().BoolVar(&refused, "refused", false, "only entries that are void or refused")
	c.Flags().IntVar(&limit, "limit", limit, "show at most this many of each feed, the newest; 0 for all")
	return c
}

type logDoc struct {
	Feed      string `json:"feed"`
	Entry     int64  `json:"entry"`
	What      string `json:"what"`
	Package   string `json:"package,omitempty"`
	Claims    string `json:"claims,omitempty"` // what an entry speaks of that was not let count
	Person    string `json:"person,omitempty"` // who signed it, where that was verified
	Statement string `json:"statement"`
	Void      string `json:"void,omitempty"`    // why it does not count
	Refused   string `json:"refused,omitempty"` // why the local policy keeps it out
	Rule      string `json:"rule,omitempty"`    // that refused it

	shown string // the package, or what the entry claims to be about
}

func (a *app) log(ctx context.Context, args []string, from string, onlyRefused bool, limit int) error {
	c, err := a.from(ctx, from)
	if err != nil {
		return err
	}
	defer c.Close()
	ids, err := a.feedsToShow(ctx, c, args)
	if err != nil {
		return err
	}
	docs := []logDoc{}
	for _, id := range ids {
		f, state, report, err := a.sync(ctx, c, id)
		if err != nil {
			return err
		}
		at := &opened{c, f, state}
		mine, err := at.entries(ctx, at.newest(onlyRefused, limit, there(report), a.now()), a.now())
		if err != nil {
			return err
		}
		docs = append(docs, mine...)
	}
	if onlyRefused && len(docs) == 0 {
		a.note("nothing is void or refused in %s", count(len(ids), "feed", "feeds"))
	}
	return a.show(docs, func(w io.Writer) { logTable(w, docs, len(ids) > 1) })
}

// feedsToShow reads feed names; none stands for all that were followed here
// and that the source has.
func (a *app) feedsToShow(ctx context.Context, c *conn, names []string) ([]feed.ID, error) {
	if len(names) == 1 {
		id, err := a.feedID(names[0])
		return []feed.ID{id}, err
	}
	states, err := a.followedFeeds()
	if err != nil {
		return nil, err
	}
	var spaces []trust.Space
	for _, s := range states {
		spaces = append(spaces, s.ID.Space)
	}
	there, err := c.feedsAmong(ctx, slices.Compact(spaces)) // they come by Space
	if err != nil {
		return nil, err
	}
	has := map[feed.ID]bool{}
	for _, id := range there {
		has[id] = true
	}
	var out []feed.ID
	for _, s := range states {
		if has[s.ID] {
			out = append(out, s.ID)
		}
	}
	if len(out) == 0 {
		return nil, usage("%s has no feed that was followed here", "name a feed; airlock list shows those that it has", c.name)
	}
	return out, nil
}

// newest returns the last of so many entries, in their order.
func (o *opened) newest(onlyRefused bool, limit int, of int64, now time.Time) []feed.Row {
	var rows []feed.Row
	x := o.state.Index
	for i := of - 1; i >= 0 && (limit == 0 || len(rows) < limit); i-- {
		row := x.Row(i)
		if !onlyRefused || row.Void != "" || o.refusal(row, now) != nil {
			rows = append(rows, row)
		}
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows
}

// refusal is why the local policy keeps an entry out.
func (o *opened) refusal(row feed.Row, now time.Time) error {
	if row.Void != "" || row.What != feed.IsPublication && row.What != feed.IsWithdrawal {
		return nil
	}
	return o.follower.View.Authorize(o.state.Item(row), now)
}

// entries describes rows, which are in their order.
func (o *opened) entries(ctx context.Context, rows []feed.Row, now time.Time) ([]logDoc, error) {
	var docs []logDoc
	err := o.follower.Attestations(ctx, o.state, rows, func(row feed.Row, att signing.Attestation) error {
		d := logDoc{Feed: o.state.ID.String(), Entry: row.Index, What: whatWord(row), Statement: row.ID.String(), Void: row.Void}
		if row.Ref.Name != "" {
			d.Package, d.shown = row.Ref.String(), shownRef(row.Ref)
		} else if row.Void != "" {
			d.Claims = claimed(att)
			d.shown = dash(d.Claims)
		}
		if row.Void == "" {
			d.Person = o.person(row, att)
		}
		if err := o.refusal(row, now); err != nil {
			d.Refused = err.Error()
			if denied, ok := errors.AsType[*trust.DeniedError](err); ok {
				d.Rule = denied.Rule
			}
		}
		docs = append(docs, d)
		return nil
	})
	return docs, err
}

// claimed is what a statement that nobody verified says it speaks of.
func claimed(att signing.Attestation) string {
	st, err := signing.ParseStatement(att.Payload())
	if err != nil {
		return ""
	}
	return st.SubjectName
}

// person is who signed an entry that counts: by the word of the Space.
func (o *opened) person(row feed.Row, att signing.Attestation) string {
	if row.What == feed.IsIdentity {
		return "root"
	}
	v, err := o.follower.View.Verify(att, trust.Want{}, o.state.At(row.Index))
	if err != nil {
		return ""
	}
	return v.Person()
}

func logTable(w io.Writer, docs []logDoc, several bool) {
	var rows [][]string
	header := []string{"ENTRY", "WHAT", "PACKAGE", "PERSON", "REMARK"}
	if several {
		header = append([]string{"FEED"}, header...)
	}
	for _, d := range docs {
		remark := ""
		switch {
		case d.Void != "":
			remark = "void: " + oneLine(d.Void)
		case d.Refused != "":
			remark = "refused: " + d.Refused
		}
		row := []string{fmt.Sprint(d.Entry), d.What, dash(d.shown), dash(d.Person), remark}
		if several {
			row = append([]string{d.Feed}, row...)
		}
		rows = append(rows, row)
	}
	columns(w, header, rows)
}

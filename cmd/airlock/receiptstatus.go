package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/receipts"
	"airlock/signing"
)

func (a *app) receiptStatusCommand() *cobra.Command {
	var from []string
	c := &cobra.Command{
		Use:   "status FEED ORGANISATION/SPACE",
		Short: "Show which packages of a feed a Space gave a receipt of",
		Long: `Show, for each live version of a feed, what a Space said last of it in its
receipts. The exit code is 4 where it said nothing of some.`,
		Example: `  airlock receipt status shared acme/production
  airlock receipt status acme/dev-qa/shared acme/production --from /mnt/store -f json
  airlock receipt status shared acme/production --from /mnt/store --from /media/stick`,
		Args:              exactly(2, "a feed and a Space"),
		ValidArgsFunction: a.completeFeeds,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.receiptStatus(cmd.Context(), args[0], args[1], from)
		},
	}
	fromFlags(c, &from)
	return c
}

// answeredDoc is a live version and what was said of it last.
type answeredDoc struct {
	Package string           `json:"package"`
	Entry   int64            `json:"entry"`
	Outcome receipts.Outcome `json:"outcome,omitempty"`
	Time    string           `json:"time,omitempty"`
	Number  int64            `json:"number,omitempty"`
	Where   string           `json:"where,omitempty"`
	Reason  string           `json:"reason,omitempty"`
}

func (a *app) receiptStatus(ctx context.Context, name, space string, from []string) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	back, err := receiptsFeed(space)
	if err != nil {
		return err
	}
	where, err := a.places(ctx, from)
	if err != nil {
		return err
	}
	defer where.Close()
	said, err := a.saidLast(ctx, back, where)
	if err != nil {
		return err
	}
	o, err := a.openAt(ctx, id, where)
	if err != nil {
		return err
	}
	docs, silent := []answeredDoc{}, 0
	for row := range o.state.Index.Rows(0) {
		if !o.state.Index.Live(row) {
			continue
		}
		d := answeredDoc{Package: shownRef(row.Ref), Entry: row.Index}
		if r, ok := said[row.ID]; ok {
			d.Outcome, d.Time, d.Number, d.Where, d.Reason = r.Outcome, r.Time, r.Number, whereTo(r.Environment, r.Targets), r.Reason
		} else {
			silent++
		}
		docs = append(docs, d)
	}
	if err := a.show(docs, func(w io.Writer) { answeredTable(w, docs) }); err != nil {
		return err
	}
	if silent > 0 {
		a.note("%s without a receipt from %s", count(silent, "package", "packages"), back.Space)
		return exitWith(exitDifferent, "", "")
	}
	return nil
}

// saidLast returns the newest receipt of each publication.
func (a *app) saidLast(ctx context.Context, id feed.ID, where places) (map[signing.ID]receipts.Receipt, error) {
	o, err := a.openAt(ctx, id, where)
	if err != nil {
		return nil, err
	}
	said := map[signing.ID]receipts.Receipt{}
	err = receipts.NewLedger().Read(ctx, o.follower, o.state, func(e receipts.Entry, _ signing.Attestation) error {
		said[e.Publication.Statement] = e.Receipt
		return nil
	})
	return said, err
}

func answeredTable(w io.Writer, docs []answeredDoc) {
	var rows [][]string
	for _, d := range docs {
		outcome := string(d.Outcome)
		if outcome == "" {
			outcome = "no receipt"
		}
		rows = append(rows, []string{d.Package, fmt.Sprint(d.Entry), outcome, orDash(d.Time), orDash(d.Where), d.Reason})
	}
	columns(w, []string{"PACKAGE", "ENTRY", "RESULT", "TIME", "WHERE", "REASON"}, rows)
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"airlock/internal/outbox"
	"airlock/receipts"
	"airlock/signing"
)

func (a *app) receiptListCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "list [ORGANISATION/SPACE]",
		Short: "Show the receipts that wait here, or those of a Space",
		Long: `Without an argument, show the receipts of this home that were not sent yet. With
a Space, follow its receipts feed, verify it, and show what it says: which
packages, where, when, by whom, with what result. The exit code is 4 where
numbers are missing or were used twice, or where the log that the Space was
shown is another one than was shown here.`,
		Example: `  airlock receipt list
  airlock receipt list acme/production
  airlock receipt list acme/production --from /mnt/store -f json`,
		Args:              atMost(1, "at most one Space"),
		ValidArgsFunction: a.completeTrusted,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.receiptList(cmd.Context(), strings.Join(args, ""), from)
		},
	}
	fromFlag(c, &from)
	return c
}

// receiptDoc is a receipt as lists show it.
type receiptDoc struct {
	Number      int64            `json:"number"`
	Instance    string           `json:"instance,omitempty"`
	Package     string           `json:"package"`
	Feed        string           `json:"feed"`
	Statement   string           `json:"statement"`
	Outcome     receipts.Outcome `json:"outcome"`
	Operation   string           `json:"operation,omitempty"`
	Environment string           `json:"environment,omitempty"`
	Targets     []string         `json:"targets,omitempty"`
	By          string           `json:"by,omitempty"`
	Reason      string           `json:"reason,omitempty"`
	Time        string           `json:"time"`
	// State is waiting or signed for one that was not sent; empty for others.
	State string `json:"state,omitempty"`
	// Entry is where it stands in the receipts feed.
	Entry int64 `json:"entry,omitempty"`
}

func docOfReceipt(r receipts.Receipt, state string) receiptDoc {
	return receiptDoc{Number: r.Number, Instance: r.Instance, Package: shownRef(r.Publication.Ref()), Feed: r.Publication.Feed.String(),
		Statement: r.Publication.Statement.String(), Outcome: r.Outcome, Operation: r.Operation, Environment: r.Environment, Targets: r.Targets,
		By: r.By, Reason: r.Reason, Time: r.Time, State: state}
}

func (a *app) receiptList(ctx context.Context, space, from string) error {
	if space != "" {
		return a.receiptsOf(ctx, space, from)
	}
	if from != "" {
		return usage("--from without a Space", "name the Space whose receipts are to be read")
	}
	out, err := a.openPost(ctx)
	if err != nil {
		return err
	}
	waiting, err := out.box.Waiting(ctx)
	if err != nil {
		return err
	}
	docs := []receiptDoc{}
	for _, w := range waiting {
		docs = append(docs, docOfReceipt(w.Receipt, stateOf(w)))
	}
	if len(docs) == 0 {
		a.note("no receipt waits")
	}
	return a.showReceipts(docs)
}

func stateOf(w outbox.Waiting) string {
	if w.Signed {
		return "signed"
	}
	return "waiting"
}

// receiptsOf shows the receipts feed of a Space.
func (a *app) receiptsOf(ctx context.Context, space, from string) error {
	id, err := receiptsFeed(space)
	if err != nil {
		return err
	}
	o, err := a.openFeed(ctx, id, from)
	if err != nil {
		return err
	}
	defer o.Close()
	ledger, docs := receipts.NewLedger(), []receiptDoc{}
	if err := ledger.Read(ctx, o.follower, o.state, func(e receipts.Entry, _ signing.Attestation) error {
		d := docOfReceipt(e.Receipt, "")
		d.Entry = e.Index
		docs = append(docs, d)
		return nil
	}); err != nil {
		return err
	}
	if err := a.compareSeen(ctx, ledger); err != nil {
		return err
	}
	if err := a.showReceipts(docs); err != nil {
		return err
	}
	findings := ledger.Findings()
	for _, f := range findings {
		a.note("%s", f)
	}
	if len(findings) > 0 {
		return exitWith(exitDifferent, "", "")
	}
	return nil
}

// compareSeen holds the checkpoints that receipts name against those that were
// accepted here.
func (a *app) compareSeen(_ context.Context, ledger *receipts.Ledger) error {
	states, err := a.followedFeeds()
	for _, s := range states {
		ledger.Saw(s.Checkpoint(), receipts.Place{Feed: s.ID, Index: receipts.Remembered})
	}
	return err
}

func (a *app) showReceipts(docs []receiptDoc) error {
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			entry := d.State
			if d.Entry > 0 {
				entry = fmt.Sprint(d.Entry)
			}
			rows = append(rows, []string{fmt.Sprint(d.Number), orDash(entry), d.Time, d.Package, string(d.Outcome), orDash(whereTo(d.Environment, d.Targets)), orDash(d.By), d.Reason})
		}
		columns(w, []string{"NUMBER", "ENTRY", "TIME", "PACKAGE", "RESULT", "WHERE", "BY", "REASON"}, rows)
	})
}

// whereTo writes environment and targets for people.
func whereTo(environment string, targets []string) string {
	return strings.TrimSpace(environment + " " + strings.Join(targets, ","))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

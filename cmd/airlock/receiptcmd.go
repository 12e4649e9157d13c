package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/outbox"
	"airlock/receipts"
	"airlock/storage"
)

func (a *app) receiptCommand() *cobra.Command {
	return group("receipt", "Say what became of packages, and read what others said",
		a.receiptIssueCommand(), a.receiptListCommand(), a.receiptStatusCommand(), a.receiptSendCommand(), a.receiptExportCommand())
}

type issueOptions struct {
	receiptOptions
	result, reason, log string
	dryRun              bool
}

func (a *app) receiptIssueCommand() *cobra.Command {
	var o issueOptions
	c := &cobra.Command{
		Use:   "issue FEED/KIND/NAME@VERSION",
		Short: "Make a receipt of a deployment and send it",
		Long: `Make a receipt of what was done with a package, by hand or from a pipeline. The
feed must have been followed here: a receipt names the entry and the checkpoint
that were acted on. airlock pull makes receipts of its own.

The receipt is numbered and kept in the home first. What cannot be signed or
sent now waits there: airlock receipt send.`,
		Example: `  airlock receipt issue acme/dev-qa/shared/db@1.4 --environment Production --target web-1 --target web-2
  airlock receipt issue acme/dev-qa/shared/db@1.4 --result failed --reason "no such host" --log deploy.log
  airlock receipt issue acme/dev-qa/shared/db@1.4 --log https://ci.acme.example/run/7 --by bob`,
		Args:              exactly(1, "a package"),
		ValidArgsFunction: a.completePackage,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.receiptIssue(cmd.Context(), args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.result, "result", string(receipts.Deployed), "what became of it: "+outcomeList())
	f.StringVar(&o.reason, "reason", "", "why, at most 1,000 bytes; failed and rejected need one")
	f.StringVar(&o.log, "log", "", "log of the work: a file, whose SHA-256 goes into the receipt, or a URL")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the receipt and make none")
	o.receiptOptions.flags(f)
	c.RegisterFlagCompletionFunc("result", cobra.FixedCompletions(strings.Split(outcomeList(), ", "), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func outcomeList() string {
	names := make([]string, len(receipts.Outcomes))
	for i, o := range receipts.Outcomes {
		names[i] = string(o)
	}
	return strings.Join(names, ", ")
}

func (a *app) receiptIssue(ctx context.Context, name string, o issueOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	ref, err := a.pkgRef(name)
	if err != nil {
		return err
	}
	state, err := a.seen(ctx, ref.feed)
	if err != nil {
		return err
	}
	row, err := ref.find(state.Index)
	if err != nil {
		return err
	}
	out, err := a.openPost(ctx)
	if err != nil {
		return err
	}
	own, err := out.ownFeed(ctx)
	if err != nil {
		return err
	}
	about := outbox.Context{Own: own, Acted: state, By: o.by, Environment: o.environment, Targets: o.targetList(), Now: a.now()}
	if about.Log, err = logOf(o.log); err != nil {
		return err
	}
	all := about.Receipts([]outbox.Fact{{Row: row, Ref: row.Ref, Manifest: row.Manifest, Operation: apply.Same, Outcome: receipts.Outcome(o.result), Reason: o.reason}})
	if err := checkIssued(all[0]); err != nil {
		return err
	}
	if o.dryRun {
		return a.showReceipts([]receiptDoc{docOfReceipt(all[0], "")})
	}
	if err := out.box.Record(ctx, all); err != nil {
		return err
	}
	if err := a.showReceipts([]receiptDoc{docOfReceipt(all[0], "")}); err != nil {
		return err
	}
	if o.to == receiptsOff {
		return nil
	}
	return out.sendNow(ctx, o.receiptOptions)
}

// checkIssued refuses a receipt that could not be made, before it has a number.
func checkIssued(r receipts.Receipt) error {
	r.Instance, r.Number = strings.Repeat("0", 32), 1
	if _, err := r.Statement(); err != nil {
		return usage("%v", "airlock receipt issue --help shows the flags", err)
	}
	return nil
}

// seen returns what was seen of a feed.
func (a *app) seen(ctx context.Context, id feed.ID) (*feed.State, error) {
	f, err := a.follower(ctx, nil, id)
	if err != nil {
		return nil, err
	}
	s, err := feed.LoadState(ctx, f.State, f.View.History().Lineage(), id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hinted(err, "feed "+id.String()+" was not followed here yet", "airlock pull "+id.String()+" follows it")
	}
	return s, err
}

// logOf returns a log by its URL, or by the SHA-256 of a file.
func logOf(where string) (*receipts.Log, error) {
	switch {
	case where == "":
		return nil, nil
	case strings.HasPrefix(where, "https://"), strings.HasPrefix(where, "http://"):
		return &receipts.Log{URL: where}, nil
	}
	f, err := os.Open(where)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	d := storage.Digest(h.Sum(nil))
	return &receipts.Log{Digest: &d}, nil
}

// sendNow sends what waits, and asks for the passphrase where it must.
func (p *post) sendNow(ctx context.Context, o receiptOptions) error {
	sent, err := p.send(ctx, o, p.passphrase)
	if sent > 0 {
		p.note("%s sent to %s", count(sent, "receipt", "receipts"), p.feed())
	}
	if errors.Is(err, errNowhere) {
		p.noteNowhere(ctx, o)
		return nil
	}
	return err
}

func (a *app) receiptSendCommand() *cobra.Command {
	var o receiptOptions
	var dryRun bool
	c := &cobra.Command{
		Use:   "send",
		Short: "Sign and send the receipts that wait in this home",
		Long: `Sign the receipts that wait, stamp each with a time authority's token, and
append them to this Space's receipts feed. Receipts name people, so a server hands
them out to a credential alone: show that of this Space with --token-file, or name
a store. Sending again what has arrived changes nothing.`,
		Example: `  airlock receipt send --receipts https://feeds.acme.example --token-file token
  airlock receipt send --store /mnt/store
  airlock receipt send --tsa http://tsa.acme.example --tsa-certs tsa.pem`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.receiptSend(cmd.Context(), o, dryRun) },
	}
	o.sendFlags(c.Flags())
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what waits and send nothing")
	return c
}

func (a *app) receiptSend(ctx context.Context, o receiptOptions, dryRun bool) error {
	out, err := a.openPost(ctx)
	if err != nil {
		return err
	}
	if dryRun {
		return a.receiptList(ctx, "", "")
	}
	empty, err := out.box.Empty()
	if err != nil {
		return err
	}
	if empty {
		a.note("no receipt waits")
		return nil
	}
	if _, said := a.destination(o); !said {
		return usage("nobody said where receipts go", "say --receipts URL or DIR, --server URL or --store DIR")
	}
	return out.sendNow(ctx, o)
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/trust"
)

func (a *app) trustCommand() *cobra.Command {
	return group("trust", "Decide which Spaces this one believes, and for what",
		a.trustAddCommand(), a.trustListCommand(), a.trustShowCommand(), a.trustRemoveCommand(), a.trustProposalsCommand(), a.trustAcceptCommand(),
		a.trustExportCommand())
}

type trustOptions struct {
	feeds, kinds, names, versions []string
	until, thumbprint             string
	maxAge                        time.Duration
	noWithdraw, scan, dryRun      bool
	lists                         bool
	approvals                     approvalFlags
}

func (a *app) trustAddCommand() *cobra.Command {
	var o trustOptions
	c := &cobra.Command{
		Use:   "add FILE",
		Short: "Trust the Space of an identity file, for what the flags say",
		Long: `Trust the Space of an identity file. The thumbprint of its lineage is shown and
asked for: type the one that its people told you over another channel. The
policy is written to a file in the home's trust folder, which you may edit.

Without --feed, --kind, --name or --version-mask, all are let in. With
--approvals, only what so many of the approvers have approved; the key of each
counts, not the name.

With --trust-lists, what this Space publishes of kind trust-list narrows what is let
in here, from whichever Space: a thing needs an edge of the list besides the policy
for its Space. Such a list lets nothing in; airlock trust proposals shows what it
has that the policies here do not.`,
		Example: `  airlock trust add dev-qa.id --feed shared --kind variable-set --until 2027-12-31
  airlock trust add dev-qa.id --feed shared --thumbprint sha256:9f86d081…
  airlock trust add hq.id --feed trust --kind trust-list --trust-lists
  airlock trust add dev-qa.id --approvals 2 --approver bob=bob.pub --approver carol=carol.pub`,
		Args: exactly(1, "an identity file"),
		RunE: func(_ *cobra.Command, args []string) error { return a.trustAdd(args[0], o) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.feeds, "feed", nil, "feeds to take from, by their own name")
	f.StringSliceVar(&o.kinds, "kind", nil, "kinds to take")
	f.StringSliceVar(&o.names, "name", nil, "packages to take, exact or with a final *")
	f.StringSliceVar(&o.versions, "version-mask", nil, "versions to take, such as 1.x")
	f.StringVar(&o.until, "until", "", "last day of the trust, such as 2027-12-31")
	f.DurationVar(&o.maxAge, "max-age", 0, "how old the Space's last sign of life may be, such as 72h")
	o.approvals.flags(f)
	f.BoolVar(&o.scan, "scan-required", false, "take nothing that a scanner here did not find clean: airlock pull --scan")
	f.BoolVar(&o.lists, "trust-lists", false, "heed the trust lists that this Space publishes: they narrow what any Space may bring")
	f.StringVar(&o.thumbprint, "thumbprint", "", "the lineage as its people told you, instead of asking")
	f.BoolVar(&o.noWithdraw, "no-withdraw", false, "ignore withdrawals by this Space")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the policy and write nothing")
	return c
}

func (a *app) trustAdd(file string, o trustOptions) error {
	if err := checkKinds(o.kinds); err != nil {
		return err
	}
	history, err := a.identityOf([]string{file})
	if err != nil {
		return err
	}
	policy, err := o.policy(history)
	if err != nil {
		return usage("%v", "airlock trust add --help shows the form of each flag", err)
	}
	if now := a.now(); policy.Until != nil && now.After(policy.Until.End()) {
		return usage("--until %s is over", "say a day to come, such as "+now.AddDate(1, 0, 0).Format(time.DateOnly), o.until)
	}
	text, err := policy.Format()
	if err != nil {
		return usage("%v", "airlock trust add --help shows the form of each flag", err)
	}
	if o.dryRun {
		_, err := a.out.Write(text)
		return err
	}
	h, err := a.home()
	if err != nil {
		return err
	}
	if own, err := h.Identity(); err == nil && own.Space() == history.Space() {
		return usage("%s is the Space of %s itself, which needs no trust", "who receives has a home of its own: --home DIR", history.Space(), h.Path())
	}
	if err := a.confirmLineage(history, o.thumbprint); err != nil {
		return err
	}
	if err := h.AddTrust(history, policy); errors.Is(err, fs.ErrExist) {
		return hinted(err, fmt.Sprintf("%s is trusted already, by %s", history.Space(), h.PolicyFile(history.Space())),
			"edit that file, or first: airlock trust remove "+history.Space().String())
	} else if err != nil {
		return err
	}
	a.note("trusting %s; the policy is in %s", history.Space(), h.PolicyFile(history.Space()))
	return nil
}

func (o trustOptions) policy(history *trust.History) (*trust.Policy, error) {
	p := trust.NewPolicy(history.Space(), history.Lineage())
	p.MaxAge = trust.Duration(o.maxAge)
	if o.scan {
		p.Scan = trust.ScanRequired
	}
	if o.lists {
		p.TrustLists = trust.ListsNarrow
	}
	if o.until != "" {
		until, err := trust.ParseDate(o.until)
		if err != nil {
			return nil, err
		}
		p.Until = &until
	}
	allow := trust.Allow{Feeds: orAll(o.feeds), Kinds: orAll(o.kinds), Names: o.names, Rights: []trust.Right{trust.MayPublish}}
	for _, v := range o.versions {
		mask, err := trust.ParseMask(v)
		if err != nil {
			return nil, err
		}
		allow.Versions = append(allow.Versions, mask)
	}
	if !o.noWithdraw {
		allow.Rights = append(allow.Rights, trust.MayWithdraw)
	}
	p.Allow = []trust.Allow{allow}
	var err error
	p.Approvals, err = o.approvals.rules(allow.Kinds)
	return p, err
}

func orAll(list []string) []string {
	if len(list) == 0 {
		return []string{"*"}
	}
	return list
}

// confirmLineage compares the thumbprint with what people heard elsewhere.
// Copying it from this screen would prove nothing, so the whole is asked for.
func (a *app) confirmLineage(history *trust.History, given string) error {
	want := history.Lineage().String()
	if given == "" {
		fmt.Fprintf(a.err, "%s has the lineage\n\n    %s\n\n", history.Space(), want)
		var err error
		if given, err = a.ask("Type the lineage that its people told you over another channel: "); err != nil {
			return hinted(err, "the lineage was not confirmed", "say --thumbprint sha256:…, as its people told you over another channel")
		}
	}
	given = strings.TrimSpace(given)
	if given != want && "sha256:"+given != want {
		return &failure{code: exitUntrusted, what: fmt.Sprintf("the lineage of %s is %s, not %.80s", history.Space(), want, given),
			hint: "do not trust this file or request; ask the Space's people for its lineage, and for a new file or request"}
	}
	return nil
}

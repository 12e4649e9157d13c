package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/trust"
)

type acceptOptions struct {
	identity, thumbprint string
	dryRun               bool
}

func (a *app) trustAcceptCommand() *cobra.Command {
	var o acceptOptions
	c := &cobra.Command{
		Use:   "accept ORGANISATION/SPACE",
		Short: "Write what trust lists propose of a Space into its policy",
		Long: `Write the rights that trust lists propose of a Space into the policy of this home
about it: exactly those that airlock trust proposals shows, and no others. The rest
of the file stays as it is.

A Space that is not trusted yet needs its identity file, as with airlock trust add.
It must be of the lineage that the list names; that one is shown and asked for, as
its people told you over another channel: the list is the administrator's word.`,
		Example: `  airlock trust accept acme/dev-qa --dry-run
  airlock trust accept acme/dev-qa
  airlock trust accept acme/partner --identity partner.id --thumbprint sha256:9f86d081…`,
		Args:              exactly(1, "<organisation>/<space>"),
		ValidArgsFunction: a.completeProposed,
		RunE:              func(_ *cobra.Command, args []string) error { return a.trustAccept(args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.identity, "identity", "", "identity file of a Space that is not trusted yet")
	f.StringVar(&o.thumbprint, "thumbprint", "", "its lineage as its people told you, instead of asking")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the policy and write nothing")
	return c
}

func (a *app) trustAccept(name string, o acceptOptions) error {
	space, err := trust.ParseSpace(name)
	if err != nil {
		return usage("%v", "airlock trust proposals shows the Spaces", err)
	}
	h, err := a.home()
	if err != nil {
		return err
	}
	p, err := proposalAbout(h, space)
	if err != nil {
		return err
	}
	switch {
	case p.State == proposedOther:
		return &failure{code: exitUntrusted, what: fmt.Sprintf("the lineage of %s is %s in %s, and %s by %s of %s", space, p.Trusted, p.File, p.Lineage, p.Rights[0].By.Package, p.Rights[0].By.Publisher),
			hint: "two Spaces use this name, or the list is wrong: ask its people and the list's which lineage is theirs"}
	case p.State == proposedNew:
		return a.acceptNew(h, p, o)
	case o.identity != "":
		return usage("--identity: %s is trusted already, by %s", "leave it out", space, p.File)
	}
	text, err := h.WidenTrust(space, p.rights(), o.dryRun)
	if err != nil {
		return err
	}
	return a.accepted(p, text, o.dryRun)
}

// proposalAbout returns what is proposed of a Space; lists that name several
// lineages for it propose nothing.
func proposalAbout(h *home.Home, space trust.Space) (*proposal, error) {
	all, err := proposals(h)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p *proposal) bool { return p.Space != space.String() })
	switch len(all) {
	case 0:
		return nil, usage("no trust list proposes anything of %s", "airlock trust proposals shows what is proposed", space)
	case 1:
		return all[0], nil
	}
	return nil, &failure{code: exitUntrusted, what: fmt.Sprintf("trust lists name several lineages for %s: %s and %s", space, all[0].Lineage, all[1].Lineage),
		hint: "two Spaces use this name: ask its people which lineage is theirs, and the list's to put it right"}
}

// acceptNew trusts a Space that a list proposes.
func (a *app) acceptNew(h *home.Home, p *proposal, o acceptOptions) error {
	if o.identity == "" {
		return usage("%s is not trusted yet; its lineage is %s by %s of %s", "get its identity file from its people, and say --identity FILE", p.Space, p.Lineage, p.Rights[0].By.Package, p.Rights[0].By.Publisher)
	}
	history, err := a.identityOf([]string{o.identity})
	if err != nil {
		return err
	}
	if history.Lineage() != p.from.Lineage || history.Space() != p.from.Space {
		return &failure{code: exitUntrusted, what: fmt.Sprintf("%s is the identity of %s, lineage %s; the list proposes %s, lineage %s", o.identity, history.Space(), history.Lineage(), p.Space, p.Lineage),
			hint: "do not trust this file; ask the Space's people for its lineage and for a new file"}
	}
	policy := trust.NewPolicy(history.Space(), history.Lineage())
	policy.Allow = p.rights()
	text, err := policy.Format()
	if err != nil {
		return err
	}
	if !o.dryRun {
		if err := a.confirmLineage(history, o.thumbprint); err != nil {
			return err
		}
		if err := h.AddTrust(history, policy); err != nil {
			return err
		}
	}
	p.File = h.PolicyFile(history.Space())
	return a.accepted(p, text, o.dryRun)
}

// accepted says what was written, or shows it.
func (a *app) accepted(p *proposal, text []byte, dryRun bool) error {
	if dryRun {
		_, err := a.out.Write(text)
		return err
	}
	for _, r := range p.rights() {
		a.note("%s may %s", p.Space, r)
	}
	a.note("the policy is in %s", p.File)
	return nil
}

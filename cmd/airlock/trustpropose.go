package main

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/trust"
)

// proposal is what the trust lists that are heeded here have of a Space and the
// policies here do not.
type proposal struct {
	Space   string            `json:"space"`
	Lineage string            `json:"lineage"`
	State   string            `json:"state"` // one of those below
	Trusted string            `json:"trustedLineage,omitempty"`
	File    string            `json:"file,omitempty"` // policy, where there is one
	Rights  []proposedRuleDoc `json:"rights"`

	from  trust.Party
	rules []trust.Allow
}

type proposedRuleDoc struct {
	trustAllowDoc
	By listDoc `json:"by"`
}

// States of a proposal.
const (
	proposedWider = "trusted for less"
	proposedNew   = "not trusted"
	proposedOther = "trusted as another lineage"
)

// proposals compares the lists with the policies here, Space by Space.
func proposals(h *home.Home) ([]*proposal, error) {
	lists, own, err := heeded(h)
	if err != nil || len(lists) == 0 || own == (trust.Lineage{}) {
		return nil, err
	}
	all, err := h.AllTrusted()
	if err != nil {
		return nil, err
	}
	var out []*proposal
	for _, l := range lists {
		by := describeList(l, own)
		for _, e := range edgesTo(l, own) {
			rules := e.Allow
			p := proposalOf(e.From, all)
			if p.State == proposedWider {
				i := slices.IndexFunc(all, func(t home.Trusted) bool { return t.History.Lineage() == e.From.Lineage })
				rules = all[i].Policy.Lacks(rules)
			}
			if len(rules) == 0 {
				continue
			}
			if i := slices.IndexFunc(out, func(o *proposal) bool { return o.Lineage == p.Lineage }); i >= 0 {
				p = out[i]
			} else {
				out = append(out, p)
			}
			for _, r := range rules {
				p.Rights = append(p.Rights, proposedRuleDoc{trustAllowDoc(r), by})
				p.rules = append(p.rules, r)
			}
		}
	}
	return out, nil
}

// proposalOf says what is known here of a Space that a list names.
func proposalOf(from trust.Party, all []home.Trusted) *proposal {
	p := &proposal{Space: from.Space.String(), Lineage: from.Lineage.String(), State: proposedNew, from: from}
	for _, t := range all {
		switch {
		case t.History.Lineage() == from.Lineage: // whatever the list calls it
			p.State, p.Space, p.File, p.Trusted = proposedWider, t.Policy.Space, t.Policy.File(), ""
			p.from.Space = t.History.Space()
			return p
		case t.History.Space() == from.Space:
			p.State, p.File, p.Trusted = proposedOther, t.Policy.File(), t.History.Lineage().String()
		}
	}
	return p
}

// rights returns the rules, each once whichever lists propose it.
func (p *proposal) rights() (out []trust.Allow) {
	for _, r := range p.rules {
		if !slices.ContainsFunc(out, func(o trust.Allow) bool { return o.String() == r.String() }) {
			out = append(out, r)
		}
	}
	return out
}

func (a *app) trustProposalsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "proposals",
		Short: "List what trust lists propose and no policy here lets in",
		Long: `List the rights that the trust lists which are heeded here have, and the policies
of this home do not. Nothing of it counts until airlock trust accept writes it into
a policy.`,
		Example: `  airlock trust proposals
  airlock trust proposals -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			all, err := proposals(h)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, p := range all {
				for i, r := range p.rules {
					rows = append(rows, []string{p.Space, p.State, r.String(), p.Rights[i].By.Package + " of " + p.Rights[i].By.Publisher, p.Lineage})
				}
			}
			a.note("%s", count(len(rows), "proposal", "proposals"))
			return a.show(orNone(all), func(w io.Writer) {
				columns(w, []string{"SPACE", "HERE", "PROPOSED", "BY", "LINEAGE"}, rows)
			})
		},
	}
}

func orNone(all []*proposal) []*proposal {
	if all == nil {
		return []*proposal{}
	}
	return all
}

// completeProposed offers the Spaces of which something is proposed.
func (a *app) completeProposed(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if len(args) == 0 && a.hasHome() {
		if h, err := a.home(); err == nil {
			all, _ := proposals(h) // nothing to offer then
			for _, p := range all {
				out = append(out, p.Space)
			}
		}
	}
	return withPrefix(out, typed), cobra.ShellCompDirectiveNoFileComp
}

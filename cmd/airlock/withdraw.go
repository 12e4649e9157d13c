package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"airlock/feed"
)

func (a *app) withdrawCommand() *cobra.Command {
	var reason string
	var dryRun bool
	c := &cobra.Command{
		Use:   "withdraw FEED KIND/NAME@VERSION…",
		Short: "Withdraw versions, for good",
		Long: `Withdraw versions of packages. Receivers stop taking them; what they have goes
only where they prune. A withdrawn version can never be published again.`,
		Example:           `  airlock withdraw shared variable-set/database@1.4.0 --reason "wrong host"`,
		Args:              atLeast(2, "a feed and at least one package"),
		ValidArgsFunction: a.completeWithdraw,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withdraw(cmd.Context(), args[0], args[1:], reason, dryRun)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the people on the other side; at most 500 bytes")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be withdrawn and sign nothing")
	return c
}

func (a *app) withdraw(ctx context.Context, name string, packages []string, reason string, dryRun bool) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	if len(reason) > 500 {
		return usage("the reason has %d bytes", "say it in at most 500", len(reason))
	}
	named, err := versionsOf(id, packages)
	if err != nil {
		return err
	}
	p, c, err := a.publisher(ctx, id, dryRun)
	if err != nil {
		return err
	}
	defer c.Close()
	state, err := p.Sync(ctx)
	if err != nil {
		return err
	}
	var refs []feed.Ref
	for _, r := range named {
		row, err := r.find(state.Index)
		if err != nil {
			return err
		}
		if !slices.Contains(refs, row.Ref) {
			refs = append(refs, row.Ref)
		}
	}
	if dryRun {
		results, err := p.PlanWithdrawal(state, refs)
		if err != nil {
			return err
		}
		return a.showPublished(id, c, results, wouldWithdraw)
	}
	results, err := p.Withdraw(ctx, refs, reason)
	if err != nil {
		return err
	}
	return errors.Join(a.showPublished(id, c, results, withdrew), c.Close())
}

// versionsOf reads the packages of a feed that a command names, each with its
// version.
func versionsOf(id feed.ID, packages []string) ([]pkgRef, error) {
	const hint = "write it like variable-set/database@1.4.0"
	var out []pkgRef
	for _, text := range packages {
		r, err := parsePkgRef(text, hint)
		if err != nil {
			return nil, err
		}
		if r.version == "" {
			return nil, usage("package %.200q says no version", hint, text)
		}
		r.feed = id
		out = append(out, r)
	}
	return out, nil
}

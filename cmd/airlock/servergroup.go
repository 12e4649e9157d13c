package main

import (
	"context"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"airlock/internal/server"
	"airlock/trust"
)

func (a *app) groupCommand() *cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the groups and the Spaces in them",
		Example: `  airlock server group list`,
		Args:    exactly(0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listGroups(cmd.Context()) },
	}
	return group("group", "Keep groups of Spaces, for audiences",
		a.groupChange("add", "Add Spaces to a group", true),
		a.groupChange("remove", "Take Spaces out of a group", false), list)
}

func (a *app) groupChange(verb, short string, in bool) *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   verb + " GROUP ORGANISATION/SPACE…",
		Short: short + "; servers heed it within a second",
		Example: "  airlock server group " + verb + " audit acme/audit acme/revision\n" +
			"  airlock server group " + verb + " audit acme/audit --dry-run",
		Args: atLeast(2, "a group, and Spaces"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGroup(cmd.Context(), args[0], args[1:], in, dryRun)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show the group as it would be and change nothing")
	return c
}

type groupDoc struct {
	Group  string   `json:"group"`
	Spaces []string `json:"spaces"`
}

func (a *app) changeGroup(ctx context.Context, name string, names []string, in, dryRun bool) error {
	if err := trust.CheckLabel(name); err != nil {
		return usage("group: %v", "name it without the @, such as audit", err)
	}
	k, err := a.keep(ctx, serveOptions{to: changingUnless(dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	groups, err := k.server.Groups(ctx, server.Operator)
	if err != nil {
		return err
	}
	members := map[string]bool{}
	for _, s := range groups[name] {
		members[s.String()] = true
	}
	for _, text := range names {
		space, err := trust.ParseSpace(text)
		if err != nil {
			return usage("%v", "airlock server list shows the Spaces that were admitted", err)
		}
		if _, err := k.admission(ctx, space); err != nil {
			return err
		}
		if !dryRun {
			if err := k.server.SetGroup(ctx, server.Operator, name, space, in); err != nil {
				return err
			}
		}
		if members[space.String()] = true; !in {
			delete(members, space.String())
		}
	}
	docs := []groupDoc{{name, slices.Sorted(maps.Keys(members))}}
	return a.showGroups(docs, dryRun)
}

func (a *app) listGroups(ctx context.Context) error {
	k, err := a.keep(ctx, serveOptions{to: reading})
	if err != nil {
		return err
	}
	defer k.close()
	groups, err := k.server.Groups(ctx, server.Operator)
	if err != nil {
		return err
	}
	docs := []groupDoc{}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		d := groupDoc{Group: name}
		for _, s := range groups[name] {
			d.Spaces = append(d.Spaces, s.String())
		}
		docs = append(docs, d)
	}
	a.noteFound(k, len(docs), "group", "groups")
	return a.showGroups(docs, false)
}

func (a *app) showGroups(docs []groupDoc, dryRun bool) error {
	if dryRun {
		a.note("nothing was changed; it would be")
	}
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			for _, s := range d.Spaces {
				rows = append(rows, []string{d.Group, s})
			}
		}
		columns(w, []string{"GROUP", "SPACE"}, rows)
	})
}

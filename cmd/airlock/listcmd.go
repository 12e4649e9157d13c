package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/trust"
)

type listOptions struct {
	selection
	from string
	all  bool
}

func (a *app) listCommand() *cobra.Command {
	var o listOptions
	c := &cobra.Command{
		Use:   "list [FEED]",
		Short: "List the feeds of a source, or the packages of a feed",
		Long: `Without FEED, list the feeds that the source has. With FEED, verify the feed and
list the newest live version of each package; which version is newest is the
order in which the publisher published them.

With --all every version is listed, those withdrawn and void too. The state is
what the feed says; a version that the local policy keeps out says so.`,
		Example: `  airlock list
  airlock list acme/dev-qa/shared
  airlock list acme/dev-qa/shared --kind variable-set --version-mask 1.x
  airlock list acme/dev-qa/shared --all --from /mnt/store -f json`,
		Args:              atMost(1, "at most one feed"),
		ValidArgsFunction: a.completeFeeds,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listFeeds(cmd.Context(), o.from)
			}
			return a.listPackages(cmd.Context(), args[0], o)
		},
	}
	f := c.Flags()
	fromFlag(c, &o.from)
	o.selection.flags(f)
	f.BoolVar(&o.all, "all", false, "every version, not only the newest live ones")
	return c
}

// fromFlag adds --from, as all commands that read feeds have it.
func fromFlag(c *cobra.Command, from *string) {
	c.Flags().StringVar(from, "from", "", "where to read: URL, store folder, s3://bucket/prefix, or a medium with bundles")
}

// fromFlags adds --from as commands have it that read feeds of several Spaces.
func fromFlags(c *cobra.Command, from *[]string) {
	c.Flags().StringArrayVar(from, "from", nil, "where to read, may be given several times: URL, store folder, s3://bucket/prefix, or a medium with bundles")
}

func atMost(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage("%s takes %s, %d given", "see "+cmd.CommandPath()+" --help", cmd.CommandPath(), names, len(args))
		}
		return nil
	}
}

type feedDoc struct {
	Feed  string `json:"feed"`
	Trust string `json:"trust"` // "own", "trusted" or "none"
}

func (a *app) listFeeds(ctx context.Context, from string) error {
	h, err := a.home()
	if err != nil {
		return err
	}
	c, err := a.from(ctx, from)
	if err != nil {
		return err
	}
	defer c.Close()
	ids, err := c.Feeds(ctx)
	if err != nil {
		return err
	}
	docs, rows := []feedDoc{}, [][]string{}
	for _, id := range ids {
		d := feedDoc{id.String(), standing(h, id.Space)}
		docs = append(docs, d)
		rows = append(rows, []string{d.Feed, d.Trust})
	}
	a.note("%s on %s", count(len(docs), "feed", "feeds"), c.name)
	return a.show(docs, func(w io.Writer) { columns(w, []string{"FEED", "TRUST"}, rows) })
}

// standing says what a Space is to this home.
func standing(h *home.Home, s trust.Space) string {
	if own, err := h.Identity(); err == nil && own.Space() == s {
		return "own"
	}
	if _, err := h.Trusted(s); err == nil {
		return "trusted"
	}
	return "none"
}

type versionDoc struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	State     string `json:"state"` // "live", "withdrawn" or "void"
	Entry     int64  `json:"entry"`
	Statement string `json:"statement"`
	Manifest  string `json:"manifest"`
	Refused   string `json:"refused,omitempty"` // why the local policy keeps it out
	Void      string `json:"void,omitempty"`    // why it does not count
}

func (a *app) listPackages(ctx context.Context, name string, o listOptions) error {
	sel, err := o.selection.parse()
	if err != nil {
		return err
	}
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	at, err := a.openFeed(ctx, id, o.from)
	if err != nil {
		return err
	}
	defer at.Close()
	docs := []versionDoc{}
	for _, row := range listed(at.state.Index, sel, o.all) {
		docs = append(docs, a.describeVersion(at, row))
	}
	a.note("%s: %s verified", id, count(int(at.state.Edge.Size()), "entry", "entries"))
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			state := d.State
			if d.Refused != "" {
				state += ", not let in"
			}
			rows = append(rows, []string{d.Kind + "/" + d.Name, shownVersion(d.Version), fmt.Sprint(d.Entry), state})
		}
		columns(w, []string{"PACKAGE", "VERSION", "ENTRY", "STATE"}, rows)
	})
}

// listed returns the publications to list, in the order of their entries.
func listed(x *feed.Index, sel apply.Selection, all bool) []feed.Row {
	newest := map[string]int64{}
	var rows []feed.Row
	for row := range x.Rows(0) {
		if row.What != feed.IsPublication || !sel.Match(row.Ref) {
			continue
		}
		if all {
			rows = append(rows, row)
			continue
		}
		if x.Live(row) {
			newest[row.Ref.Kind+"/"+row.Ref.Name] = row.Index
			rows = append(rows, row)
		}
	}
	if all {
		return rows
	}
	kept := rows[:0]
	for _, row := range rows {
		if newest[row.Ref.Kind+"/"+row.Ref.Name] == row.Index {
			kept = append(kept, row)
		}
	}
	return kept
}

func (a *app) describeVersion(at *opened, row feed.Row) versionDoc {
	d := versionDoc{Kind: row.Ref.Kind, Name: row.Ref.Name, Version: row.Ref.Version, State: rowState(at.state.Index, row),
		Entry: row.Index, Statement: row.ID.String(), Manifest: row.Manifest.String(), Void: row.Void}
	if row.Void == "" {
		if err := at.follower.View.Authorize(at.state.Item(row), a.now()); err != nil {
			d.Refused = err.Error()
		}
	}
	return d
}

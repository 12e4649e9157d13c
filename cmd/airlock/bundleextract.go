package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/ocilayout"
)

type extractOptions struct {
	selection
	oci string
}

func (a *app) bundleExtractCommand() *cobra.Command {
	var o extractOptions
	c := &cobra.Command{
		Use:   "extract PATH [FEED…]",
		Short: "Write verified packages as an OCI image layout",
		Long: `Verify feeds and write their live packages as an OCI image layout, which skopeo,
oras and scanners read. PATH is a stick, a store or a URL; without FEED all its
feeds of Spaces that are known here. Each package is named FEED/KIND/NAME:VERSION.

Nothing is taken in, and the policy is not asked: this is for looking.`,
		Example: `  airlock bundle extract /mnt/stick --oci look
  airlock bundle extract /mnt/stick acme/dev-qa/shared --kind step-template --oci look
  skopeo inspect --raw oci:look:acme/dev-qa/shared/step-template/iis:4`,
		Args: atLeast(1, "a path and feeds"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return a.completeManyFeeds(cmd, args, typed)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.bundleExtract(cmd.Context(), args[0], args[1:], o)
		},
	}
	o.selection.flags(c.Flags())
	c.Flags().StringVar(&o.oci, "oci", "", "folder for the layout, new or empty")
	return c
}

// extractedDoc is a package that was written.
type extractedDoc struct {
	Name   string `json:"name"` // in the layout
	Digest string `json:"digest"`
}

func (a *app) bundleExtract(ctx context.Context, from string, names []string, o extractOptions) error {
	if o.oci == "" {
		return usage("--oci is missing", "say where the layout shall be: --oci DIR")
	}
	sel, err := o.selection.parse()
	if err != nil {
		return err
	}
	c, err := a.from(ctx, from)
	if err != nil {
		return err
	}
	defer c.Close()
	ids, err := a.feedsOf(ctx, c, names, "own", "trusted")
	if err != nil {
		return err
	}
	layout, err := ocilayout.Create(o.oci)
	if errors.Is(err, fs.ErrExist) {
		return usage("--oci %s: is not empty", "name a new or empty folder", o.oci)
	}
	if err != nil {
		return err
	}
	defer layout.Discard()
	docs := []extractedDoc{}
	for _, id := range ids {
		f, state, _, err := a.sync(ctx, c, id)
		if err != nil {
			return err
		}
		rows, err := a.carriedRows(ctx, c, id, liveRows(state.Index, sel))
		if err != nil {
			return err
		}
		err = a.fetch(ctx, "writing packages of "+id.String(), f, state, rows, func(p *feed.Package) error {
			name := fmt.Sprintf("%s/%s/%s:%s", id, p.Row.Ref.Kind, p.Row.Ref.Name, p.Row.Ref.Version)
			docs = append(docs, extractedDoc{name, p.Row.Manifest.String()})
			return layout.Add(ctx, name, p)
		})
		if as[*bundle.BaseError](err) {
			return hinted(err, err.Error(), lookInStore)
		}
		if err != nil {
			return err
		}
	}
	if err := layout.Close(); err != nil {
		return err
	}
	a.note("wrote %s to %s", count(len(docs), "package", "packages"), o.oci)
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			rows = append(rows, []string{d.Name, d.Digest})
		}
		columns(w, []string{"PACKAGE", "MANIFEST"}, rows)
	})
}

// lookInStore is how to look at what a medium holds the differences of.
const lookInStore = "take it into a store, after those before it, and extract that: airlock bundle import STICK --store DIR"

// carriedRows returns the rows whose packages the source has. What the maker of a
// bundle left out is noted; what it was told that the receiver holds is an error,
// since the rest would look like all.
func (a *app) carriedRows(ctx context.Context, c *conn, id feed.ID, rows []feed.Row) ([]feed.Row, error) {
	if c.stick == nil {
		return rows, nil
	}
	var out []feed.Row
	for _, row := range rows {
		ok, err := carries(ctx, c.stick, id, row)
		switch {
		case err != nil:
			return nil, err
		case ok:
			out = append(out, row)
		case c.stick.leader(id).ReceiverHas(id, row.Manifest):
			return nil, &failure{code: exitNoBase, what: fmt.Sprintf("%s is not on %s: the bundle goes on from what its receiver holds", shownRef(row.Ref), c.name), hint: lookInStore}
		default:
			a.note("%s is not on %s: its maker left it out", shownRef(row.Ref), c.name)
		}
	}
	return out, nil
}

// liveRows returns the publications that a selection takes and that stand.
func liveRows(x *feed.Index, sel apply.Selection) []feed.Row {
	var out []feed.Row
	for row := range x.Rows(0) {
		if x.Live(row) && sel.Match(row.Ref) {
			out = append(out, row)
		}
	}
	return out
}

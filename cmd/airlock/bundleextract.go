package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

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
		err = f.Fetch(ctx, state, liveRows(state.Index, sel), func(p *feed.Package) error {
			name := fmt.Sprintf("%s/%s/%s:%s", id, p.Row.Ref.Kind, p.Row.Ref.Name, p.Row.Ref.Version)
			docs = append(docs, extractedDoc{name, p.Row.Manifest.String()})
			return layout.Add(ctx, name, p)
		})
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

// liveRows returns the publications that a selection takes and that stand.
func liveRows(x *feed.Index, sel apply.Selection) []feed.Row {
	var out []feed.Row
	for row := range x.Rows(0) {
		if isLive(x, row) && sel.Match(row.Ref) {
			out = append(out, row)
		}
	}
	return out
}

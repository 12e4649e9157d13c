package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

func (a *app) upgradeCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "upgrade",
		Short: "Bring a store of the earlier format up to this version's",
		Long: `Bring a store of the earlier format up to that of this version. What the earlier
version says of Spaces is carried over first: who was dismissed stays dismissed.
Packages, feeds and their log stay as they are, byte for byte. Cut off anywhere,
it is what it was, and may be upgraded again.

Servers look at the format when they start: stop all of the earlier version
before, or they go on in a store whose rules they do not heed. Afterwards they
refuse it.`,
		Example: `  airlock server upgrade --store /srv/airlock --dry-run
  airlock server upgrade --store s3://airlock/feeds`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.upgrade(cmd.Context(), dryRun) },
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be carried over and change nothing")
	return c
}

// upgradeDoc says what became of a store.
type upgradeDoc struct {
	Store     string   `json:"store"`
	Dismissed []string `json:"dismissed"` // Spaces that stay so
}

func (a *app) upgrade(ctx context.Context, dryRun bool) error {
	h, err := a.home()
	if err != nil {
		return err
	}
	where := a.storePath(h)
	store, raise, err := storage.OpenEarlier(ctx, where, a.getenv)
	if f, ok := errors.AsType[*storage.FormatError](err); ok && f.Got == storage.Format {
		a.note("%s has the format of this version already", where)
		return a.show(upgradeDoc{Store: where, Dismissed: []string{}}, func(io.Writer) {})
	}
	if err != nil {
		return a.keptElsewhere(notOpened(where, err))
	}
	k, err := a.keepStore(ctx, h, store, serveOptions{to: changingUnless(dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	spaces, verb := []trust.Space(nil), "would upgrade"
	if dryRun {
		spaces, err = k.server.CarriedOver(ctx)
	} else if spaces, err = k.server.CarryOver(ctx, server.Operator); err == nil {
		verb, err = "upgraded", raise(ctx)
	}
	if err != nil {
		return err
	}
	doc := upgradeDoc{Store: store.Name, Dismissed: []string{}}
	for _, s := range spaces {
		doc.Dismissed = append(doc.Dismissed, s.String())
	}
	a.note("%s %s; dismissed Spaces that stay so: %d", verb, store.Name, len(spaces))
	return a.show(doc, func(w io.Writer) {
		var rows [][]string
		for _, s := range doc.Dismissed {
			rows = append(rows, []string{s, "dismissed"})
		}
		columns(w, []string{"SPACE", "STATE"}, rows)
	})
}

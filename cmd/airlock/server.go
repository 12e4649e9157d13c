package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/internal/settings"
	"airlock/trust"
)

func (a *app) serverCommand() *cobra.Command {
	admit := &cobra.Command{
		Use:   "admit FILE",
		Short: "Let the Space of an identity file append to its feeds here",
		Long: `Let a Space append to its own feeds in this store. Admitting is not trusting:
who reads decides for itself whom to believe. airlock server dismiss takes it
back.`,
		Example: `  airlock server admit dev-qa.id
  airlock server admit dev-qa.id --store /srv/airlock`,
		Args: exactly(1, "an identity file"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.admit(cmd.Context(), args[0]) },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the Spaces that were admitted, and what they are granted",
		Example: `  airlock server list
  airlock server list --store /srv/airlock
  airlock server list --config server.yaml`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listAdmitted(cmd.Context()) },
	}
	config, said := "", settings.Default()
	c := group("server", "Administer the store of a server", a.inviteCommand(&said), a.enrolmentsCommand(), a.confirmCommand(), admit, a.dismissCommand(), list, a.tokenCommand(), a.serverAudienceCommand(), a.groupCommand(), a.quotaCommand(), a.pushCommand(), a.upgradeCommand())
	settingFlags(c.PersistentFlags(), []settings.Field{said.Field("logs.audit")})
	c.PersistentFlags().StringVar(&config, "config", "", "settings file of airlock serve, which says where the store is; flags and environment beat it")
	c.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.settle(cmd); err != nil {
			return err
		}
		err := a.settleServer(config, &said, a.louder(cmd.Flags()))
		a.acts = said.Logs.Audit
		return err
	}
	return c
}

// noteFound says how much a store has of something, and which store that is.
func (a *app) noteFound(k *keeper, n int, one, many string) {
	a.note("%s in %s", count(n, one, many), k.store.Name)
}

func (a *app) dismissCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "dismiss ORGANISATION/SPACE",
		Short: "Take the admission of a Space back; its feeds stay readable",
		Long: `Take the admission of a Space back: it may not append to its feeds in this store
any more. What they hold stays, and stays readable. Running servers heed it at
once. Admitting the Space again, with an identity file of the same lineage, lets
it go on where it stopped.`,
		Example: `  airlock server dismiss acme/dev-qa --dry-run
  airlock server dismiss acme/dev-qa --store /srv/airlock`,
		Args: exactly(1, "<organisation>/<space>"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.dismiss(cmd.Context(), args[0], dryRun) },
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show which feeds would be closed and change nothing")
	return c
}

func (a *app) admit(ctx context.Context, file string) error {
	b, err := home.ReadFile(file, trust.MaxFile)
	if err != nil {
		return err
	}
	k, err := a.keep(ctx, serveOptions{to: publishing})
	if err != nil {
		return err
	}
	defer k.close()
	history, err := k.server.Admit(ctx, server.Operator, b)
	if err != nil {
		return badIdentity(file, err)
	}
	a.note("admitted %s, lineage %s, to %s", history.Space(), history.Lineage(), k.store.Name)
	return nil
}

type admittedDoc struct {
	Space   string `json:"space"`
	Lineage string `json:"lineage"`
	State   string `json:"state"` // "admitted" or "dismissed"
	quotaDoc
}

// admitted says how things stand with a Space that was admitted.
func (k *keeper) admitted(ctx context.Context, h *trust.History) (admittedDoc, error) {
	d := admittedDoc{Space: h.Space().String(), Lineage: h.Lineage().String(), State: "admitted"}
	gone, err := k.server.Dismissed(ctx, h.Space())
	if err != nil {
		return d, err
	}
	if gone {
		d.State = "dismissed"
	}
	q, err := k.server.Quota(ctx, server.Operator, h.Space())
	d.quotaDoc = quotaDoc(q)
	return d, err
}

func (a *app) listAdmitted(ctx context.Context) error {
	k, err := a.keep(ctx, serveOptions{to: reading})
	if err != nil {
		return err
	}
	defer k.close()
	spaces, err := k.server.Spaces(ctx)
	if err != nil {
		return err
	}
	docs := []admittedDoc{}
	for _, h := range spaces {
		d, err := k.admitted(ctx, h)
		if err != nil {
			return err
		}
		docs = append(docs, d)
	}
	a.noteFound(k, len(docs), "Space", "Spaces")
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			rows = append(rows, []string{d.Space, d.State, d.Lineage, d.quotaDoc.String()})
		}
		columns(w, []string{"SPACE", "STATE", "LINEAGE", "QUOTA"}, rows)
	})
}

// dismissedDoc is a Space whose admission is taken back, and its feeds.
type dismissedDoc struct {
	admittedDoc
	Feeds []string `json:"feeds"`
}

func (a *app) dismiss(ctx context.Context, name string, dryRun bool) error {
	space, err := trust.ParseSpace(name)
	if err != nil {
		return usage("%v", "airlock server list shows the Spaces that were admitted", err)
	}
	k, err := a.keep(ctx, serveOptions{to: changingUnless(dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	doc, err := k.admission(ctx, space)
	if err != nil {
		return err
	}
	verb := "dismissed"
	switch {
	case doc.State == "dismissed":
		a.note("%s was dismissed from %s already", space, k.store.Name)
		return a.show(doc, doc.table)
	case dryRun:
		verb = "would dismiss"
	default:
		if err := k.server.Dismiss(ctx, server.Operator, space); err != nil {
			return err
		}
		doc.State = "dismissed"
	}
	a.note("%s %s from %s", verb, space, k.store.Name)
	return a.show(doc, doc.table)
}

// admission returns the admission of one Space, and the feeds that it has.
func (k *keeper) admission(ctx context.Context, space trust.Space) (dismissedDoc, error) {
	spaces, err := k.server.Spaces(ctx)
	if err != nil {
		return dismissedDoc{}, err
	}
	i := slices.IndexFunc(spaces, func(h *trust.History) bool { return h.Space() == space })
	if i < 0 {
		return dismissedDoc{}, &failure{code: exitFailed, what: fmt.Sprintf("%s was not admitted to %s", space, k.store.Name), hint: "airlock server list shows the Spaces that were"}
	}
	d, err := k.admitted(ctx, spaces[i])
	if err != nil {
		return dismissedDoc{}, err
	}
	doc := dismissedDoc{d, []string{}}
	ids, err := k.server.Feeds(ctx, server.Operator, nil)
	for _, id := range ids {
		if id.Space == space {
			doc.Feeds = append(doc.Feeds, id.String())
		}
	}
	return doc, err
}

func (d dismissedDoc) table(w io.Writer) {
	for _, id := range d.Feeds {
		fmt.Fprintf(w, "%s stays readable and takes nothing new\n", id)
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed/log"
	"airlock/internal/server"
	"airlock/internal/settings"
	"airlock/trust"
)

// quotaDoc is what a Space is granted; what is left out has no bound.
type quotaDoc struct {
	Bytes    int64 `json:"maxBytes,omitempty"`
	Packages int64 `json:"maxPackages,omitempty"`
	Requests int64 `json:"maxRequests,omitempty"` // a second
}

func (d quotaDoc) String() string {
	var parts []string
	if d.Bytes > 0 {
		parts = append(parts, size(d.Bytes))
	}
	if d.Packages > 0 {
		parts = append(parts, fmt.Sprintf("%d packages", d.Packages))
	}
	if d.Requests > 0 {
		parts = append(parts, fmt.Sprintf("%d/s", d.Requests))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

type quotaOptions struct {
	bytes              string
	packages, requests int64
	dryRun             bool
	said               func(flag string) bool
}

func (a *app) quotaCommand() *cobra.Command {
	var o quotaOptions
	c := &cobra.Command{
		Use:   "quota ORGANISATION/SPACE",
		Short: "Show or change what a Space is granted, and what it takes",
		Long: `Show what a Space is granted and what its feeds take, after changing what is said
by the flags; 0 takes a bound away. Bytes are those of its entries and of all that
they name, each feed for itself; packages are those that were published, withdrawn
ones too. What is there stays, and identities and withdrawals are always taken.
Requests a second count on each server.`,
		Example: `  airlock server quota acme/dev-qa
  airlock server quota acme/dev-qa --bytes 10G --packages 1000 --requests 50
  airlock server quota acme/dev-qa --bytes 0 --dry-run`,
		Args: exactly(1, "<organisation>/<space>"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.said = cmd.Flags().Changed
			return a.quota(cmd.Context(), args[0], o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.bytes, "bytes", "", "bytes, such as 500M or 10G")
	f.Int64Var(&o.packages, "packages", 0, "versions of packages")
	f.Int64Var(&o.requests, "requests", 0, "requests a second")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be granted and change nothing")
	return c
}

// change changes a quota as the flags say, and reports whether they say anything.
func (o quotaOptions) change(q *server.Quota) (bool, error) {
	if o.said("bytes") {
		n, ok := settings.ParseSize(o.bytes)
		if !ok {
			return false, usage("--bytes %.40q: is no size", "say bytes such as 500M or 10G, or 0 for no bound", o.bytes)
		}
		q.Bytes = n
	}
	if o.said("packages") {
		q.Packages = o.packages
	}
	if o.said("requests") {
		q.Requests = o.requests
	}
	return o.said("bytes") || o.said("packages") || o.said("requests"), nil
}

func (a *app) quota(ctx context.Context, name string, o quotaOptions) error {
	space, err := trust.ParseSpace(name)
	if err != nil {
		return usage("%v", "airlock server list shows the Spaces that were admitted", err)
	}
	k, err := a.keep(ctx, serveOptions{to: changingUnless(o.dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	if _, err := k.admission(ctx, space); err != nil {
		return err
	}
	q, err := k.server.Quota(ctx, server.Operator, space)
	if err != nil {
		return err
	}
	changes, err := o.change(&q)
	if err != nil {
		return err
	}
	if changes && !o.dryRun {
		if err := k.server.SetQuota(ctx, server.Operator, space, q); err != nil {
			return err
		}
	}
	if changes && o.dryRun {
		a.note("nothing was changed; it would be")
	}
	used, err := k.server.Usage(ctx, server.Operator, space)
	if err != nil {
		return err
	}
	return a.showQuota(space, quotaDoc(q), used)
}

func (a *app) showQuota(space trust.Space, q quotaDoc, used log.Usage) error {
	doc := struct {
		Space string `json:"space"`
		quotaDoc
		Bytes    int64 `json:"bytes"`
		Packages int64 `json:"packages"`
	}{space.String(), q, used.Bytes, used.Packages}
	of := func(max int64, text string) string {
		if max == 0 {
			return " of any number"
		}
		return " of " + text
	}
	return a.show(doc, func(w io.Writer) {
		pairs(w, [2]string{"space", space.String()},
			[2]string{"bytes", size(used.Bytes) + of(q.Bytes, size(q.Bytes))},
			[2]string{"packages", fmt.Sprint(used.Packages) + of(q.Packages, fmt.Sprint(q.Packages))},
			[2]string{"requests a second", strings.TrimPrefix(of(q.Requests, fmt.Sprint(q.Requests)), " of ")})
	})
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/server"
)

// audiences is where it is kept who may read which feed: a server, or a store.
type audiences interface {
	Audience(ctx context.Context, id feed.ID) (feedhttp.Audience, error)
	SetAudience(ctx context.Context, id feed.ID, a feedhttp.Audience) error
}

var (
	_ audiences = (*feedhttp.Client)(nil)
	_ audiences = (*server.Local)(nil)
)

type audienceOptions struct {
	all, dryRun bool
	to          []string
}

const audienceLong = `A feed is read by its own Space, by administrators, and by its audience: without a
word every Space that is admitted, also in future, and of a feed that names people,
such as receipts, nobody else. For who is not in the audience the feed does not
exist, and neither does what only it names. Without flags it is shown.`

func (o *audienceOptions) flags(c *cobra.Command) *cobra.Command {
	f := c.Flags()
	f.BoolVar(&o.all, "all", false, "every Space that is admitted, also in future")
	f.StringSliceVar(&o.to, "to", nil, "Spaces and @groups, and nobody else")
	f.BoolVar(&o.dryRun, "dry-run", false, "show who would read it and change nothing")
	c.PreRunE = func(*cobra.Command, []string) error {
		if o.all && o.to != nil {
			return usage("both --all and --to were given", "say one: all Spaces, or those that are named")
		}
		return nil
	}
	return c
}

func (a *app) audienceCommand() *cobra.Command {
	var o audienceOptions
	c := &cobra.Command{
		Use:   "audience FEED",
		Short: "Say who may read a feed of this Space on the server",
		Long:  "Say who may read a feed of this Space on the server.\n\n" + audienceLong,
		Example: `  airlock audience shared
  airlock audience receipts --to acme/dev-qa
  airlock audience shared --to acme/production,@audit
  airlock audience shared --all`,
		Args:              exactly(1, "a feed"),
		ValidArgsFunction: a.completeFeeds,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.audience(cmd.Context(), args[0], o)
		},
	}
	return o.flags(c)
}

func (a *app) serverAudienceCommand() *cobra.Command {
	var o audienceOptions
	c := &cobra.Command{
		Use:   "audience FEED",
		Short: "Say who may read a feed of the store",
		Long:  "Say who may read a feed of the store, of whichever Space.\n\n" + audienceLong,
		Example: `  airlock server audience acme/dev-qa/shared
  airlock server audience acme/dev-qa/shared --to acme/production,@audit --dry-run`,
		Args:              exactly(1, "a feed"),
		ValidArgsFunction: a.completeFeeds,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.serverAudience(cmd.Context(), args[0], o)
		},
	}
	return o.flags(c)
}

func (a *app) audience(ctx context.Context, name string, o audienceOptions) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	c, err := a.connect(ctx, changingUnless(o.dryRun || !o.said()))
	if err != nil {
		return err
	}
	defer c.Close()
	at, ok := c.place.(audiences)
	if !ok {
		return usage("%s keeps no audiences", "name a server or a store", c.name)
	}
	return a.changeAudience(ctx, at, id, o)
}

func (a *app) serverAudience(ctx context.Context, name string, o audienceOptions) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	k, err := a.keep(ctx, serveOptions{to: changingUnless(o.dryRun || !o.said())})
	if err != nil {
		return err
	}
	defer k.close()
	return a.changeAudience(ctx, k.server.Local(), id, o)
}

// said reports whether the flags name an audience.
func (o audienceOptions) said() bool { return o.all || o.to != nil }

type audienceDoc struct {
	Feed    string   `json:"feed"`
	Readers []string `json:"readers"` // "all", or Spaces and "@group"s
}

// changeAudience shows who reads a feed, after changing it where that is asked
// for.
func (a *app) changeAudience(ctx context.Context, at audiences, id feed.ID, o audienceOptions) error {
	now, err := at.Audience(ctx, id)
	if err != nil {
		return err
	}
	verb := "is"
	if o.said() {
		next := feedhttp.Audience{All: true}
		if !o.all {
			if next, err = feedhttp.NewAudience(o.to); err != nil {
				return usage("--to: %v", "name Spaces such as acme/production, and groups such as @audit", err)
			}
		}
		switch {
		case next.Equal(now):
		case o.dryRun:
			verb = "would be"
		default:
			if err := at.SetAudience(ctx, id, next); err != nil {
				return err
			}
		}
		now = next
	}
	names := now.Names()
	a.note("the audience of %s %s %s", id, verb, count(len(names), "reader", "readers"))
	return a.show(audienceDoc{id.String(), names}, func(w io.Writer) {
		for _, name := range names {
			fmt.Fprintln(w, name)
		}
	})
}

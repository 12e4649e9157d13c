package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/server"
)

// audiences is where it is kept who may read which feed: a server, or a store.
type audiences interface {
	Audience(ctx context.Context, id feed.ID) (feedhttp.Readers, error)
	SetAudience(ctx context.Context, id feed.ID, a feedhttp.Audience) error
}

var (
	_ audiences = (*feedhttp.Client)(nil)
	_ audiences = (*server.Local)(nil)
)

type audienceOptions struct {
	all, reset, dryRun bool
	to                 []string
}

const audienceLong = `A feed is read by its own Space, by administrators, and by its audience: without a
word every Space that is admitted, also in future, and of a feed that names people,
such as receipts, nobody else. For who is not in the audience the feed does not
exist, and neither does what only it names. Its Space says who is, and the operator
may say it too: then who reads is in both, so what the operator says the Space can
narrow and not widen. Without flags it is shown.`

func (o *audienceOptions) flags(c *cobra.Command) *cobra.Command {
	f := c.Flags()
	f.BoolVar(&o.all, "all", false, "every Space that is admitted, also in future")
	f.StringSliceVar(&o.to, "to", nil, "Spaces and @groups, and nobody else")
	f.BoolVar(&o.dryRun, "dry-run", false, "show who would read it and change nothing")
	c.PreRunE = func(*cobra.Command, []string) error {
		switch {
		case o.all && o.to != nil:
			return usage("both --all and --to were given", "say one: all Spaces, or those that are named")
		case o.reset && o.said():
			return usage("--reset takes back what was said, and --all or --to says something", "say one of them")
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
  airlock server audience acme/dev-qa/shared --to acme/production,@audit --dry-run
  airlock server audience acme/dev-qa/shared --reset`,
		Args:              exactly(1, "a feed"),
		ValidArgsFunction: a.completeFeeds,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.serverAudience(cmd.Context(), args[0], o)
		},
	}
	c.Flags().BoolVar(&o.reset, "reset", false, "take back what the operator said: what the Space says holds alone")
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
	k, err := a.keep(ctx, serveOptions{to: changingUnless(o.dryRun || !o.said() && !o.reset)})
	if err != nil {
		return err
	}
	defer k.close()
	return a.changeAudience(ctx, k.server.Local(), id, o)
}

// said reports whether the flags name an audience.
func (o audienceOptions) said() bool { return o.all || o.to != nil }

// next is the audience that the flags name.
func (o audienceOptions) next() (feedhttp.Audience, error) {
	if o.all {
		return feedhttp.Audience{All: true}, nil
	}
	next, err := feedhttp.NewAudience(o.to)
	if err != nil {
		err = usage("--to: %v", "name Spaces such as acme/production, and groups such as @audit", err)
	}
	return next, err
}

type audienceDoc struct {
	Feed    string   `json:"feed"`
	Readers []string `json:"readers"`         // "all", or Spaces and "@group"s
	Bound   []string `json:"bound,omitempty"` // what the operator says: who reads is in both
	// Unknown are names that nobody has here. On the store alone: a server does not
	// tell a Space whom else it keeps.
	Unknown []string `json:"unknown,omitempty"`
}

// changeAudience shows who reads a feed, after changing it where that is asked
// for.
func (a *app) changeAudience(ctx context.Context, at audiences, id feed.ID, o audienceOptions) error {
	now, err := at.Audience(ctx, id)
	if err != nil {
		return err
	}
	if !o.said() && !o.reset {
		return a.showAudience(ctx, at, id, "is", now)
	}
	var next *feedhttp.Audience
	if o.said() {
		said, err := o.next()
		if err != nil {
			return err
		}
		next = &said
	}
	switch {
	case o.dryRun:
		return a.showAudience(ctx, at, id, "would be", now.With(id, next))
	case next == nil:
		err = at.(*server.Local).ResetAudience(ctx, id) // the flag is one of server audience alone
	default:
		err = at.SetAudience(ctx, id, *next)
	}
	if err == nil {
		now, err = at.Audience(ctx, id)
	}
	if err != nil {
		return err
	}
	return a.showAudience(ctx, at, id, "is", now)
}

// audienceSize says in a few words how many have a feed for their audience.
func audienceSize(a feedhttp.Audience) string {
	switch n := len(a.Names()); {
	case a.All:
		return "all Spaces"
	case n == 0:
		return "nobody"
	default:
		return count(n, "Space or group", "Spaces or groups")
	}
}

func (a *app) showAudience(ctx context.Context, at audiences, id feed.ID, verb string, r feedhttp.Readers) error {
	doc := audienceDoc{Feed: id.String(), Readers: r.Names()}
	a.note("the audience of %s %s %s", id, verb, audienceSize(r.Audience))
	if r.Bound != nil {
		if doc.Bound = r.Bound.Names(); !r.Bound.Equal(r.Audience) {
			a.note("of them the operator lets in who is among: %s; airlock server audience says it", cmp.Or(strings.Join(doc.Bound, ", "), "nobody"))
		}
	}
	if local, ok := at.(*server.Local); ok {
		said := append(r.Names(), doc.Bound...)
		slices.Sort(said)
		said = slices.DeleteFunc(slices.Compact(said), func(name string) bool { return name == "all" })
		named, _ := feedhttp.NewAudience(said) // both were checked; together they may be more than one may have
		var err error
		if doc.Unknown, err = local.Unknown(ctx, named); err != nil {
			return err
		}
		if len(doc.Unknown) > 0 {
			a.note("not admitted yet, or without members, or misspelt: %s; see airlock server list and airlock server group list", strings.Join(doc.Unknown, ", "))
		}
	}
	return a.show(doc, func(w io.Writer) {
		for _, name := range doc.Readers {
			fmt.Fprintln(w, name)
		}
	})
}

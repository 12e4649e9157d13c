package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

func (a *app) tokenCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "List the tokens, whose they are and until when",
		Example: `  airlock server token list
  airlock server token list --store /srv/airlock -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listTokens(cmd.Context()) },
	}
	return group("token", "Make, list and revoke the tokens of readers and publishers", a.tokenAddCommand(), list, a.tokenRevokeCommand())
}

type tokenOptions struct {
	administrator, dryRun bool
	lasts, note, output   string
	feeds                 []string
}

func (a *app) tokenAddCommand() *cobra.Command {
	var o tokenOptions
	c := &cobra.Command{
		Use:   "add ORGANISATION/SPACE | --administrator",
		Short: "Make a token for a Space, or for an administrator",
		Long: `Make a token, which whoever holds it shows with --token-file. One of a Space lets
it read what it may and append to its own feeds; one of an administrator reads
everything. The store keeps only a digest: the token is shown this once.`,
		Example: `  airlock server token add acme/dev-qa -o dev-qa.token
  airlock server token add acme/production --feed 'acme/*/shared' --for 30d --note 'agent on web-1'
  airlock server token add --administrator -o token --store /srv/airlock`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.administrator == (len(args) == 1) || len(args) > 1 {
				return usage("whose token is it?", "name one Space, or say --administrator")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.addToken(cmd.Context(), args, o) },
	}
	f := c.Flags()
	f.BoolVar(&o.administrator, "administrator", false, "a token that reads everything, and belongs to no Space")
	f.StringVar(&o.lasts, "for", "90d", "how long it is good, such as 90d or 12h")
	f.StringArrayVar(&o.feeds, "feed", nil, "a feed that it is good for, such as acme/dev-qa/shared or 'acme/*/shared'; without it, all")
	f.StringVar(&o.note, "note", "", "what it is for, for who reads the list")
	f.StringVarP(&o.output, "output", "o", "", "file for the token, which must not exist (default standard output)")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be made and change nothing")
	return c
}

func (a *app) tokenRevokeCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a token worth nothing; servers heed it within a second",
		Example: `  airlock server token list
  airlock server token revoke 07k3m2qxwz5a`,
		Args: exactly(1, "the id of a token"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.revokeToken(cmd.Context(), args[0], dryRun) },
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show which token it is and change nothing")
	return c
}

// tokenDoc is a token as it is shown; Token is set this once when it is made.
type tokenDoc struct {
	ID    string         `json:"id"`
	Owner string         `json:"owner"` // a Space, or "administrator"
	Feeds []feed.Pattern `json:"feeds,omitempty"`
	Made  string         `json:"made"`
	Until string         `json:"until"`
	State string         `json:"state"` // "good" or "ended"
	Note  string         `json:"note,omitempty"`
	Token string         `json:"token,omitempty"`
}

func (a *app) tokenDoc(t server.Token) tokenDoc {
	d := tokenDoc{ID: t.ID, Owner: "administrator", Feeds: t.Feeds, Made: signing.FormatTime(t.Made), Until: signing.FormatTime(t.Until), State: "good", Note: t.Note}
	if t.Space != (trust.Space{}) {
		d.Owner = t.Space.String()
	}
	if !a.now().Before(t.Until) {
		d.State = "ended"
	}
	return d
}

func (d tokenDoc) row() []string {
	feeds := "all"
	if d.Feeds != nil {
		var names []string
		for _, p := range d.Feeds {
			names = append(names, string(p))
		}
		feeds = strings.Join(names, ",")
	}
	return []string{d.ID, d.Owner, d.State, d.Until, feeds, d.Note}
}

var tokenHeader = []string{"ID", "OWNER", "STATE", "UNTIL", "FEEDS", "NOTE"}

// token reads what a token is to be made for.
func (o tokenOptions) token(args []string, now time.Time) (server.Token, error) {
	t := server.Token{Made: now, Note: o.note}
	if len(args) == 1 {
		space, err := trust.ParseSpace(args[0])
		if err != nil {
			return t, usage("%v", "airlock server list shows the Spaces that were admitted", err)
		}
		t.Space = space
	}
	var err error
	if t.Feeds, err = patterns(o.feeds); err != nil {
		return t, err
	}
	lasts, ok := parseLasting(o.lasts)
	if !ok {
		return t, usage("--for %.40q: want how long it is good", "say --for 90d or --for 12h", o.lasts)
	}
	t.Until = now.Add(lasts).Truncate(time.Second)
	return t, nil
}

// parseLasting reads a time of at least a second: days such as 90d, or hours
// and less such as 12h or 1h30m.
func parseLasting(s string) (time.Duration, bool) {
	if days, ok := parseDays(s); ok && strings.HasSuffix(s, "d") {
		return time.Duration(days) * 24 * time.Hour, days > 0
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= time.Second
}

func (a *app) addToken(ctx context.Context, args []string, o tokenOptions) error {
	t, err := o.token(args, a.now())
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.planToken(ctx, t)
	}
	k, err := a.keep(ctx, serveOptions{to: publishing})
	if err != nil {
		return err
	}
	defer k.close()
	made, text, err := k.server.AddToken(ctx, server.Operator, t)
	if err != nil {
		return err
	}
	if o.output != "" {
		if err := storage.CreateFile(o.output, []byte(text+"\n"), 0o600); err != nil {
			_, revokeErr := k.server.RevokeToken(ctx, server.Operator, made.ID) // nobody was told of it
			return errors.Join(taken(err), revokeErr)
		}
		text = ""
	}
	d := a.tokenDoc(made)
	d.Token = text
	a.note("made token %s of %s, good until %s", d.ID, d.Owner, d.Until)
	return a.show(d, func(w io.Writer) {
		if text != "" {
			fmt.Fprintln(w, text)
		}
	})
}

// planToken shows what token would be made.
func (a *app) planToken(ctx context.Context, t server.Token) error {
	k, err := a.keep(ctx, serveOptions{to: reading})
	if err != nil {
		return err
	}
	defer k.close()
	if t.Space != (trust.Space{}) {
		if _, err := k.admission(ctx, t.Space); err != nil {
			return err
		}
	}
	d := a.tokenDoc(t)
	a.note("would make a token of %s, good until %s", d.Owner, d.Until)
	return a.show(d, func(io.Writer) {})
}

func (a *app) listTokens(ctx context.Context) error {
	k, err := a.keep(ctx, serveOptions{to: reading})
	if err != nil {
		return err
	}
	defer k.close()
	docs, err := a.tokens(ctx, k)
	if err != nil {
		return err
	}
	a.noteFound(k, len(docs), "token", "tokens")
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			rows = append(rows, d.row())
		}
		columns(w, tokenHeader, rows)
	})
}

func (a *app) tokens(ctx context.Context, k *keeper) ([]tokenDoc, error) {
	all, err := k.server.Tokens(ctx, server.Operator)
	docs := []tokenDoc{}
	for _, t := range all {
		docs = append(docs, a.tokenDoc(t))
	}
	return docs, err
}

func (a *app) revokeToken(ctx context.Context, id string, dryRun bool) error {
	k, err := a.keep(ctx, serveOptions{to: changingUnless(dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	docs, err := a.tokens(ctx, k)
	if err != nil {
		return err
	}
	for _, d := range docs {
		if d.ID != id {
			continue
		}
		verb := "would revoke"
		if !dryRun {
			verb = "revoked"
			if _, err := k.server.RevokeToken(ctx, server.Operator, id); err != nil {
				return err
			}
		}
		a.note("%s token %s of %s", verb, d.ID, d.Owner)
		return a.show(d, func(io.Writer) {})
	}
	return &failure{code: exitFailed, what: fmt.Sprintf("%s has no token with the id %.40q", k.store.Name, id), hint: "airlock server token list shows the ids; an id is the part between the two _ of a token"}
}

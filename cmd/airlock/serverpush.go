package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/server"
	"airlock/receipts"
	"airlock/signing"
	"airlock/trust"
)

func (a *app) pushCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "List what is pushed to whom, and how that stands",
		Example: `  airlock server push list
  airlock server push list --store /srv/airlock -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listPushes(cmd.Context()) },
	}
	return group("push", "Push feeds to the inboxes of Spaces", a.pushAddCommand(), list, a.pushRemoveCommand())
}

func (a *app) pushAddCommand() *cobra.Command {
	var feeds []string
	var dryRun bool
	c := &cobra.Command{
		Use:   "add ORGANISATION/SPACE URL",
		Short: "Push feeds to the inbox of a Space, as soon as they grow",
		Long: `Push feeds to the inbox of a Space: an agent that runs with --inbox. It is sent
what it may read and does not have yet, and believes nothing of it unverified. An
https address must show a TLS key of the Space; http is for a tunnel on the
servers' own machine. Addresses that are not public the servers push to where they
run with --push-to.

What fails is tried again, later each time, until it is given up after a day
(airlock serve --push-give-up). Saying the same again begins anew. The agent answers
with receipts of what it did at once: airlock server push list shows the last ones.`,
		Example: `  airlock server push add acme/production https://inbox.acme.example:7443
  airlock server push add acme/production https://10.1.2.3:7443 --feed 'acme/*/shared'`,
		Args: exactly(2, "a Space and the URL of its inbox"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.addPush(cmd.Context(), args[0], args[1], feeds, dryRun)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&feeds, "feed", []string{"*/*/*"}, "a feed to push, such as acme/dev-qa/shared or 'acme/*/shared'")
	f.BoolVar(&dryRun, "dry-run", false, "show what would be pushed and change nothing")
	return c
}

func (a *app) pushRemoveCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "remove ID",
		Short: "End a push; what the inbox has it keeps",
		Example: `  airlock server push list
  airlock server push remove 07k3m2qxwz5a`,
		Args: exactly(1, "the id of a push"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.removePush(cmd.Context(), args[0], dryRun) },
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show which push it is and change nothing")
	return c
}

// pushDoc is a push as it is shown.
type pushDoc struct {
	ID       string           `json:"id,omitempty"`
	Space    string           `json:"space"`
	URL      string           `json:"url"`
	Feeds    []feed.Pattern   `json:"feeds"`
	Added    string           `json:"added,omitempty"`
	State    string           `json:"state,omitempty"`
	Problem  string           `json:"problem,omitempty"`
	Since    string           `json:"since,omitempty"`
	Attempts int              `json:"attempts,omitempty"`
	Taken    map[string]int64 `json:"taken,omitempty"` // entries that the inbox has, by feed
	Receipts *pushSaidDoc     `json:"receipts,omitempty"`
}

// pushSaidDoc is what the receipts in the last answer that had some said.
type pushSaidDoc struct {
	Feed     string                   `json:"feed"`
	Time     string                   `json:"time"`
	Outcomes map[receipts.Outcome]int `json:"outcomes,omitempty"`
	Problem  string                   `json:"problem,omitempty"`
}

func (d *pushSaidDoc) text() string {
	if d == nil {
		return ""
	}
	if d.Problem != "" {
		return "not taken: " + d.Problem
	}
	var out []string
	for _, o := range receipts.Outcomes {
		if n := d.Outcomes[o]; n > 0 {
			out = append(out, fmt.Sprintf("%s %d", o, n))
		}
	}
	return strings.Join(out, ", ")
}

func newPushDoc(p server.Push) pushDoc {
	d := pushDoc{ID: p.ID, Space: p.Space.String(), URL: p.URL, Feeds: p.Feeds, State: p.State, Problem: p.Problem, Attempts: p.Attempts, Added: signing.FormatTime(p.Added)}
	if !p.Since.IsZero() {
		d.Since = signing.FormatTime(p.Since)
	}
	if r := p.Receipts; r != nil {
		d.Receipts = &pushSaidDoc{r.Feed.String(), signing.FormatTime(time.Unix(r.Time, 0)), r.Outcomes, r.Problem}
	}
	for id, t := range p.Taken {
		if d.Taken == nil {
			d.Taken = map[string]int64{}
		}
		d.Taken[id.String()] = t.Size
	}
	return d
}

func (d pushDoc) row() []string {
	var names []string
	for _, p := range d.Feeds {
		names = append(names, string(p))
	}
	var entries int64
	for _, n := range d.Taken {
		entries += n
	}
	state, problem := d.State, ""
	if state == server.Untried {
		state = "not tried yet"
	}
	if d.Problem != "" {
		problem = fmt.Sprintf("since %s, %s: %s", d.Since, count(d.Attempts, "attempt", "attempts"), d.Problem)
	}
	return []string{d.ID, d.Space, d.URL, strings.Join(names, ","), strconv.FormatInt(entries, 10), d.Receipts.text(), state, problem}
}

func (a *app) addPush(ctx context.Context, name, url string, feeds []string, dryRun bool) error {
	space, err := trust.ParseSpace(name)
	if err != nil {
		return usage("%v", "airlock server list shows the Spaces that were admitted", err)
	}
	if err := server.CheckPushURL(url); err != nil {
		return usage("%v", "say https://HOST:PORT of the Space's inbox, or http://127.0.0.1:PORT of a tunnel to it that begins on the servers' machine", err)
	}
	p := server.Push{Space: space, URL: url}
	if p.Feeds, err = patterns(feeds); err != nil {
		return err
	}
	k, err := a.keep(ctx, serveOptions{to: changingUnless(dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	if dryRun {
		if _, err := k.admission(ctx, space); err != nil {
			return err
		}
		a.note("would push to %s at %s", space, url)
		return a.show(pushDoc{Space: name, URL: url, Feeds: p.Feeds}, func(io.Writer) {})
	}
	made, err := k.server.AddPush(ctx, server.Operator, p)
	if err != nil {
		return err
	}
	a.note("push %s to %s at %s", made.ID, space, made.URL)
	return a.show(newPushDoc(made), func(io.Writer) {})
}

// patterns reads what --feed says.
func patterns(texts []string) (out []feed.Pattern, err error) {
	for _, text := range texts {
		p, err := feed.ParsePattern(text)
		if err != nil {
			return nil, usage("--feed: %v", "say --feed acme/dev-qa/shared, or --feed 'acme/*/shared'", err)
		}
		out = append(out, p)
	}
	return out, nil
}

func (a *app) listPushes(ctx context.Context) error {
	k, err := a.keep(ctx, serveOptions{to: reading})
	if err != nil {
		return err
	}
	defer k.close()
	all, err := k.server.Pushes(ctx, server.Operator)
	if err != nil {
		return err
	}
	docs := []pushDoc{}
	for _, p := range all {
		docs = append(docs, newPushDoc(p))
	}
	a.noteFound(k, len(docs), "push", "pushes")
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			rows = append(rows, d.row())
		}
		columns(w, []string{"ID", "SPACE", "URL", "FEEDS", "ENTRIES", "RECEIPTS", "STATE", "PROBLEM"}, rows)
	})
}

func (a *app) removePush(ctx context.Context, id string, dryRun bool) error {
	k, err := a.keep(ctx, serveOptions{to: changingUnless(dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	all, err := k.server.Pushes(ctx, server.Operator)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(p server.Push) bool { return p.ID == id })
	if i < 0 {
		return &failure{code: exitFailed, what: fmt.Sprintf("%s has no push with the id %.40q", k.store.Name, id), hint: "airlock server push list shows the ids"}
	}
	verb := "would end"
	if !dryRun {
		verb = "ended"
		if err := k.server.RemovePush(ctx, server.Operator, id); err != nil {
			return err
		}
	}
	a.note("%s push %s to %s", verb, id, all[i].Space)
	return a.show(newPushDoc(all[i]), func(io.Writer) {})
}

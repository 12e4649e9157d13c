package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/trust"
)

func (a *app) statusCommand() *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use:   "status [FEED…]",
		Short: "Show how far feeds were followed, and what should be there against what is",
		Long: `Show, for every feed that was followed here, what was seen last and how much its
source has by now: each one from which a subscription takes it (from), which is the
server of the home, or --server, where it names none, and where there is no
subscription; with --from it is that for all. Of several the one that has most is
shown. Nothing is taken in. With --into, show what that folder holds of each feed
too. A certificate of this home's own Space that ends within 30
days, or that ended, is warned of.

For subscriptions (airlock agent) it shows when their source last answered and what
keeps them from it, and for each package the version that should be there by what
was seen, the one that is there and since when, and who published what should be.
Trust lists that are heeded (airlock trust add --trust-lists) are listed with the
edges that lead here and the number of rights that they propose.

The exit code is 3 where a source cannot be reached, and 12 where one shows less
than, or something else than, was seen before; what is pushed to this home (from:
inbox) may come later than from elsewhere. The sign of life is the newest
one that the Space signed in the feed (airlock holdings).`,
		Example: `  airlock status
  airlock status acme/dev-qa/shared --into conf
  airlock status --from /mnt/store -f json`,
		ValidArgsFunction: a.completeManyFeeds,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.status(cmd.Context(), args, o) },
	}
	fromFlag(c, &o.from)
	c.Flags().StringVar(&o.into, "into", "", "folder that packages were pulled into")
	c.Flags().StringVar(&o.agent.receipts.environment, "environment", "", "where this installation is, for rules that name environments")
	targetRoleFlag(c.Flags(), &o.agent.roles)
	return c
}

type statusOptions struct {
	from, into string
	agent      agentOptions // where the agent runs: for its rules
}

// statusesDoc is what airlock status shows.
type statusesDoc struct {
	Feeds         []statusDoc     `json:"feeds"`
	TrustLists    []heededDoc     `json:"trustLists"`
	Subscriptions []subscribedDoc `json:"subscriptions"`
}

type statusDoc struct {
	Feed       string `json:"feed"`
	Seen       int64  `json:"seen"` // entries
	Root       string `json:"root"`
	SeenAt     string `json:"seenAt"`
	Alive      string `json:"alive,omitempty"` // the Space's newest sign of life in the feed
	Source     int64  `json:"source"`          // entries that the source has, of several the furthest; -1 where unknown
	Behind     int64  `json:"behind"`
	Problem    string `json:"problem,omitempty"`
	TrustUntil string `json:"trustUntil"`        // a day, "no end", "own" or "ended"
	Installed  int    `json:"installed"`         // packages in --into
	Missing    int    `json:"missing,omitempty"` // files
	Changed    int    `json:"changed,omitempty"` // files, by hand
	away       bool   // a source that did not answer
}

func (a *app) status(ctx context.Context, names []string, o statusOptions) error {
	states, err := a.statesNamed(names)
	if err != nil {
		return err
	}
	h, err := a.home()
	if err != nil {
		return err
	}
	var dir *apply.Dir
	if o.into != "" {
		if dir, err = apply.OpenDir(o.into, a.now); err != nil {
			return err
		}
	}
	at, err := a.comparing(h, o.from)
	if err != nil {
		return err
	}
	defer at.close()
	docs, first := []statusDoc{}, error(nil)
	for _, s := range states {
		d, err := describeStatus(ctx, h, s, a.now())
		if err != nil {
			return err
		}
		first = worse(first, at.compare(ctx, &d, s))
		if dir != nil {
			if err := d.look(ctx, dir, s.ID); err != nil {
				return err
			}
		}
		docs = append(docs, d)
	}
	all := statusesDoc{Feeds: docs, TrustLists: []heededDoc{}, Subscriptions: []subscribedDoc{}}
	if len(names) == 0 {
		if all.TrustLists, err = heededLists(h); err != nil {
			return err
		}
		if all.Subscriptions, err = a.subscribed(ctx, h, o.agent); err != nil {
			return err
		}
	}
	if err := a.show(all, func(w io.Writer) {
		statusTable(w, docs, o.into != "")
		heededTable(w, all.TrustLists)
		subscribedTable(w, all.Subscriptions)
	}); err != nil {
		return err
	}
	if own, err := h.Identity(); err == nil {
		a.noteLeaves(own)
	}
	return a.statusError(first, o.from)
}

// noteLeaves warns of leaves of the own Space that end soon, or that ended.
func (a *app) noteLeaves(own *trust.History) {
	for _, l := range own.Current().Leaves {
		if f := leafDates(l, a.now()); f.Result != checkOK {
			a.note("warning: certificate: %s: %s", f.Detail, f.Next)
		}
	}
}

// worse keeps a rollback rather than a source that did not answer.
func worse(first, err error) error {
	if _, ok := errors.AsType[*feed.RollbackError](first); ok || first != nil && !as[*feed.RollbackError](err) && !is(feed.ErrCheckpoint)(err) {
		return first
	}
	return err
}

// statusError is the end of a status: what was tampered with says so, what is
// not there now is incomplete.
func (a *app) statusError(err error, from string) error {
	if err == nil {
		return nil
	}
	code, hint := outcomeOf(err)
	if code == exitRollback || code == exitBadSignature || code == exitUsage {
		return err
	}
	if a.server == "" && a.store == "" && from == "" && as[*net.OpError](err) {
		hint = "say --server and --token-file as the agent has them, or once for all commands in config.yaml of the home; a home that joined a server needs neither"
	}
	return &failure{code: exitIncomplete, cause: err, what: "not all could be compared with the source: " + oneLine(err.Error()), hint: hint}
}

// statesNamed returns what was seen of the feeds named, or of all.
func (a *app) statesNamed(names []string) ([]*feed.State, error) {
	all, err := a.followedFeeds()
	if err != nil || len(names) == 0 {
		if err == nil && len(all) == 0 {
			a.note("no feed was followed here yet: airlock pull FEED, or airlock list")
		}
		return all, err
	}
	var out []*feed.State
	for _, name := range names {
		id, err := a.feedID(name)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(s *feed.State) bool { return s.ID == id })
		if i < 0 {
			return nil, &failure{code: exitFailed, what: "feed " + id.String() + " was not followed here yet",
				hint: "airlock pull " + id.String() + " follows it; airlock status lists those that were"}
		}
		out = append(out, all[i])
	}
	return out, nil
}

func describeStatus(ctx context.Context, h *home.Home, s *feed.State, now time.Time) (statusDoc, error) {
	d := statusDoc{Feed: s.ID.String(), Seen: s.Edge.Size(), Root: s.Edge.Root().String(), SeenAt: signing.FormatTime(s.SeenAt),
		Source: -1, TrustUntil: "no end"}
	t, err := h.Trusted(s.ID.Space)
	switch {
	case err != nil:
		d.TrustUntil = "own"
	case t.Policy.Until != nil && now.After(t.Policy.Until.End()):
		d.TrustUntil = "ended " + t.Policy.Until.String()
	case t.Policy.Until != nil:
		d.TrustUntil = t.Policy.Until.String()
	}
	alive, err := h.Alive(ctx, s.Lineage, s.ID)
	if !alive.IsZero() {
		d.Alive = signing.FormatTime(alive)
	}
	return d, err
}

// compare asks a source for its checkpoint and holds it against what was seen. Of
// several the one that has most counts.
func (d *statusDoc) compare(ctx context.Context, c *conn, s *feed.State) error {
	got, err := c.Checkpoint(ctx, s.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted(err, fmt.Sprintf("%s has no feed %s", c.name, s.ID),
			hintOr(err, "a feed that comes on media is compared with the newest of them: airlock status "+s.ID.String()+" --from STICK"))
	}
	if err != nil {
		return fmt.Errorf("unreachable: %w", err)
	}
	c2, err := feed.OpenCheckpoint(got.Note, s.ID.Origin(s.Epoch), s.LogKey)
	if err != nil {
		return fmt.Errorf("%s: feed %s: %w", c.name, s.ID, err)
	}
	d.Source = max(d.Source, c2.Size)
	d.Behind = max(0, d.Source-d.Seen)
	if c.late && c2.Size < d.Seen {
		return nil // what came another way may come here later
	}
	forked := c2.Size == d.Seen && c2.Root != s.Edge.Root()
	if forked || c2.Size < d.Seen {
		return fmt.Errorf("%s: %w", c.name, &feed.RollbackError{ID: s.ID, Seen: s.Checkpoint(), Got: c2, Fork: forked})
	}
	return nil
}

// look counts what a folder holds of a feed.
func (d *statusDoc) look(ctx context.Context, dir *apply.Dir, id feed.ID) error {
	items, err := dir.Installed(ctx, id)
	d.Installed = len(items)
	for _, it := range items {
		d.Missing += it.Missing
		d.Changed += len(it.Changed)
	}
	return err
}

func statusTable(w io.Writer, docs []statusDoc, withDir bool) {
	header := []string{"FEED", "SEEN", "SOURCE", "BEHIND", "SEEN AT", "SIGN OF LIFE", "TRUST UNTIL"}
	if withDir {
		header = append(header, "INSTALLED")
	}
	var rows [][]string
	for _, d := range docs {
		source, behind := fmt.Sprint(d.Source), fmt.Sprint(d.Behind)
		switch {
		case d.Source >= 0:
		case d.away:
			source, behind = "unreachable", "-"
		default:
			source, behind = "not there", "-"
		}
		row := []string{d.Feed, fmt.Sprint(d.Seen), source, behind, d.SeenAt, dash(d.Alive), d.TrustUntil}
		if withDir {
			installed := count(d.Installed, "package", "packages")
			if d.Missing > 0 {
				installed += ", " + count(d.Missing, "file", "files") + " missing"
			}
			if d.Changed > 0 {
				installed += ", " + count(d.Changed, "file", "files") + " changed here"
			}
			row = append(row, installed)
		}
		rows = append(rows, row)
	}
	columns(w, header, rows)
	for _, d := range docs {
		if d.Problem != "" {
			fmt.Fprintf(w, "%s: %s\n", d.Feed, strings.TrimPrefix(d.Problem, "feed "+d.Feed+": "))
		}
	}
}

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
	"airlock/internal/apply"
	"airlock/signing"
	"airlock/trust"
)

type approveOptions struct {
	from, key, person, until, comment, out string
	audience                               []string
	publish                                string
	dryRun                                 bool
}

// approvalsFeed is the feed of the approver's Space that --publish means.
const approvalsFeed = "approvals"

func (a *app) approveCommand() *cobra.Command {
	var o approveOptions
	c := &cobra.Command{
		Use:   "approve FEED [KIND/NAME@VERSION…]",
		Short: "Approve packages with a person's own key, for a Space that asks for it",
		Long: `Verify a feed, show what is approved, and sign an approval with a person's own
key. Without packages it is the newest live version of each. The approval is
written to a file, for whoever carries it to the receiver (airlock pull
--approvals), and with --publish into a feed of this home's own Space.

It counts where the receiver's policy lists the key, until --until, and only for
the Spaces of --for. What its own publisher approves counts nowhere.`,
		Example: `  airlock approve acme/dev-qa/shared --for acme/production --key alice.key
  airlock approve acme/dev-qa/shared variable-set/db@1.4.0 --for acme/production --until 2027-12-31 --key alice.key -o approvals/
  airlock approve acme/dev-qa/shared --for acme/production --key alice.key --dry-run
  airlock approve acme/dev-qa/shared --for acme/production --key alice.key --publish`,
		Args:              atLeast(1, "a feed, and packages of it"),
		ValidArgsFunction: a.completeApprove,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.approve(cmd.Context(), args[0], args[1:], o) },
	}
	f := c.Flags()
	fromFlag(c, &o.from)
	f.StringSliceVar(&o.audience, "for", nil, "who may take it in: Spaces known here, or their lineages (default this home's own)")
	f.StringVar(&o.until, "until", "30", "last day on which it counts, such as 2027-12-31, or a number of days from now")
	f.StringVar(&o.key, "key", "", "file with the person's private key")
	f.StringVar(&o.person, "person", "", "the person's name, for people to read (default the key file's)")
	f.StringVar(&o.comment, "comment", "", "a remark for the people on the other side; at most 500 bytes")
	f.StringVarP(&o.out, "output", "o", approvalsFeed, "folder to write the approval to")
	f.StringVar(&o.publish, "publish", "", "publish it too, into this feed of the own Space")
	f.Lookup("publish").NoOptDefVal = approvalsFeed
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be approved and sign nothing")
	return c
}

// approvalDoc is what is approved, and what was made of it.
type approvalDoc struct {
	Feed     string        `json:"feed"`
	Person   string        `json:"person,omitempty"`
	Key      string        `json:"key,omitempty"`
	Audience []string      `json:"audience"` // lineages
	Expires  string        `json:"expires"`
	Comment  string        `json:"comment,omitempty"`
	Approves []approvesDoc `json:"approves"`
	Made     []madeDoc     `json:"approvals,omitempty"` // none with --dry-run
	medium   string        // that it was read from
	receives []string      // Audience, for people
}

type approvesDoc struct {
	Kind        string `json:"kind"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Manifest    string `json:"manifest"`
	Statement   string `json:"statement"`
	Entry       int64  `json:"entry"`
	PublishedBy string `json:"publishedBy"`
	Key         string `json:"publisherKey"`
}

type madeDoc struct {
	Approval string `json:"approval"`
	File     string `json:"file"`
	Feed     string `json:"feed,omitempty"` // where it was published
	Entry    int64  `json:"entry,omitempty"`
}

func (a *app) approve(ctx context.Context, name string, packages []string, o approveOptions) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	if o.key == "" && !o.dryRun {
		return usage("no key was named", "say --key FILE: the file with your own private key")
	}
	p, err := a.approval(o)
	if err != nil {
		return err
	}
	at, err := a.openFeed(ctx, id, o.from)
	if err != nil {
		return err
	}
	defer at.Close()
	rows, err := at.toApprove(id, packages)
	if err != nil {
		return err
	}
	doc := describeApproval(at, p, rows)
	doc.receives = a.knownAs(p.Audience)
	// Who signs sees before what it is.
	if a.format == "table" {
		doc.table(a.out)
	}
	if !o.dryRun {
		if err := a.signApprovals(ctx, &doc, p, rows, o); err != nil {
			return err
		}
	}
	if a.format == "table" {
		return nil
	}
	return a.show(doc, nil)
}

// approval reads the flags: all of an approval but what it approves.
func (a *app) approval(o approveOptions) (trust.Approval, error) {
	now := a.now()
	p := trust.Approval{Comment: o.comment, Time: signing.FormatTime(now)}
	until, err := parseUntil(o.until, now)
	if err != nil {
		return p, err
	}
	if !until.After(now) {
		return p, usage("--until %s is over", "say a day to come, such as "+now.AddDate(0, 1, 0).Format(time.DateOnly), o.until)
	}
	p.Expires = signing.FormatTime(until)
	p.Audience, err = a.lineages(o.audience)
	return p, err
}

// parseUntil reads a day, which counts to its end, or a number of days.
func parseUntil(s string, now time.Time) (time.Time, error) {
	if day, err := trust.ParseDate(s); err == nil {
		return day.End().Truncate(time.Second), nil
	}
	days, ok := parseDays(s)
	if !ok || days == 0 {
		return now, usage("--until %.40q: want a day such as 2027-12-31, or a number of days", "say --until 2027-12-31 or --until 30", s)
	}
	return now.AddDate(0, 0, days), nil
}

// parseDays reads a number of days, such as 30 or 30d: 0 to 36500.
func parseDays(s string) (days int, ok bool) {
	days, err := strconv.Atoi(strings.TrimSuffix(s, "d"))
	return days, err == nil && days >= 0 && days <= 36500
}

// lineages reads who may take in: names of Spaces that this home knows, or
// lineages; its own Space where none is named.
func (a *app) lineages(names []string) ([]trust.Lineage, error) {
	if len(names) == 0 {
		h, err := a.home()
		if err != nil {
			return nil, err
		}
		own, err := h.Identity()
		if err != nil {
			return nil, hinted(err, "for whom? "+err.Error(), "say --for ORGANISATION/SPACE, or --for sha256:… with the lineage of the Space that shall take it in")
		}
		return []trust.Lineage{own.Lineage()}, nil
	}
	var out []trust.Lineage
	for _, name := range names {
		if l, err := trust.ParseLineage(name); err == nil {
			out = append(out, l)
			continue
		}
		history, err := a.historyOf(name)
		if err != nil {
			code, _ := outcomeOf(err)
			return nil, &failure{code: code, cause: err, hint: "say the Space's lineage instead, --for sha256:…; its people know it"}
		}
		out = append(out, history.Lineage())
	}
	return out, nil
}

// knownAs returns lineages, each with the name of its Space where this home knows
// one.
func (a *app) knownAs(lineages []trust.Lineage) (out []string) {
	known, _ := a.knownSpaces() // a name is for the eye alone
	for _, l := range lineages {
		text := l.String()
		if n := slices.IndexFunc(known, func(h *trust.History) bool { return h.Lineage() == l }); n >= 0 {
			text = known[n].Space().String() + ", lineage " + text
		}
		out = append(out, text)
	}
	return out
}

// toApprove returns the publications of the packages named, or of all that are
// live and the newest of their name, in the order of their entries.
func (o *opened) toApprove(id feed.ID, packages []string) ([]feed.Row, error) {
	if len(packages) == 0 {
		rows := listed(o.state.Index, apply.Selection{}, false)
		if len(rows) == 0 {
			return nil, usage("feed %s has no package that is live", "airlock list FEED --all shows what it has", id)
		}
		return rows, nil
	}
	named, err := versionsOf(id, packages)
	if err != nil {
		return nil, err
	}
	var rows []feed.Row
	for _, r := range named {
		row, err := r.find(o.state.Index)
		if err != nil {
			return nil, err
		}
		if !o.state.Index.Live(row) {
			return nil, &failure{code: exitFailed, what: shownRef(row.Ref) + " was withdrawn", hint: "airlock list " + id.String() + " shows the versions that are live"}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b feed.Row) int { return int(a.Index - b.Index) })
	return slices.CompactFunc(rows, func(a, b feed.Row) bool { return a.Index == b.Index }), nil
}

func describeApproval(at *opened, p trust.Approval, rows []feed.Row) approvalDoc {
	doc := approvalDoc{Feed: at.state.ID.String(), Expires: p.Expires, Comment: p.Comment, medium: at.medium()}
	for _, l := range p.Audience {
		doc.Audience = append(doc.Audience, l.String())
	}
	for _, row := range rows {
		d := approvesDoc{Kind: row.Ref.Kind, Name: row.Ref.Name, Version: row.Ref.Version, Manifest: row.Manifest.String(), Statement: row.ID.String(), Entry: row.Index}
		if leaf, ok := at.follower.View.Leaf(int(row.Leaf), at.state.At(row.Index)); ok {
			d.PublishedBy, d.Key = leaf.Person, leaf.Key().String()
		}
		doc.Approves = append(doc.Approves, d)
	}
	return doc
}

func (d approvalDoc) table(w io.Writer) {
	var rows [][]string
	for _, p := range d.Approves {
		rows = append(rows, []string{p.Kind + "/" + p.Name, shownVersion(p.Version), fmt.Sprint(p.Entry), p.PublishedBy, p.Manifest})
	}
	columns(w, []string{"PACKAGE", "VERSION", "ENTRY", "PUBLISHED BY", "MANIFEST"}, rows)
	fmt.Fprintln(w)
	pairs(w, [2]string{"Feed", d.Feed}, [2]string{"For", strings.Join(d.receives, "; ")}, [2]string{"Until", d.Expires}, [2]string{"Comment", dash(d.Comment)})
}

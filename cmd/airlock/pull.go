package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/receipts"
	"airlock/signing"
	"airlock/trust"
)

type pullOptions struct {
	selection
	into, exec, from     string
	approvals            []string
	prune, force, dryRun bool
	watch, timeout       time.Duration
	receipts             receiptOptions
	scan                 scanOptions
}

func (a *app) pullCommand() *cobra.Command {
	var o pullOptions
	c := &cobra.Command{
		Use:   "pull [FEED…]",
		Short: "Take in feeds: verify everything, then write files or run a program",
		Long: `Follow feeds to their newest entries, verify everything, and apply the newest
version of each package that the policy lets in: as files with --into, or by
handing each update to a program with --exec. Without FEED all feeds of the
trusted Spaces that the source has.

What was withdrawn stays until --prune. Files that airlock did not write are
never touched. One that it wrote and somebody changed is named and stays; where
a new version has another content for it, nothing is applied. --force undoes
such changes.

--from also names a medium with bundles: folders or volumes, with commas between.
Then nothing is applied before every byte is verified and all of it is answered
for: that it was made for this Space, by whom, and that what it rests on is here.
Into a folder all of its feeds are applied, or none.
Approvals in a folder approvals beside the volumes count as with --approvals.

Where the policy asks for approvals, they come in feeds, or in files that
--approvals names; airlock approve makes them. What is missing is named, with the
exit code 13; past max-age it is 17.

With --scan each package is shown to a program before it is let in: its files,
verified, lie in the folder AIRLOCK_SCAN_DIR, and exit status 0 says that they
are clean. What it refuses stays out (11), and the newest version before that is
clean comes instead. What was said is kept: it is asked once about a package.
A policy that says "scan: required" lets in nothing that was not scanned here (13).

Where this home holds a Space, a receipt is made of everything that was applied,
failed or is refused by the policy, once, and sent to the Space's own receipts
feed. What cannot be sent waits: see airlock receipt.`,
		Example: `  airlock pull acme/dev-qa/shared --into conf
  airlock pull acme/dev-qa/shared --into conf --dry-run
  airlock pull acme/dev-qa/shared --into conf --watch 15s
  airlock pull acme/dev-qa/shared --kind variable-set --version-mask 1.x --into conf
  airlock pull acme/dev-qa/shared --exec ./apply.sh
  airlock pull acme/dev-qa/shared --approvals approvals/ --into conf
  airlock pull acme/dev-qa/shared --scan 'clamscan -r "$AIRLOCK_SCAN_DIR"' --into conf
  airlock pull acme/dev-qa/shared --from /mnt/store --into conf
  airlock pull --from /media/stick --into conf`,
		ValidArgsFunction: a.completeManyFeeds,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.pull(cmd.Context(), args, o) },
	}
	f := c.Flags()
	f.StringVar(&o.into, "into", "", "folder to write verified files to")
	f.StringVar(&o.exec, "exec", "", "program to hand each update to, run by the shell")
	fromFlag(c, &o.from)
	f.StringSliceVar(&o.approvals, "approvals", nil, "files and folders with approvals to take in first")
	o.selection.flags(f)
	o.receipts.flags(f)
	o.scan.flags(f, "before it is let in")
	f.BoolVar(&o.prune, "prune", false, "remove or replace what was withdrawn")
	f.BoolVar(&o.force, "force", false, "replace files of ours that were changed since")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the plan and apply nothing; what was seen of feeds is remembered")
	f.DurationVar(&o.watch, "watch", 0, "go on, looking for news at least this often")
	f.DurationVar(&o.timeout, "exec-timeout", 0, "how long the program may take for one update, and the scanner for one package")
	return c
}

func (a *app) pull(ctx context.Context, names []string, o pullOptions) error {
	if o.into != "" && o.exec != "" {
		return usage("both --into and --exec were given", "say one, and run airlock pull twice for both")
	}
	sel, err := o.selection.parse()
	if err != nil {
		return err
	}
	if err := o.receipts.check(); err != nil {
		return err
	}
	scanning, err := a.scanning(o.scan, o.timeout)
	if err != nil {
		return err
	}
	c, err := a.from(ctx, o.from)
	if err != nil {
		return err
	}
	defer c.Close()
	if c.stick != nil {
		if err := a.forUs(c.stick); err != nil {
			return err
		}
	}
	feeds, err := a.feedsOf(ctx, c, names, "trusted")
	if err != nil {
		return err
	}
	target, err := a.target(ctx, o)
	if err != nil {
		return err
	}
	p := &puller{app: a, conn: c, target: target, sel: sel, options: o, scanning: scanning}
	if c.stick != nil {
		return p.takeIn(ctx, feeds)
	}
	if o.watch > 0 {
		return p.watch(ctx, feeds)
	}
	_, err = p.round(ctx, feeds, true)
	return err
}

// puller carries out one pull command.
type puller struct {
	*app
	conn     *conn
	target   apply.Target
	sel      apply.Selection
	options  pullOptions
	scanning *scanning // nil without --scan
	// What a rule of a subscription asks beside that; nil without one: approvals,
	// and which actions wait for what.
	rule   string
	demand *trust.Demand
	hold   func(context.Context, *prepared, apply.Action) (string, error)
	// confirm is asked before the target is touched; nil to ask nobody.
	confirm func(context.Context) error
	// said is shown the receipts as they are sent; nil to show nobody.
	said func([]signing.Attestation)
}

// pulledDoc is what one feed's pull shows.
type pulledDoc struct {
	Feed     string       `json:"feed"`
	From     int64        `json:"from"` // entries before
	To       int64        `json:"to"`   // entries now
	Root     string       `json:"root"`
	Received int64        `json:"received,omitempty"` // that came over the line
	Void     []int64      `json:"void,omitempty"`     // new entries that do not count
	Refused  []refusedDoc `json:"refused,omitempty"`  // by the local policy
	Plan     []apply.Line `json:"plan"`
	// Subscription and Rule say in whose name an agent acts, Waiting what waits.
	Subscription string       `json:"subscription,omitempty"`
	Rule         string       `json:"rule,omitempty"`
	Waiting      []waitingDoc `json:"waiting,omitempty"`
	// Receipts is how many receipts the feed holds, where it is one of receipts;
	// Made how many were made here of what is new.
	Receipts int `json:"receipts,omitempty"`
	Made     int `json:"receiptsMade,omitempty"`
	Scanned  int `json:"scanned,omitempty"` // packages that the scanner was asked about
	// LeftOut are packages of the plan that the maker of a bundle left out;
	// TakenIn are bundles that were taken in before.
	LeftOut []string   `json:"leftOut,omitempty"`
	TakenIn []takenDoc `json:"takenIn,omitempty"`
	// ScannedBySender is what makers of bundles say that scanners there found of
	// packages of the plan, or that are refused.
	ScannedBySender []foreignScanDoc `json:"scannedBySender,omitempty"`
	DryRun          bool             `json:"dryRun,omitempty"`
	Failed          bool             `json:"failed,omitempty"` // the plan was not carried out

	superseded bool // by what was accepted since
}

type takenDoc struct {
	Bundle string `json:"bundle"`
	Time   string `json:"time"`
}

// waitingDoc is a change that waits.
type waitingDoc struct {
	apply.Line
	For string `json:"for"`
}

type refusedDoc struct {
	Package string `json:"package"`
	Entry   int64  `json:"entry"`
	Reason  string `json:"reason"`
}

// round pulls every feed once. It goes on after a feed that fails, and returns
// how far each was followed, and the first error.
func (p *puller) round(ctx context.Context, feeds []feed.ID, always bool) (map[feed.ID]int64, error) {
	if err := p.takeApprovals(p.options.approvals); err != nil {
		return nil, err
	}
	var all []*prepared
	for _, id := range feeds {
		all = append(all, p.one(ctx, id))
		if ctx.Err() != nil {
			break
		}
	}
	// What one feed lacks may have come in a later one.
	for i, s := range all {
		if p.approvedSince(s) && ctx.Err() == nil {
			all[i] = p.one(ctx, feeds[i])
			all[i].doc.From = s.doc.From
			all[i].doc.Received += s.doc.Received
			all[i].doc.Made += s.doc.Made
		}
	}
	var first error
	made, docs, known := 0, []pulledDoc{}, map[feed.ID]int64{}
	for i, s := range all {
		if first == nil {
			first = s.err
		}
		if s.err == nil || s.doc.To > 0 {
			docs = append(docs, s.doc)
			known[feeds[i]] = s.there
		}
		made += s.doc.Made
	}
	if always || slices.ContainsFunc(docs, func(d pulledDoc) bool { return d.To > d.From || changes(d.Plan) }) {
		if err := p.shown(docs); err != nil {
			return known, err
		}
	}
	p.sendReceipts(ctx, made)
	return known, first
}

func (p *puller) shown(docs []pulledDoc) error {
	return p.show(docs, func(w io.Writer) { p.table(w, docs) })
}

func changes(plan []apply.Line) bool {
	return slices.ContainsFunc(plan, func(l apply.Line) bool { return l.Op != apply.Same && l.Op != apply.Retain && l.Op != apply.Keep })
}

// one follows a feed, plans and applies.
func (p *puller) one(ctx context.Context, id feed.ID) *prepared {
	before := p.conn.bytes()
	s := p.prepare(ctx, id)
	if s.err == nil {
		p.carryOut(ctx, s)
	}
	s.doc.Received = p.conn.bytes() - before
	return s
}

// prepared is a feed that was followed, and what is to be done.
type prepared struct {
	synced
	doc      pulledDoc
	follower *feed.Follower
	plan     []apply.Action
	waiting  error // for approval, a scan, or a sign of life
	known    int   // approvals that had come in when it was judged
	there    int64 // entries at the source, which may be fewer than were accepted
	err      error
}

// approvedSince reports whether approvals came in since a feed was judged that
// lacks some.
func (p *puller) approvedSince(s *prepared) bool {
	return errors.Is(s.waiting, trust.ErrUnapproved) && s.known < p.tookIn
}

// prepare follows a feed and plans.
func (p *puller) prepare(ctx context.Context, id feed.ID) *prepared {
	s := p.follow(ctx, id)
	if s.err == nil {
		s.err = p.judge(ctx, s)
	}
	s.known = p.tookIn
	return s
}

// follow follows a feed to its newest checkpoint.
func (p *puller) follow(ctx context.Context, id feed.ID) *prepared {
	s := &prepared{doc: pulledDoc{Feed: id.String(), DryRun: p.options.dryRun, Plan: []apply.Line{}}}
	f, state, report, err := p.sync(ctx, p.conn, id)
	if err != nil {
		s.err = err
		return s
	}
	s.follower, s.state = f, state
	s.there = there(report)
	s.doc.From, s.doc.To, s.doc.Root = report.From, state.Edge.Size(), state.Edge.Root().String()
	for i, why := range report.Void {
		s.doc.Void = append(s.doc.Void, i)
		p.note("%s: entry %d does not count: %v", id, i, why)
	}
	slices.Sort(s.doc.Void)
	if id.NamesPeople() {
		s.doc.Receipts = len(receipts.Rows(state.Index, 0))
	}
	return s
}

// judge plans what is to be done with a feed that was followed.
func (p *puller) judge(ctx context.Context, s *prepared) (err error) {
	id, f := s.state.ID, s.follower
	if p.target != nil {
		if s.installed, err = p.target.Installed(ctx, id); err != nil {
			return err
		}
	}
	if d, ok := p.target.(*apply.Dir); ok {
		f.Bases = d.Bases(s.installed)
	}
	if err := p.expect(f.View); err != nil {
		return err
	}
	choice, err := p.choose(ctx, s)
	if err == nil && s.doc.Scanned > 0 {
		err = p.heed(ctx, p.conn, f, s.state) // a list may have waited for the scanner
	}
	if err != nil {
		return err
	}
	for _, r := range choice.Refused {
		s.doc.Refused = append(s.doc.Refused, refusedDoc{r.Row.Ref.String(), r.Row.Index, r.Err.Error()})
	}
	s.choice = choice
	s.plan = apply.Plan(id, choice, s.installed, apply.Consent{Prune: p.options.prune, Force: p.options.force})
	if err := p.withhold(ctx, s); err != nil {
		return err
	}
	s.doc.Plan = apply.Describe(s.plan)
	if r := choice.Pending(s.installed); r != nil && s.waiting == nil && !p.wouldScan(r.Err) {
		s.waiting = (&opened{p.conn, f, s.state}).awaiting(choice.Unapproved(s.installed), r.Err, p.conn.medium())
	}
	return nil
}

// watch pulls again and again until ctx ends: when the source says that a
// feed grew, and at least at every interval. What is tampered with or not
// trusted ends it; an unreachable source, missing approvals and what a scanner
// refuses do not.
func (p *puller) watch(ctx context.Context, feeds []feed.ID) error {
	always := true
	for {
		known, err := p.round(ctx, feeds, always)
		always = false
		if ctx.Err() != nil {
			return errInterrupted
		}
		if code, hint := outcomeOf(err); err != nil {
			if code >= exitBadSignature && code < exitUnapproved && !errors.Is(err, trust.ErrUnclean) {
				return err
			}
			p.note("airlock: warning: %s (%s)", oneLine(err.Error()), hint)
		}
		p.rest(ctx, known)
	}
}

// rest waits until one of the feeds is no longer of the size known, at the
// longest for the interval. What could not be followed is tried again after it.
func (p *puller) rest(ctx context.Context, known map[feed.ID]int64) {
	end := time.Now().Add(p.options.watch)
	for left := p.options.watch; left > 0 && ctx.Err() == nil && len(known) > 0; left = time.Until(end) {
		heads, err := p.conn.Heads(ctx, known, left)
		if len(heads) > 0 {
			return
		}
		if err != nil {
			break
		}
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	<-ctx.Done()
}

func (p *puller) table(w io.Writer, docs []pulledDoc) {
	for _, d := range docs {
		if d.Rule != "" {
			fmt.Fprintf(w, "%s/%s: ", d.Subscription, d.Rule)
		}
		fmt.Fprintf(w, "%s: %s verified, %d new", d.Feed, count(int(d.To), "entry", "entries"), d.To-d.From)
		if d.Received > 0 {
			fmt.Fprintf(w, ", %s received", size(d.Received))
		}
		if d.Scanned > 0 {
			fmt.Fprintf(w, ", %s scanned", count(d.Scanned, "package", "packages"))
		}
		fmt.Fprintln(w)
		for _, r := range d.Refused {
			fmt.Fprintf(w, "  x %s\n", r.Reason)
		}
		for _, line := range scannedBySender(d.ScannedBySender) {
			fmt.Fprintf(w, "  %s\n", line)
		}
		for _, t := range d.TakenIn {
			fmt.Fprintf(w, "  already taken in on %s as bundle %s\n", t.Time, t.Bundle)
		}
		for _, ref := range d.LeftOut {
			fmt.Fprintf(w, "  x %s is not on the medium: its maker left it out\n", ref)
		}
		switch {
		case d.superseded && len(d.TakenIn) > 0:
			fmt.Fprintf(w, "  nothing to do: more of it was taken in since\n")
			continue
		case d.superseded:
			fmt.Fprintf(w, "  nothing to do: the medium is older than what was accepted here\n")
			continue
		}
		if d.Failed {
			fmt.Fprintf(w, "  nothing was applied\n")
			continue
		}
		shown := 0
		for _, l := range d.Plan {
			if l.Op == apply.Same {
				continue
			}
			shown++
			fmt.Fprintf(w, "  %s\n", l)
		}
		for _, l := range d.Waiting {
			shown++
			fmt.Fprintf(w, "  .%s: %s\n", strings.TrimPrefix(l.Line.String(), l.Mark()), l.For)
		}
		switch {
		case p.target == nil && d.Rule == "" && len(d.Plan) > 0:
			fmt.Fprintf(w, "  nothing was applied: say --into DIR or --exec COMMAND\n")
		case d.Receipts > 0:
			space := strings.TrimSuffix(d.Feed, "/"+receipts.Feed)
			fmt.Fprintf(w, "  %s: airlock receipt list %s\n", count(d.Receipts, "receipt", "receipts"), space)
		case len(d.Plan)+len(d.Waiting) == 0:
			fmt.Fprintf(w, "  nothing to do: no package is selected\n")
		case shown == 0:
			fmt.Fprintf(w, "  nothing to do: %s up to date\n", count(len(d.Plan), "package", "packages"))
		case d.DryRun:
			fmt.Fprintf(w, "  nothing was applied: --dry-run\n")
		}
	}
}

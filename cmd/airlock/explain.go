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
	"airlock/signing"
	"airlock/trust"
)

func (a *app) explainCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "explain FEED/NAME[@VERSION]",
		Short: "Explain why a package is let in, or why not",
		Long: `Explain everything that decides about a package: where it stands in the log, who
signed it under which identity, what came before and after, whether it is live,
and which rule of which policy file lets it in or keeps it out. Entries that
claim to be this package and do not count are explained too.

The exit code is 0 where it is let in, 10 where it is badly signed, 11 where the
policy or the scanner refuses it, 13 where approvals or a scan are missing, 17
where the last sign of life of its Space is too old.`,
		Example: `  airlock explain acme/dev-qa/shared/db@1.4
  airlock explain acme/dev-qa/shared/variable-set/db -f json`,
		Args:              exactly(1, "one package"),
		ValidArgsFunction: a.completePackage,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.explain(cmd.Context(), args[0], from) },
	}
	fromFlag(c, &from)
	return c
}

// explainDoc is the reasoning: lines in their order, and what they end in.
type explainDoc struct {
	Package string      `json:"package"`
	Feed    string      `json:"feed"`
	Let     bool        `json:"letIn"`
	Gone    bool        `json:"withdrawn"`
	Lines   []reasonDoc `json:"reasons"`
	Void    []logDoc    `json:"void,omitempty"` // entries that claim to be this package
}

type reasonDoc struct {
	About string `json:"about"`
	Says  string `json:"says"`
}

func (d *explainDoc) add(about, format string, args ...any) {
	d.Lines = append(d.Lines, reasonDoc{about, fmt.Sprintf(format, args...)})
}

func (a *app) explain(ctx context.Context, name, from string) error {
	ref, err := a.pkgRef(name)
	if err != nil {
		return err
	}
	at, err := a.openFeed(ctx, ref.feed, from)
	if err != nil {
		return err
	}
	defer at.Close()
	doc, verdict, err := at.explain(ctx, ref, a.now())
	if err != nil {
		return err
	}
	if err := a.show(doc, doc.table); err != nil {
		return err
	}
	return verdict
}

// explain finds everything that decides about a package. The verdict is why it
// is not let in.
func (o *opened) explain(ctx context.Context, ref pkgRef, now time.Time) (doc explainDoc, verdict, err error) {
	doc = explainDoc{Package: ref.String(), Feed: ref.feed.String()}
	if doc.Void, verdict, err = o.voidClaims(ctx, ref, now); err != nil {
		return doc, nil, err
	}
	row, missing := ref.find(o.state.Index)
	switch {
	case missing == nil:
		doc.Package = row.Ref.String()
		verdict, err = o.explainRow(ctx, &doc, row, now)
	case len(doc.Void) == 0:
		return doc, nil, missing
	default:
		doc.add("state", "no entry of the feed that counts publishes it")
	}
	doc.Let = verdict == nil && !doc.Gone
	return doc, verdict, err
}

// explainRow writes the reasoning about a publication that counts. The verdict
// is the policy's.
func (o *opened) explainRow(ctx context.Context, doc *explainDoc, row feed.Row, now time.Time) (verdict, err error) {
	att, v, err := o.verified(ctx, row)
	if err != nil {
		return nil, err
	}
	c := o.state.Checkpoint()
	doc.add("where", "entry %d of %d, in segment %d; checkpoint of %s: size %d, root %s, signed by log key %s", row.Index, c.Size,
		row.Index/feed.SegmentSize, c.Origin, c.Size, c.Root, logKeyName(o.state.LogKey))
	doc.add("statement", "%s, about manifest %s", row.ID, row.Manifest)
	doc.add("signed by", "%s, key %s", v.Person(), v.Key())
	doc.add("identity", "version %d of %s, in force at entry %d, lists that key as %s; lineage %s",
		o.identityAt(row.Index), o.state.ID.Space, row.Index, trust.Publisher, o.state.Lineage)
	if cert, err := signing.ParseCertificate(att.CertificateDER()); err == nil {
		doc.add("certificate", "%s to %s: %s (dates bind when appending; afterwards the position counts)",
			cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly), datesWord(cert.NotBefore, cert.NotAfter, now))
	}
	o.explainChain(doc, row, v)
	o.explainState(doc, row, now)
	return o.explainPolicy(doc, row, now), nil
}

func datesWord(from, to, now time.Time) string {
	switch {
	case now.Before(from):
		return "not valid yet by this machine's clock"
	case now.After(to):
		return "expired by now"
	}
	return "valid now"
}

// explainChain tells which statements about the name stand before and after.
func (o *opened) explainChain(doc *explainDoc, row feed.Row, v trust.Verified) {
	var p feed.Publication
	if err := signing.UnmarshalCanonical(v.Statement().Predicate, &p); err == nil && p.Previous == nil {
		doc.add("previous", "none: the first about %s/%s", row.Ref.Kind, row.Ref.Name)
	} else if err == nil {
		doc.add("previous", "%s", o.describeEntry(*p.Previous))
	}
	for i := row.Index + 1; i < o.state.Index.Size(); i++ {
		next := o.state.Index.Row(i)
		if next.Void == "" && next.Ref.Kind == row.Ref.Kind && next.Ref.Name == row.Ref.Name {
			doc.add("next", "%s", o.describeEntry(next.ID))
			return
		}
	}
	doc.add("next", "none: the newest about %s/%s", row.Ref.Kind, row.Ref.Name)
}

func (o *opened) describeEntry(id signing.ID) string {
	i, ok := o.state.Index.ByID(id)
	if !ok {
		return id.String()
	}
	row := o.state.Index.Row(i)
	return fmt.Sprintf("entry %d, %s of %s, %s", i, whatWord(row), shownRef(row.Ref), id)
}

// explainState tells whether the version is live, withdrawn or superseded.
func (o *opened) explainState(doc *explainDoc, row feed.Row, now time.Time) {
	x := o.state.Index
	if state, ok := x.State(row.Ref); ok && state.What == feed.IsWithdrawal {
		if err := o.follower.View.Authorize(o.state.Item(state), now); err != nil {
			doc.add("state", "withdrawn by entry %d, which the policy does not heed: %v", state.Index, err)
			return
		}
		doc.Gone = true
		doc.add("state", "withdrawn by entry %d, for good", state.Index)
		return
	}
	for i := x.Size() - 1; i > row.Index; i-- {
		newer := x.Row(i)
		if newer.Ref.Kind == row.Ref.Kind && newer.Ref.Name == row.Ref.Name && x.Live(newer) {
			doc.add("state", "live, superseded by %s (entry %d)", shownVersion(newer.Ref.Version), newer.Index)
			return
		}
	}
	doc.add("state", "live, the newest version")
}

// explainPolicy tells which rule of which file decides, and who approved.
func (o *opened) explainPolicy(doc *explainDoc, row feed.Row, now time.Time) error {
	view := o.follower.View
	policy, item := view.Policy(), o.state.Item(row)
	if policy == nil {
		doc.add("policy", "none: %s is this home's own Space", o.state.ID.Space)
		return nil
	}
	for _, t := range view.Tallies(item, now) {
		for _, v := range t.Counting {
			doc.add("approved by", "%s, key %s, until %s: %s", v.Person, v.Approved.Approval.Key, v.Approved.Approval.Expires, v.Approved.ID)
		}
		doc.add("approvals", "%s (rule approvals[%d])", t, t.Rule)
	}
	scans, err := o.scans(row)
	if err != nil {
		doc.add("scanned", "cannot be read: %v", err)
	}
	for _, s := range scans {
		doc.add("scanned", "%s", s)
	}
	if err := view.Authorize(item, now); err != nil {
		doc.add("policy", "refused: %v", err)
		return o.awaiting([]feed.Row{row}, err, o.medium())
	}
	for _, l := range view.Evidence().Lists {
		doc.add("trust list", "let in by %s", l)
	}
	doc.add("policy", "let in by allow[%d] of %s%s", policy.Rule(item), policy.File(), untilWord(policy))
	return nil
}

// maxApproveHint is how many packages the hint of a missing approval names.
const maxApproveHint = 5

// awaiting adds to a refusal that approvals would lift the command that approves
// all that lack one: these packages, or, where there are more than fit into a line,
// those of the feed. Where it was read from a medium, medium names that.
func (o *opened) awaiting(rows []feed.Row, err error, medium string) error {
	if !errors.Is(err, trust.ErrUnapproved) {
		return err
	}
	receiver := o.follower.View.Evidence().Receiver
	if receiver == (trust.Lineage{}) {
		return hinted(err, err.Error(), "approvals name who takes in, and this home holds no Space: airlock init ORGANISATION/SPACE")
	}
	what := o.state.ID.String()
	if len(rows) <= maxApproveHint {
		for _, row := range rows {
			what += " " + shownRef(row.Ref)
		}
	}
	return hinted(err, err.Error(), fmt.Sprintf("one of them runs: airlock approve %s%s --for %s --key FILE; then pull with --approvals approvals", what, fromMedium(medium), receiver))
}

// fromMedium is the flag that names a medium in a command; nothing for none.
func fromMedium(medium string) string {
	if medium == "" {
		return ""
	}
	return " --from " + shellWord(medium)
}

func untilWord(policy *trust.Policy) string {
	if policy.Until == nil {
		return ", without an end"
	}
	return ", until " + policy.Until.String()
}

// voidClaims returns the entries that claim to be the package and do not
// count, and why the newest of them does not.
func (o *opened) voidClaims(ctx context.Context, ref pkgRef, now time.Time) ([]logDoc, error, error) {
	var rows []feed.Row
	for row := range o.state.Index.Rows(0) {
		if row.Void != "" && (row.Ref.Name == "" || ref.matches(row.Ref)) {
			rows = append(rows, row)
		}
	}
	docs, err := o.entries(ctx, rows, now)
	if err != nil {
		return nil, nil, err
	}
	var mine []logDoc
	var last int64
	for _, d := range docs {
		if d.Package != "" || claims(d.Claims, ref) {
			mine, last = append(mine, d), d.Entry
		}
	}
	if len(mine) == 0 {
		return nil, nil, nil
	}
	verdict := o.whyVoid(ctx, o.state.Index.Row(last))
	return mine, verdict, nil
}

// claims reports whether the subject's name of a statement is the package's.
func claims(subject string, ref pkgRef) bool {
	path, version, ok := strings.Cut(subject, "@")
	kind, name, ok2 := strings.Cut(path, "/")
	return ok && ok2 && ref.matches(feed.Ref{Kind: kind, Name: name, Version: version})
}

// whyVoid finds the error behind a void entry again.
func (o *opened) whyVoid(ctx context.Context, row feed.Row) error {
	if _, _, err := o.verified(ctx, row); err != nil {
		return err
	}
	return &failure{code: exitFailed, what: fmt.Sprintf("entry %d does not count: %s", row.Index, row.Void),
		hint: "airlock log shows what the feed holds instead"}
}

func (d explainDoc) table(w io.Writer) {
	verdict := "is let in"
	switch {
	case d.Gone:
		verdict = "was withdrawn"
	case !d.Let:
		verdict = "is not let in"
	}
	fmt.Fprintf(w, "%s of %s %s\n", d.Package, d.Feed, verdict)
	var rows [][2]string
	for _, l := range d.Lines {
		rows = append(rows, [2]string{"  " + l.About, l.Says})
	}
	for _, v := range d.Void {
		rows = append(rows, [2]string{"  void", fmt.Sprintf("entry %d, %s: %s", v.Entry, v.Statement, oneLine(v.Void))})
	}
	pairs(w, rows...)
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/receipts"
	"airlock/trust"
)

type auditOptions struct {
	from, identities                                    []string
	since, until, due, tsaCerts, evidence, html, format string
}

// auditForms are the forms of a report, which has rows for other tools in place of
// YAML.
var auditForms = []string{"table", "json", "csv"}

func (a *app) auditCommand() *cobra.Command {
	var o auditOptions
	c := &cobra.Command{
		Use:   "audit ORGANISATION/SPACE",
		Short: "Check what a Space said it did against what was published for it",
		Long: `Read the receipts of a Space and the feeds that they speak of, from any servers,
stores and media, and check all of it again: signatures and their positions,
logs, time stamps, the numbers of the receipts, and whether each speaks of what
its source published. No policy is asked and nothing is remembered.

Identities are those that this home trusts, and those of --identity. Of each
receipt the report says between which times it was made, and why: its source
signed what it names before, a time authority saw it after. Its own clock proves
nothing. Authorities are believed by --tsa-certs alone.

The exit code is 0 where nothing was found, 3 where a part could not be checked,
4 where what was said does not add up, 10 where something was forged, 11 where
it was signed by who may not, 12 where a log was forked.`,
		Example: `  airlock audit acme/production --tsa-certs tsa-root.pem
  airlock audit acme/production --from /media/stick --from /mnt/store --tsa-certs tsa-root.pem
  airlock audit acme/production --from store --identity production.id --identity dev-qa.id --tsa-certs tsa-root.pem
  airlock audit acme/production --tsa-certs tsa-root.pem --evidence out && sh out/check.sh
  airlock audit acme/production --tsa-certs tsa-root.pem --html audit.html
  airlock audit acme/production --since 2026-01-01 --until 2026-03-31 -f csv > first-quarter.csv`,
		Args:              exactly(1, "one Space"),
		ValidArgsFunction: a.completeTrusted,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.audit(cmd.Context(), args[0], o) },
	}
	f := c.Flags()
	fromFlags(c, &o.from)
	f.StringArrayVar(&o.identities, "identity", nil, "identity file of a Space, may be given several times")
	f.StringVar(&o.since, "since", "", "first day that is reported, such as 2026-01-01")
	f.StringVar(&o.until, "until", "", "last day that is reported")
	f.StringVar(&o.due, "due", "7d", "how long a publication may be without a receipt, in days; 0 asks for none")
	f.StringVar(&o.html, "html", "", "file to write the report to as one page with a time line")
	f.StringVar(&o.evidence, "evidence", "", "new folder for the receipts with all that it takes to check them with cosign and openssl")
	f.StringVar(&o.tsaCerts, "tsa-certs", "", "file with the certificates of the time authorities that are believed, in PEM")
	// It means what the common flag does, its environment variable and default
	// included; the forms are others.
	f.StringVarP(&o.format, "format", "f", "table", "form of the report: table, json or csv")
	c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(auditForms, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) audit(ctx context.Context, space string, o auditOptions) error {
	id, err := receiptsFeed(space)
	if err != nil {
		return err
	}
	how, err := a.auditOptions(o)
	if err == nil && o.html != "" {
		err = checkPage(o.html)
	}
	if err == nil && o.evidence != "" {
		err = checkEvidence(o, how)
	}
	if err != nil {
		return err
	}
	r, err := a.newAuditor(ctx, how, o)
	if err != nil {
		return err
	}
	defer r.places.Close()
	report, err := r.run(ctx, id)
	if err != nil {
		return err
	}
	if err := a.showReport(report, o.format); err != nil {
		return err
	}
	if o.html != "" {
		var page bytes.Buffer
		if err := report.HTML(&page); err != nil {
			return err
		}
		if err := a.writePage(o.html, page.Bytes()); err != nil {
			return err
		}
	}
	if o.evidence != "" {
		if err := r.writeEvidence(ctx, o, how, report); err != nil {
			return err
		}
	}
	return verdict(report)
}

// checkPage refuses where no page can be written, before anything is read: that
// it cannot be written must not stand for what the audit found.
func checkPage(path string) error {
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return usage("--html %s: there is no folder %s", "make the folder, or name a file in another one", path, filepath.Dir(path))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return usage("--html %s: is a folder", "name a file, such as "+filepath.Join(path, "audit.html"), path)
	}
	return nil
}

// auditOptions reads the flags.
func (a *app) auditOptions(o auditOptions) (how receipts.AuditOptions, err error) {
	how.Now = a.now()
	if err := knownForm(o.format, auditForms); err != nil {
		return how, err
	}
	if how.Due, err = parseDue(o.due); err != nil {
		return how, err
	}
	if how.Since, err = reportDay("since", o.since, trust.Date.Start); err != nil {
		return how, err
	}
	if how.Until, err = reportDay("until", o.until, trust.Date.End); err != nil {
		return how, err
	}
	if o.tsaCerts != "" {
		how.Authorities, err = readAuthorities(o.tsaCerts)
	}
	return how, err
}

// reportDay reads the day of a flag; the zero time where it was not given.
func reportDay(flag, text string, moment func(trust.Date) time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	d, err := trust.ParseDate(text)
	if err != nil {
		return time.Time{}, usage("--%s %.40q: want a day such as 2026-12-31", "say --"+flag+" 2026-12-31", flag, text)
	}
	return moment(d), nil
}

// parseDue reads how long a publication may be without a receipt.
func parseDue(s string) (time.Duration, error) {
	days, ok := parseDays(s)
	if !ok {
		return 0, usage("--due %.40q: want a number of days", "say --due 7d", s)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

func (a *app) showReport(r *receipts.Report, form string) error {
	switch form {
	case "json":
		return r.JSON(a.out)
	case "csv":
		return r.CSV(a.out)
	}
	a.receiptTable(r)
	if len(r.Findings) > 0 {
		var rows [][]string
		for _, f := range r.Findings {
			rows = append(rows, []string{string(f.Severity), string(f.Kind), f.String()})
		}
		fmt.Fprintln(a.out)
		columns(a.out, []string{"SEVERITY", "FINDING", "WHAT"}, rows)
	}
	c := feedSize(r.Note)
	a.note("%s of %s, %s in %s: %s", count(len(r.Receipts), "receipt", "receipts"), r.Feed.Space, count(int(c), "entry", "entries"), r.Feed, count(len(r.Findings), "finding", "findings"))
	return nil
}

// feedSize is the size that a note names.
func feedSize(note string) int64 {
	c, err := feed.ParseCheckpoint([]byte(note))
	if err != nil {
		return 0
	}
	return c.Size
}

func (a *app) receiptTable(r *receipts.Report) {
	var rows [][]string
	for i := range r.Receipts {
		d := &r.Receipts[i]
		source := d.Publication.Feed.String()
		if d.PublicationEntry > 0 {
			source += fmt.Sprintf(" entry %d", d.PublicationEntry)
		}
		bundle := ""
		if d.Bundle != nil {
			bundle = d.Bundle.String()[:19]
		}
		rows = append(rows, []string{fmt.Sprint(d.Number), fmt.Sprint(d.Index), minute(d.NotBefore.Time), minute(d.NotAfter.Time), shownRef(d.Publication.Ref()),
			string(d.Outcome), orDash(whereTo(d.Environment, d.Targets)), orDash(d.By), d.Person, source, orDash(bundle), d.Reason})
	}
	columns(a.out, []string{"NUMBER", "ENTRY", "NOT BEFORE", "NOT AFTER", "PACKAGE", "RESULT", "WHERE", "BY", "SIGNED BY", "PUBLISHED IN", "BUNDLE", "REASON"}, rows)
}

// minute writes a time for a table; "-" where there is none.
func minute(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// verdict turns the worst finding into the exit code.
func verdict(r *receipts.Report) error {
	if len(r.Findings) == 0 {
		return nil
	}
	worst := r.Findings[0]
	what := fmt.Sprintf("%s of %s, the worst: %s", count(len(r.Findings), "finding", "findings"), r.Feed.Space, worst)
	switch worst.Severity {
	case receipts.Forged:
		return exitWith(exitBadSignature, what, "do not rely on it: ask the people of "+r.Feed.Space.String()+" for the same receipts over another way, and keep what you have")
	case receipts.Untrusted:
		return exitWith(exitUntrusted, what, "this was not signed by who may: ask the people of "+r.Feed.Space.String()+" who holds that key")
	case receipts.Forked:
		return exitWith(exitRollback, what, "-f json has both checkpoint notes: together they prove it; ask who runs the log")
	case receipts.Difference:
		return exitWith(exitDifferent, "", "")
	}
	return exitWith(exitIncomplete, what, "say --from with what is missing, --token-file for a server that asks for a token, --identity for a Space, --tsa-certs for a time authority")
}

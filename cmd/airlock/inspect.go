package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/signing"
	"airlock/storage"
)

type inspectOptions struct {
	html, into string
	approvals  []string
	scan       scanOptions
}

func (a *app) inspectCommand() *cobra.Command {
	var o inspectOptions
	c := &cobra.Command{
		Use:   "inspect STICK…",
		Short: "Show what a bundle would bring in, before anybody takes it in",
		Long: `Check a bundle as airlock bundle verify does, and show what it would bring in
here: who made it, for whom, on what it builds, and every package with its files,
digests and what changes. What runs at the receiver is called out; sensitive values
are counted and never shown. The last line is the verdict, and so is the exit code.

Nothing is taken in: what was accepted here stays as it was. Changes are against
what this home accepted; a home that never followed the feeds sees all as new.
With --into they are against what lies in the folder that packages are pulled
into, or a copy of it. A bundle that carries differences alone is read with it,
and the verdict is that of a pull into that folder.

With --scan each package that is carried is shown to a program, as airlock pull
--scan does; what it says is kept, so the pull asks no more. What a scanner found
at the sender is shown, and never counts here.

--html writes the same as one file that any browser opens and prints. It loads
nothing and runs nothing.`,
		Example: `  airlock inspect /mnt/stick
  airlock inspect /mnt/stick --html report.html
  airlock inspect /mnt/stick --into conf
  airlock inspect /mnt/stick --approvals approvals
  airlock inspect /mnt/stick --scan 'clamscan -r "$AIRLOCK_SCAN_DIR"'
  airlock inspect /mnt/first /mnt/second -f json`,
		Args:              atLeast(1, "a folder or volumes"),
		ValidArgsFunction: completeVolumes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inspect(cmd.Context(), args, o)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.approvals, "approvals", nil, "files and folders with approvals to count, beside those known here and on the medium")
	f.StringVar(&o.html, "html", "", "write the report to this file")
	f.StringVar(&o.into, "into", "", "folder that packages are pulled into, to compare with")
	o.scan.flags(f, "that is carried")
	return c
}

type inspectDoc struct {
	Bundle         string           `json:"bundle"`
	Label          string           `json:"label,omitempty"`
	Classification string           `json:"classification,omitempty"`
	Created        string           `json:"created"` // the maker's clock
	Expires        string           `json:"expires,omitempty"`
	Origin         inspectParty     `json:"origin"`
	Destination    inspectParty     `json:"destination"`
	Encrypted      bool             `json:"encrypted"`
	Into           string           `json:"into,omitempty"` // folder that changes are against
	Volumes        inspectVolumes   `json:"volumes"`
	MadeBy         *signerDoc       `json:"madeBy,omitempty"` // absent where that is not proven
	Feeds          []inspectFeedDoc `json:"feeds"`
	Checks         []checkDoc       `json:"checks"`
	Verdict        verdictDoc       `json:"verdict"`
}

type inspectParty struct {
	Space   string `json:"space"`
	Lineage string `json:"lineage"`
}

type inspectVolumes struct {
	Count      int      `json:"count"`
	Files      []string `json:"files"`
	Missing    []int    `json:"missing,omitempty"` // counted from 1
	Damaged    []int    `json:"damaged,omitempty"`
	BadBlocks  int64    `json:"badBlocks"`
	Blocks     int64    `json:"blocks"`
	Parity     bool     `json:"parity"`
	Repairable bool     `json:"repairable"`
}

// inspectFeedDoc is what a bundle carries of a feed.
type inspectFeedDoc struct {
	Feed     string `json:"feed"`
	Lineage  string `json:"lineage"`
	From     int64  `json:"from"` // entries that the receiver must have
	To       int64  `json:"to"`   // entries afterwards
	Accepted int64  `json:"accepted"`
	Base     string `json:"base,omitempty"` // root that the receiver must have
	Root     string `json:"root"`
	// Identity and Revocations are as of the bundle's newest entry.
	Identity    int       `json:"identity"`
	Revocations int       `json:"revocations"`
	Void        []int64   `json:"void,omitempty"` // entries that do not count
	Items       []itemDoc `json:"items"`
	Unchanged   int       `json:"unchanged"` // live packages that it does not touch
	// Alive is the newest sign of life of the Space, by its holdings.
	Alive string `json:"alive,omitempty"`
}

type verdictDoc struct {
	OK   bool   `json:"ok"`
	Code int    `json:"code"` // the exit code
	Text string `json:"text"`
	Next string `json:"next"`
}

func (a *app) inspect(ctx context.Context, paths []string, o inspectOptions) error {
	var into *apply.Dir
	if o.into != "" {
		var err error
		if into, err = a.intoFolder(o.into); err != nil {
			return err
		}
	}
	scanning, err := a.scanning(o.scan, 0)
	if err != nil {
		return err
	}
	c, err := a.openChecked(ctx, paths, into)
	if err != nil {
		return err
	}
	defer c.Close()
	i := &inspection{bundleCheck: c, options: o, scanning: scanning, silent: map[storage.Digest]bool{}, packages: map[packageKey]*itemDoc{}}
	i.options.approvals = append(slices.Clone(o.approvals), approvalsBeside(paths)...)
	i.given = o.approvals
	i.begin()
	if a.format == "table" {
		i.doc.head(a.out)
	}
	checkErr := c.all(ctx, i.reader(ctx))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if checkErr == nil {
		checkErr = i.describe(ctx)
	}
	verdict := i.judge(checkErr)
	// What was found is seen even where the file cannot be written.
	if err := a.show(i.doc, i.doc.table); err != nil {
		return err
	}
	if o.html != "" {
		page, err := i.doc.html(a.now())
		if err == nil {
			err = a.writePage(o.html, page)
		}
		if err != nil {
			return err
		}
	}
	return verdict
}

// inspection gathers what is worth knowing of a bundle while it is checked.
type inspection struct {
	*bundleCheck
	doc      inspectDoc
	options  inspectOptions
	scanning *scanning               // nil without --scan
	silent   map[storage.Digest]bool // manifests that the scanner gave no verdict about
	packages map[packageKey]*itemDoc // what was read of a package
	given    []string                // files and folders with approvals, as --approvals names them
}

// packageKey names an entry of a feed.
type packageKey struct {
	feed  feed.ID
	index int64
}

// begin notes what the bundle says of itself.
func (i *inspection) begin() {
	d := i.Document()
	i.doc = inspectDoc{
		Bundle: i.ID().String(), Label: d.Label, Classification: d.Classification, Created: d.Created, Expires: d.Expires,
		Origin:      inspectParty{d.Creator.Space, d.Creator.Lineage.String()},
		Destination: inspectParty{d.Audience.Space, d.Audience.Lineage.String()},
		Encrypted:   d.Encryption != nil, Into: i.options.into, Feeds: []inspectFeedDoc{},
		Volumes: inspectVolumes{Count: d.Volumes.Count, Files: []string{}, Parity: d.Parity != nil, Missing: i.Set().Missing()},
	}
	for _, path := range i.Set().Volumes {
		if path != "" {
			i.doc.Volumes.Files = append(i.doc.Volumes.Files, path)
		}
	}
}

// judge ends the report: the worst finding is the verdict.
func (i *inspection) judge(err error) error {
	if err != nil {
		i.bad("stopped", err)
	}
	if h := i.health; h != nil {
		v := &i.doc.Volumes
		v.BadBlocks, v.Blocks, v.Repairable = h.Bad, h.Blocks, h.Repairable
		for _, d := range h.Damaged {
			v.Damaged = append(v.Damaged, d.Volume)
		}
	}
	i.doc.MadeBy, i.doc.Checks = i.signer, i.verification.doc.Checks
	if i.first == nil {
		i.doc.Verdict = verdictDoc{OK: true, Text: "all checks passed", Next: i.next()}
		return nil
	}
	code, hint := outcomeOf(i.first)
	i.doc.Verdict = verdictDoc{Code: code, Text: oneLine(i.first.Error()), Next: hint}
	return i.first
}

// next is the command that takes in what was found to be good.
func (i *inspection) next() string {
	if len(i.feeds) == 0 {
		return "set it aside: all that it brings was accepted here before"
	}
	command, into := "airlock pull", " --into FOLDER"
	if len(i.feeds) == 1 {
		command += " " + i.doc.Feeds[0].Feed
		into = intoFor(i.feeds[0].state.ID)
	}
	if i.options.into != "" {
		into = " --into " + shellWord(i.options.into)
	}
	command += fromMedium(i.medium())
	if len(i.given) > 0 {
		command += " --approvals " + shellWord(strings.Join(i.given, ","))
	}
	return command + into
}

// describe says what each feed would bring.
func (i *inspection) describe(ctx context.Context) error {
	for _, f := range i.feeds {
		d := inspectFeedDoc{Feed: f.state.ID.String(), Lineage: f.state.Lineage.String(), From: f.slice.From, To: f.slice.To, Accepted: f.seen,
			Root: f.state.Edge.Root().String(), Items: []itemDoc{}}
		if f.slice.Base != nil {
			d.Base = f.slice.Base.String()
		}
		identity := f.follower.View.History().Current()
		d.Identity, d.Revocations = identity.Version, len(identity.Revocations)
		for row := range f.state.Index.Rows(f.slice.From) {
			if row.Void != "" {
				d.Void = append(d.Void, row.Index)
			}
		}
		if i.into != nil {
			var err error
			if f.there, err = i.into.Installed(ctx, f.state.ID); err != nil {
				return tampered(err)
			}
		}
		if err := i.items(ctx, f, &d); err != nil {
			return tampered(err)
		}
		i.doc.Feeds = append(i.doc.Feeds, d)
	}
	return i.policy(ctx)
}

// ago is for people: how long ago something was said.
func ago(text string, now time.Time) string {
	t, err := signing.ParseTime(text)
	if err != nil {
		return text
	}
	days := int(now.Sub(t).Hours() / 24)
	switch {
	case now.Before(t):
		return text + " (in the future, by the clock here)"
	case days == 0:
		return text + " (less than a day ago)"
	}
	return fmt.Sprintf("%s (%s ago)", text, count(days, "day", "days"))
}

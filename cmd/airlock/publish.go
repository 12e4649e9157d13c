package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/publish"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

type publishOptions struct {
	publish.Options
	urgent, dryRun bool
}

func (a *app) publishCommand() *cobra.Command {
	var o publishOptions
	c := &cobra.Command{
		Use:   "publish FEED PATH…",
		Short: "Sign files and folders and publish them to a feed",
		Long: `Sign packages and publish them to a feed of this Space. The feed is opened with
the first. A commit takes up to 999 packages: all of them are in, or none.

Documents say their kind, name and version themselves; for other files say
--kind, --name and --version. What the feed holds already is left alone, and a
version never changes its content.

In folders, files that are no documents are skipped, and so are hidden ones and
homes and stores of airlock. Scopes travel by name, and who receives them
decides what they mean there; --unscoped-only is for receivers that know none
of the names.`,
		Example: `  airlock publish shared vars/ templates/
  airlock publish shared backup.psm1 --kind script-module --version 1.2.0
  airlock publish shared tool.tar --kind file --name tool --version 3.1
  airlock publish shared vars/ --unscoped-only --keep-going
  airlock publish shared vars/ --dry-run`,
		Args:              atLeast(2, "a feed and at least one file or folder"),
		ValidArgsFunction: a.completePublish,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.publish(cmd.Context(), args[0], args[1:], o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Kind, "kind", "", "what the files are, where they do not say so themselves")
	f.StringVar(&o.Name, "name", "", "the package's name, instead of one made from its title")
	f.StringVar(&o.Title, "title", "", "the package's title, where the file has none")
	f.StringVar(&o.Version, "version", "", "the package's version, where the file has none")
	f.SetAnnotation("version", ownMeaning, []string{"version of the package"})
	f.BoolVar(&o.KeepGoing, "keep-going", false, "leave out files that are refused, publish the rest and exit with 3")
	f.BoolVar(&o.UnscopedOnly, "unscoped-only", false, "refuse documents with a variable that has a scope; with --keep-going, leave them out")
	f.BoolVar(&o.urgent, "urgent", false, "ask subscribers to take it at once; what comes of that they decide")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be published and left out, and sign nothing")
	return c
}

func (a *app) publish(ctx context.Context, name string, paths []string, o publishOptions) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	if o.Kind != "" {
		if err := checkKinds([]string{o.Kind}); err != nil {
			return err
		}
	}
	bar := a.progress("reading")
	o.Progress = bar.setBytes
	collected, err := publish.Collect(ctx, paths, o.Options)
	bar.end()
	if u, ok := errors.AsType[*publish.UsageError](err); ok {
		return usage("%s", "airlock publish --help shows the flags", u.What)
	}
	if err != nil {
		return err
	}
	for _, s := range collected.Skipped {
		a.note("skipped %s: no document of a known kind", s)
	}
	if len(collected.Packages) == 0 {
		return usage("nothing to publish in %s", "name files that are documents of a known kind, or say --kind and --version", strings.Join(paths, ", "))
	}
	for i := range collected.Packages {
		collected.Packages[i].Urgent = o.urgent
	}
	p, c, err := a.publisher(ctx, id, o.dryRun)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.dryRun {
		results, err := p.Plan(ctx, collected.Packages)
		if err != nil {
			return err
		}
		return errors.Join(a.showPublished(id, c, results, wouldPublish), a.leftOut(collected.Refused))
	}
	sending := a.progress("publishing")
	results, err := p.Publish(ctx, withProgress(collected.Packages, sending))
	sending.end()
	if err != nil {
		return err
	}
	if err := errors.Join(a.noteFollowed(id, p), a.showPublished(id, c, results, published), c.Close()); err != nil {
		return err
	}
	return a.leftOut(collected.Refused)
}

// leftOut tells what --keep-going left out.
func (a *app) leftOut(refused []error) error {
	for _, err := range refused {
		a.note("left out: %s", oneLine(err.Error()))
	}
	if len(refused) > 0 {
		return exitWith(exitIncomplete, count(len(refused), "file was", "files were")+" refused and left out", "correct them and publish again; what is in already is left alone")
	}
	return nil
}

// noteFollowed lists the feed among those of this home.
func (a *app) noteFollowed(id feed.ID, p *publish.Publisher) error {
	h, err := a.home()
	if err != nil {
		return err
	}
	return h.NoteFollowed(p.Own.Lineage(), id)
}

// withProgress counts the bytes of payloads as they are read for sending.
func withProgress(packages []publish.Package, b *bar) []publish.Package {
	var total, done int64
	for _, p := range packages {
		for _, c := range p.Contents {
			total += c.Size
		}
	}
	for i := range packages {
		for j := range packages[i].Contents {
			open := packages[i].Contents[j].Open
			packages[i].Contents[j].Open = func(off int64) (io.ReadCloser, error) {
				r, err := open(off)
				return storage.Counted(r, func(n int) {
					done += int64(n)
					b.setBytes(min(done, total), total)
				}), err
			}
		}
	}
	return packages
}

// publisher returns the end that commits to a feed of this home's own Space,
// or, to plan, one that cannot sign and makes nothing.
func (a *app) publisher(ctx context.Context, id feed.ID, plan bool) (*publish.Publisher, *conn, error) {
	h, own, err := a.space()
	if err != nil {
		return nil, nil, err
	}
	if own.Space() != id.Space {
		return nil, nil, &failure{code: exitUntrusted, what: fmt.Sprintf("%s belongs to %s, and this home holds %s", id, id.Space, own.Space()),
			hint: "only its own Space can add to a feed; say --home DIR for another Space"}
	}
	var signer *signing.Signer
	to := planning
	if !plan {
		to = publishing
		if signer, err = h.Publisher(a.passphrase); err != nil {
			return nil, nil, err
		}
	}
	c, err := a.connect(ctx, to)
	if err != nil {
		return nil, nil, err
	}
	p, err := a.publisherOn(ctx, c, id, own, signer)
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return p, c, nil
}

// publisherOn is publisher for a place that is open. Without a signer it
// commits nothing but what is signed already.
func (a *app) publisherOn(ctx context.Context, c *conn, id feed.ID, own *trust.History, signer *signing.Signer) (*publish.Publisher, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	state, err := h.State(ctx)
	if err != nil {
		return nil, err
	}
	return &publish.Publisher{Feed: id, To: c, Own: own, Sign: signer, State: state, Now: a.now,
		Sync: func(ctx context.Context) (*feed.State, error) {
			_, s, _, err := a.sync(ctx, c, id)
			return s, err
		}}, nil
}

// outcome words what became of packages, or would become.
type outcome struct{ verb, to, state string }

var (
	published     = outcome{"published", "to", "new"}
	wouldPublish  = outcome{"would publish", "to", "new"}
	withdrew      = outcome{"withdrew", "from", "withdrawn"}
	wouldWithdraw = outcome{"would withdraw", "from", "live"}
)

type publishedDoc struct {
	Feed      string `json:"feed"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	Entry     int64  `json:"entry"` // -1 where it is not in yet
	Statement string `json:"statement,omitempty"`
	New       bool   `json:"new"`
	Source    string `json:"source,omitempty"`
}

func (a *app) showPublished(id feed.ID, c *conn, results []publish.Result, o outcome) error {
	docs, rows, fresh := []publishedDoc{}, [][]string{}, 0
	for _, r := range results {
		d := publishedDoc{Feed: id.String(), Kind: r.Ref.Kind, Name: r.Ref.Name, Version: r.Ref.Version, Entry: r.Index, New: r.New, Source: r.Source}
		if !r.ID.IsZero() {
			d.Statement = r.ID.String()
		}
		state, entry := "unchanged", fmt.Sprint(r.Index)
		if r.New {
			fresh++
			state = o.state
		}
		if r.Index < 0 {
			entry = "-"
		}
		docs = append(docs, d)
		rows = append(rows, []string{r.Ref.Kind + "/" + r.Ref.Name, r.Ref.Version, entry, state})
	}
	a.note("%s %d of %s %s %s on %s", o.verb, fresh, count(len(results), "package", "packages"), o.to, id, c.name)
	return a.show(docs, func(w io.Writer) { columns(w, []string{"PACKAGE", "VERSION", "ENTRY", "STATE"}, rows) })
}

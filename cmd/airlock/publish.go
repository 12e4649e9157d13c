package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/publish"
)

type publishOptions struct {
	publish.Options
	dryRun bool
}

func (a *app) publishCommand() *cobra.Command {
	var o publishOptions
	c := &cobra.Command{
		Use:   "publish FEED PATH…",
		Short: "Sign files and folders and publish them to a feed",
		Long: `Sign packages and publish them to a feed of this Space. The feed is opened with
the first. All packages of one command are one commit: all are in, or none.

Documents say their kind, name and version themselves; for other files say
--kind, --name and --version. What the feed holds already is left alone, and a
version never changes its content.`,
		Example: `  airlock publish shared vars/ templates/
  airlock publish shared backup.psm1 --kind script-module --version 1.2.0
  airlock publish shared tool.tar --kind file --name tool --version 3.1
  airlock publish shared vars/ --dry-run`,
		Args: atLeast(2, "a feed and at least one file or folder"),
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
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be published and sign nothing")
	return c
}

func (a *app) publish(ctx context.Context, name string, paths []string, o publishOptions) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	reading := a.progress("reading")
	o.Progress = reading.setBytes
	collected, err := publish.Collect(ctx, paths, o.Options)
	reading.end()
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
	p, c, err := a.publisher(ctx, id)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.dryRun {
		results, err := p.Plan(ctx, collected.Packages)
		if err != nil {
			return err
		}
		return a.showPublished(id, c, results, "would publish")
	}
	sending := a.progress("publishing")
	results, err := p.Publish(ctx, withProgress(collected.Packages, sending))
	sending.end()
	if err != nil {
		return err
	}
	if err := errors.Join(a.noteFollowed(id, p), a.showPublished(id, c, results, "published"), c.Close()); err != nil {
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
				return &countingReader{r, func(n int64) {
					done += n
					b.setBytes(min(done, total), total)
				}}, err
			}
		}
	}
	return packages
}

type countingReader struct {
	io.ReadCloser
	count func(int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.count(int64(n))
	return n, err
}

// publisher returns the end that commits to a feed of this home's own Space.
func (a *app) publisher(ctx context.Context, id feed.ID) (*publish.Publisher, *conn, error) {
	h, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	own, err := h.Identity()
	if err != nil {
		return nil, nil, err
	}
	if own.Space() != id.Space {
		return nil, nil, &failure{code: exitUntrusted, what: fmt.Sprintf("%s belongs to %s, and this home holds %s", id, id.Space, own.Space()),
			hint: "only its own Space can add to a feed; say --home DIR for another Space"}
	}
	signer, err := h.Publisher(a.passphrase)
	if err != nil {
		return nil, nil, err
	}
	state, err := h.State(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, err := a.connect(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	return &publish.Publisher{Feed: id, To: c, Own: own, Sign: signer, State: state, Now: a.now,
		Sync: func(ctx context.Context) (*feed.State, error) {
			_, s, _, err := a.sync(ctx, c, id)
			return s, err
		}}, c, nil
}

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

func (a *app) showPublished(id feed.ID, c *conn, results []publish.Result, verb string) error {
	docs, rows, fresh := []publishedDoc{}, [][]string{}, 0
	for _, r := range results {
		d := publishedDoc{Feed: id.String(), Kind: r.Ref.Kind, Name: r.Ref.Name, Version: r.Ref.Version, Entry: r.Index, New: r.New, Source: r.Source}
		if !r.ID.IsZero() {
			d.Statement = r.ID.String()
		}
		state, entry := "unchanged", fmt.Sprint(r.Index)
		if r.New {
			fresh++
			state = "new"
		}
		if r.Index < 0 {
			entry = "-"
		}
		docs = append(docs, d)
		rows = append(rows, []string{r.Ref.Kind + "/" + r.Ref.Name, r.Ref.Version, entry, state})
	}
	a.note("%s %d of %s to %s on %s", verb, fresh, count(len(results), "package", "packages"), id, c.name)
	return a.show(docs, func(w io.Writer) { columns(w, []string{"PACKAGE", "VERSION", "ENTRY", "STATE"}, rows) })
}

func (a *app) withdrawCommand() *cobra.Command {
	var reason string
	var dryRun bool
	c := &cobra.Command{
		Use:   "withdraw FEED KIND/NAME@VERSION…",
		Short: "Withdraw versions, for good",
		Long: `Withdraw versions of packages. Receivers stop taking them; what they have goes
only where they prune. A withdrawn version can never be published again.`,
		Example: `  airlock withdraw shared variable-set/database@1.4.0 --reason "wrong host"`,
		Args:    atLeast(2, "a feed and at least one package"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withdraw(cmd.Context(), args[0], args[1:], reason, dryRun)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the people on the other side; at most 500 bytes")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be withdrawn and sign nothing")
	return c
}

func (a *app) withdraw(ctx context.Context, name string, packages []string, reason string, dryRun bool) error {
	id, err := a.feedID(name)
	if err != nil {
		return err
	}
	if len(reason) > 500 {
		return usage("the reason has %d bytes", "say it in at most 500", len(reason))
	}
	p, c, err := a.publisher(ctx, id)
	if err != nil {
		return err
	}
	defer c.Close()
	state, err := p.Sync(ctx)
	if err != nil {
		return err
	}
	var refs []feed.Ref
	for _, s := range packages {
		r, err := findPackage(state, s)
		if err != nil {
			return err
		}
		refs = append(refs, r)
	}
	if dryRun {
		for _, r := range refs {
			fmt.Fprintf(a.out, "would withdraw %s\n", r)
		}
		return nil
	}
	results, err := p.Withdraw(ctx, refs, reason)
	if err != nil {
		return err
	}
	return errors.Join(a.showPublished(id, c, results, "withdrew"), c.Close())
}

// findPackage reads "kind/name@version", or "name@version" where the name is
// of one kind only, and looks it up in a feed.
func findPackage(s *feed.State, text string) (feed.Ref, error) {
	name, version, ok := strings.Cut(text, "@")
	if !ok {
		return feed.Ref{}, usage("package %.200q says no version", "write it like variable-set/database@1.4.0", text)
	}
	version = strings.ReplaceAll(version, "+", "_")
	if k, n, ok := strings.Cut(name, "/"); ok {
		return feed.Ref{Kind: k, Name: n, Version: version}, nil
	}
	var kinds []string
	for row := range s.Index.Rows(0) {
		if row.Void == "" && row.Ref.Name == name && strings.EqualFold(row.Ref.Version, version) && !slices.Contains(kinds, row.Ref.Kind) {
			kinds = append(kinds, row.Ref.Kind)
		}
	}
	if len(kinds) != 1 {
		return feed.Ref{}, usage("%.200q names %d packages of %s", "write it with its kind, like variable-set/database@1.4.0; airlock list "+s.ID.String()+" shows what there is", text, len(kinds), s.ID)
	}
	return feed.Ref{Kind: kinds[0], Name: name, Version: version}, nil
}

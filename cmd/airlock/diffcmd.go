package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/kind"
)

func (a *app) diffCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "diff FEED/NAME@VERSION [VERSION]",
		Short: "Show what changed between two versions of a package",
		Long: `Show what changed from one version of a package to another, or to the newest
live one. Both are verified first. Values that are sensitive in either version
are never shown.

The exit code is 0 where both are the same and 4 where they differ.`,
		Example: `  airlock diff acme/dev-qa/shared/db@1.3 1.4
  airlock diff acme/dev-qa/shared/db@1.3
  airlock diff acme/dev-qa/shared/variable-set/db@1.3 1.4 -f json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("airlock diff takes a package and a version", "see airlock diff --help")
			}
			return atMost(2, "a package and a version")(cmd, args)
		},
		ValidArgsFunction: a.completeDiff,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.diff(cmd.Context(), args, from) },
	}
	fromFlag(c, &from)
	return c
}

type diffDoc struct {
	Feed    string      `json:"feed"`
	Kind    string      `json:"kind"`
	Name    string      `json:"name"`
	From    string      `json:"from"`
	To      string      `json:"to"`
	Changes []changeDoc `json:"changes"`
}

type changeDoc struct {
	File string `json:"file"`
	Op   string `json:"op"` // "added", "changed" or "removed"
	What string `json:"what"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

func (a *app) diff(ctx context.Context, args []string, from string) error {
	ref, err := a.pkgRef(args[0])
	if err != nil {
		return err
	}
	if ref.version == "" {
		return usage("%s: from which version?", "say FEED/NAME@VERSION", args[0])
	}
	other := ref
	other.version = ""
	if len(args) == 2 {
		if other.version, err = feed.ParseVersion(args[1]); err != nil {
			return usage("%v", "see airlock diff --help", err)
		}
	}
	at, err := a.openFeed(ctx, ref.feed, from)
	if err != nil {
		return err
	}
	defer at.Close()
	before, err := ref.find(at.state.Index)
	if err != nil {
		return err
	}
	other.kind = before.Ref.Kind
	after, err := other.find(at.state.Index)
	if err != nil {
		return err
	}
	doc, err := at.diff(ctx, before, after)
	if err != nil {
		return err
	}
	if err := a.show(doc, doc.table); err != nil || len(doc.Changes) == 0 {
		return err
	}
	return exitWith(exitDifferent, "", "")
}

func (o *opened) diff(ctx context.Context, before, after feed.Row) (diffDoc, error) {
	doc := diffDoc{Feed: o.state.ID.String(), Kind: before.Ref.Kind, Name: before.Ref.Name,
		From: before.Ref.Version, To: after.Ref.Version, Changes: []changeDoc{}}
	if before.Manifest == after.Manifest {
		return doc, nil
	}
	rows := []feed.Row{before, after}
	slices.SortFunc(rows, func(a, b feed.Row) int { return int(a.Index - b.Index) })
	packages := map[int64]*feed.Package{}
	err := o.follower.Fetch(ctx, o.state, rows, func(p *feed.Package) error {
		packages[p.Row.Index] = p
		return nil
	})
	if err != nil {
		return doc, err
	}
	doc.Changes, err = diffPackages(ctx, contentsOf(packages[before.Index]), contentsOf(packages[after.Index]))
	return doc, err
}

// contents is a version of a package as it is read, out of a feed or out of the
// folder that it was applied to.
type contents struct {
	ref      feed.Ref
	manifest feed.Manifest
	open     func(ctx context.Context, i int) (io.ReadCloser, error)
	// applied is set for a folder's: it keeps no title, and a file may have been
	// changed there since.
	applied bool
}

func contentsOf(p *feed.Package) contents {
	return contents{ref: p.Row.Ref, manifest: p.Manifest, open: p.Open}
}

// read reads file i, checked; the caller has looked at its size.
func (c contents) read(ctx context.Context, i int) ([]byte, error) {
	r, err := c.open(ctx, i)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", c.ref, c.manifest.Layers[i].Path, err)
	}
	return b, nil
}

// diffPackages compares titles and files. The first file is the package's
// document, the others are its attachments.
func diffPackages(ctx context.Context, before, after contents) ([]changeDoc, error) {
	out := []changeDoc{}
	if !before.applied && before.manifest.Title != after.manifest.Title {
		out = append(out, changeDoc{Op: string(kind.Changed), What: "title", Old: before.manifest.Title, New: after.manifest.Title})
	}
	old := map[string]int{}
	for i, l := range before.manifest.Layers {
		old[l.Path] = i
	}
	for i, l := range after.manifest.Layers {
		j, ok := old[l.Path]
		delete(old, l.Path)
		switch {
		case !ok:
			out = append(out, changeDoc{File: l.Path, Op: string(kind.Added), What: "file", New: layerText(l)})
		case before.manifest.Layers[j].Digest != l.Digest:
			changes, err := diffFile(ctx, before, j, after, i)
			if err != nil {
				return nil, err
			}
			out = append(out, changes...)
		}
	}
	for i, l := range before.manifest.Layers {
		if j, gone := old[l.Path]; gone && i == j {
			out = append(out, changeDoc{File: l.Path, Op: string(kind.Removed), What: "file", Old: layerText(l)})
		}
	}
	return out, nil
}

func layerText(l feed.Layer) string { return fmt.Sprintf("%d bytes, %s", l.Size, l.Digest) }

// diffFile compares two contents of one file: by their meaning where they are
// documents, otherwise as text or by digest.
func diffFile(ctx context.Context, before contents, i int, after contents, j int) ([]changeDoc, error) {
	was, is := before.manifest.Layers[i], after.manifest.Layers[j]
	opaque := []changeDoc{{File: is.Path, Op: string(kind.Changed), What: "content", Old: layerText(was), New: layerText(is)}}
	if max(was.Size, is.Size) > kind.MaxDocument {
		return opaque, nil
	}
	old, err := before.read(ctx, i)
	if err != nil && before.applied && ctx.Err() == nil {
		opaque[0].What = "content, not compared: it was changed in the folder, or is gone"
		return opaque, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := after.read(ctx, j)
	if err != nil {
		return nil, err
	}
	how := before.manifest.Kind
	if i > 0 || j > 0 {
		how = "file"
	}
	changes, err := kind.Diff(how, is.Path, old, content)
	if err != nil {
		return opaque, nil // not valid documents, which were published all the same
	}
	var out []changeDoc
	for _, c := range changes {
		out = append(out, changeDoc{is.Path, string(c.Op), c.What, c.Old, c.New})
	}
	return out, nil
}

var changeMarks = map[string]string{string(kind.Added): "+", string(kind.Removed): "-", string(kind.Changed): "~"}

func (d diffDoc) table(w io.Writer) {
	fmt.Fprintf(w, "%s/%s %s → %s: %s\n", d.Kind, d.Name, shownVersion(d.From), shownVersion(d.To), count(len(d.Changes), "change", "changes"))
	file := ""
	for _, c := range d.Changes {
		if c.File != file {
			file = c.File
			fmt.Fprintf(w, "%s\n", file)
		}
		fmt.Fprintf(w, "  %s %s%s\n", changeMarks[c.Op], c.What, changeValues(c))
	}
}

// changeValues writes old and new beside each other, or a long text's changed
// lines below.
func changeValues(c changeDoc) string {
	switch {
	case strings.Contains(c.New, "\n"):
		return "\n      " + strings.ReplaceAll(strings.TrimRight(c.New, "\n"), "\n", "\n      ")
	case c.Old != "" && c.New != "":
		return ": " + c.Old + " → " + c.New
	case c.Old+c.New != "":
		return ": " + c.Old + c.New
	}
	return ""
}

package main

import (
	"context"
	"io"

	"airlock/feed"
	"airlock/internal/apply"
)

// installed is what the receiver's folder has of a feed, by kind/name.
type installed struct {
	rows  map[string]feed.Row
	items map[string]apply.Item
}

// installed names what the receiver's folder has. What the feed never published
// does not count: the records of folders lie where others may write.
func (f *checkedFeed) installed() installed {
	out := installed{map[string]feed.Row{}, map[string]apply.Item{}}
	for _, it := range f.there {
		if row, ok := publicationOf(f.state.Index, it); ok {
			out.rows[nameOf(row)], out.items[nameOf(row)] = row, it
		}
	}
	return out
}

// applied reads a package out of the receiver's folder.
func (i *inspection) applied(it apply.Item) contents {
	c := contents{ref: it.Ref, applied: true, manifest: feed.Manifest{Kind: it.Ref.Kind, Version: it.Ref.Version},
		open: func(ctx context.Context, n int) (io.ReadCloser, error) { return i.into.Open(ctx, it, n) }}
	for _, f := range it.Files {
		c.manifest.Layers = append(c.manifest.Layers, feed.Layer{Ref: f.Ref, Path: f.Path})
	}
	return c
}

// present asks, where the receiver's folder is known, whether all that a pull into
// it would take is there.
func (i *inspection) present(ctx context.Context, f *checkedFeed, choice apply.Choice) error {
	if i.into == nil {
		return nil
	}
	kept, missing, err := presentOf(ctx, i.Bundle, f.state.ID, apply.Plan(f.state.ID, choice, f.there, apply.Consent{}))
	if err != nil {
		return err
	}
	for _, a := range missing {
		if i.ReceiverHas(f.state.ID, a.Row.Manifest) {
			i.bad("base", &absentError{a.Ref, "bundle " + i.ID().Short()})
		}
	}
	whole := 0
	for _, a := range kept {
		if a.Op != apply.Add && a.Op != apply.Change {
			continue
		}
		if err := i.lacks[packageKey{f.state.ID, a.Row.Index}]; err != nil {
			i.bad("base", err)
			continue
		}
		whole++
	}
	i.ok("base", "%s: %s to be pulled into %s", f.state.ID, count(whole, "package is here", "packages are here"), i.options.into)
	return nil
}

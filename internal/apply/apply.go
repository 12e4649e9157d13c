// Package apply is what a receiving Space does with packages that were
// accepted: it chooses which of a feed are wanted, plans what that changes
// where they go, and carries the plan out.
//
// There are two targets. A Dir writes payloads as files and keeps an index of
// them; one Apply, of however many feeds, changes all of it or nothing. An Exec
// hands each update to a program and keeps in the home what the program took.
package apply

import (
	"context"
	"fmt"
	"slices"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Op is what a plan does with a package.
type Op string

// The operations.
const (
	Add    Op = "add"
	Change Op = "change"
	Remove Op = "remove"
	// Retain leaves a version that was withdrawn, or does not count any more,
	// where it is, because nobody asked to prune.
	Retain Op = "retain"
	// Keep leaves the version that is wanted as somebody changed it in the
	// folder, because nobody asked to force.
	Keep Op = "keep"
	Same Op = "same"
)

// Action is one line of a plan.
type Action struct {
	Op Op
	// Ref is the version that is there afterwards; for Remove, the one that
	// was there before.
	Ref  feed.Ref
	From string // the version installed before, empty for Add
	// Row is the entry that is the reason: a publication for Add, Change and
	// Same; for Remove and Retain the withdrawal, or the publication that does
	// not count any more.
	Row    feed.Row
	Reason string // for people; empty where the operation says it all
}

// changes reports whether carrying out a does anything.
func (a Action) changes() bool { return a.Op == Add || a.Op == Change || a.Op == Remove }

// fetches reports whether a needs the package's content.
func (a Action) fetches() bool { return a.Op == Add || a.Op == Change }

// Item is a package that a target has.
type Item struct {
	Ref       feed.Ref
	Index     int64
	Statement signing.ID
	Manifest  storage.Digest
	When      time.Time // when it was taken, zero where nobody noted it
	// Files, Missing and Changed are of a Dir; an Exec does not know what
	// became of its files.
	Files   []File
	Missing int      // how many of the files are gone
	Changed []string // paths of files that are not what was written any more
}

// File is a file of an Item.
type File struct {
	storage.Ref
	Path string // inside the package, slash-separated
	// Modified is the date that the file had once it was written, in
	// microseconds since 1970: one that has it and its size was not changed.
	Modified int64
}

// Head is how far a feed was followed when something was applied.
type Head struct {
	Epoch   uint64
	Size    int64
	Root    storage.Digest
	Lineage trust.Lineage
}

// HeadOf is how far a feed was followed.
func HeadOf(s *feed.State) Head {
	return Head{Epoch: s.Epoch, Size: s.Edge.Size(), Root: storage.Digest(s.Edge.Root()), Lineage: s.Lineage}
}

// Target is a place that packages go to.
type Target interface {
	// Installed returns what the target has of a feed, by kind and name.
	Installed(ctx context.Context, id feed.ID) ([]Item, error)
	// Apply carries out the plans of feeds, each feed once, and returns what
	// became of each, in their order. What changed since a plan was made ends in
	// a *ChangedError. A target that has seen more of a feed than Sync.To, or
	// another history or Space under its name, refuses with a *HeadError.
	Apply(ctx context.Context, syncs ...Sync) []Result
}

// Sync is what is to be done with a feed.
type Sync struct {
	ID    feed.ID
	To    Head     // how far it was followed
	Plan  []Action // made from what Installed returned
	Fetch Fetch
}

// idle reports whether a target that has doc of the feed has all of s.
func (s Sync) idle(doc feedDoc) bool {
	return doc.head() == s.To && !slices.ContainsFunc(s.Plan, Action.changes)
}

// Result is what became of a Sync. With an error the outcomes are those until
// then.
type Result struct {
	Outcomes []Outcome
	Err      error
}

// Fetch gets the packages of rows, in their order, and hands each to a
// function: feed.Follower.Fetch with its state.
type Fetch func(ctx context.Context, rows []feed.Row, each func(*feed.Package) error) error

// Outcome is what became of an action.
type Outcome struct {
	Action Action
	Err    error
	Output string // what the program wrote, where there was one; see MaxOutput
}

// rowsToFetch returns the publications that a plan needs, by index.
func rowsToFetch(plan []Action) []feed.Row {
	var rows []feed.Row
	for _, a := range plan {
		if a.fetches() {
			rows = append(rows, a.Row)
		}
	}
	return rows
}

// itemOf returns what a target has once it took a package.
func itemOf(p *feed.Package, now time.Time) Item {
	it := Item{Ref: p.Row.Ref, Index: p.Row.Index, Statement: p.Row.ID, Manifest: p.Row.Manifest, When: now}
	for _, l := range p.Manifest.Layers {
		it.Files = append(it.Files, File{Ref: l.Ref, Path: l.Path})
	}
	return it
}

// checkPlan holds a plan against what is installed now.
func checkPlan(id feed.ID, plan []Action, installed []Item) error {
	have := byName(installed)
	for _, a := range plan {
		if now := have[nameOf(a.Ref)].Ref.Version; now != a.From {
			return &ChangedError{ID: id, Name: nameOf(a.Ref), Planned: a.From, Now: now}
		}
	}
	return nil
}

// nameOf returns "<kind>/<name>", of which a target has one version.
func nameOf(r feed.Ref) string { return r.Kind + "/" + r.Name }

func byName(items []Item) map[string]Item {
	m := make(map[string]Item, len(items))
	for _, it := range items {
		m[nameOf(it.Ref)] = it
	}
	return m
}

// checkPackage looks again at what will become names of files: the manifest
// was checked when it was parsed, and this is the last door.
func checkPackage(p *feed.Package) error {
	if err := p.Row.Ref.Check(); err != nil {
		return fmt.Errorf("%s: %w", p.Row.Ref, err)
	}
	for _, l := range p.Manifest.Layers {
		if err := feed.CheckPath(l.Path); err != nil {
			return fmt.Errorf("%s: %w", p.Row.Ref, err)
		}
	}
	return nil
}

package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// part is what is prepared of one feed.
type part struct {
	Sync
	doc   feedDoc
	had   map[string]Item // by kind and name
	items map[string]Item // what it will have
}

func (d *Dir) newStager(k *disk, x *dirIndex, syncs []Sync) *stager {
	s := &stager{dir: d, disk: k, folder: newStage(), index: x, owned: map[string]storage.Ref{}, dates: map[string]int64{}}
	for _, todo := range syncs {
		doc := x.of(todo.ID)
		had := byName(doc.items())
		p := &part{todo, doc, had, maps.Clone(had)}
		s.parts = append(s.parts, p)
		for _, a := range p.Plan {
			if !a.changes() {
				continue
			}
			it := p.had[nameOf(a.Ref)]
			for _, f := range it.Files {
				s.owned[filePath(it.Ref, f.Path)] = f.Ref
			}
		}
	}
	return s
}

// retireRemoved prepares the removals of packages.
func (s *stager) retireRemoved() error {
	for _, p := range s.parts {
		for _, a := range p.Plan {
			if a.Op != Remove {
				continue
			}
			if err := s.retire(p.had[nameOf(a.Ref)], nil); err != nil {
				return err
			}
			delete(p.items, nameOf(a.Ref))
		}
	}
	return nil
}

// retire prepares the removal of those files of an item that are not kept.
func (s *stager) retire(it Item, kept map[string]bool) error {
	for _, f := range it.Files {
		if kept[f.Path] {
			continue
		}
		name := filePath(it.Ref, f.Path)
		found, err := s.look(name, storage.Ref{})
		if err != nil {
			return err
		}
		if found.over != nil {
			s.removals = append(s.removals, fileDoc{Digest: found.over.Digest, Path: name, Size: found.over.Size})
		}
	}
	return nil
}

// receive fetches the packages of a feed and hands out their files.
func (s *stager) receive(ctx context.Context, p *part, jobs chan<- stageJob) error {
	rows := rowsToFetch(p.Plan)
	if len(rows) == 0 {
		return nil
	}
	got := 0
	err := p.Fetch(ctx, rows, func(pkg *feed.Package) error {
		if got == len(rows) || pkg.Row != rows[got] {
			return fmt.Errorf("%s: came instead of what was asked for", pkg.Row.Ref)
		}
		got++
		if err := s.accept(p, pkg); err != nil {
			return err
		}
		for i := range pkg.Manifest.Layers {
			select {
			case jobs <- stageJob{pkg, i}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err == nil && got < len(rows) {
		err = fmt.Errorf("%s: did not come", rows[got].Ref)
	}
	return err
}

// accept notes a package, and what of the version before goes with it.
func (s *stager) accept(p *part, pkg *feed.Package) error {
	if err := checkPackage(pkg); err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, l := range pkg.Manifest.Layers {
		kept[l.Path] = true
	}
	name := nameOf(pkg.Row.Ref)
	p.items[name] = itemOf(pkg, s.dir.now())
	return s.retire(p.had[name], kept)
}

// docs returns what the index is to have of the feeds.
func (s *stager) docs() (docs []feedDoc) {
	for _, p := range s.parts {
		doc := p.doc
		doc.setItems(s.dated(p.items))
		doc.setHead(p.To)
		if doc.When == "" || slices.ContainsFunc(p.Plan, Action.changes) {
			doc.When = signing.FormatTime(s.dir.now())
		}
		docs = append(docs, doc)
	}
	return docs
}

// dated puts the dates of files into items.
func (s *stager) dated(items map[string]Item) map[string]Item {
	for _, it := range items {
		for i, f := range it.Files {
			name := filePath(it.Ref, f.Path)
			if date, ok := s.dates[name]; ok {
				it.Files[i].Modified = date
			} else {
				it.Files[i].Modified = s.dir.knownDate(name, f)
			}
		}
	}
	return items
}

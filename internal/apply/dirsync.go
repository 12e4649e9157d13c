package apply

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// sync carries out an admitted plan. Before the journal has its name nothing
// is changed, from there on there is no way back.
func (d *Dir) sync(ctx context.Context, k *disk, x *dirIndex, id feed.ID, to Head, plan []Action, fetch Fetch) error {
	doc := x.of(id)
	if doc.head() == to && len(rowsToFetch(plan)) == 0 && !removes(plan) {
		return nil
	}
	s := d.newStager(k, x, id, plan)
	journaled, err := s.prepare(ctx, doc, to, plan, fetch)
	s.close()
	if err != nil {
		if cleaning := k.removeAll(s.folder); cleaning != nil {
			return fmt.Errorf("%w (and %s stays behind: %w)", err, s.folder, cleaning)
		}
		return err
	}
	return d.carryOut(k, journaled, false)
}

func removes(plan []Action) bool {
	for _, a := range plan {
		if a.Op == Remove {
			return true
		}
	}
	return false
}

// prepare stages all that a plan needs and writes the journal.
func (s *stager) prepare(ctx context.Context, doc feedDoc, to Head, plan []Action, fetch Fetch) (*journal, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	if err := s.plan(plan); err != nil {
		return nil, err
	}
	if err := s.fetch(ctx, plan, fetch); err != nil {
		return nil, err
	}
	if err := s.inTheWay(); err != nil {
		return nil, err
	}
	doc.setItems(s.dated())
	doc.setHead(to)
	if doc.When == "" || len(s.moves)+len(s.removals) > 0 {
		doc.When = s.dir.now().UTC().Format(time.RFC3339)
	}
	next, gone := s.index.with(doc, s.made())
	index, err := format(next)
	if err != nil {
		return nil, err
	}
	j := &journal{
		Feed: doc.Feed, Folders: gone, Format: journalFormat, Index: storage.DigestOf(index),
		Moves: s.moves, Removals: s.removals, Stage: s.folder,
	}
	raw, err := format(j)
	if err != nil {
		return nil, err
	}
	if err := s.disk.writeFile(j.index(), index); err != nil {
		return nil, err
	}
	if err := s.disk.writeFile(j.draft(), raw); err != nil {
		return nil, err
	}
	// All of the stage is durable before the journal has its name, so a
	// journal that is found speaks of a stage that is complete.
	if err := s.settle(j.index(), j.draft()); err != nil {
		return nil, err
	}
	// The commit point.
	return j, s.disk.rename(j.draft(), journalName)
}

// newStage returns the name of a new stage.
func newStage() string { return stageFolder + "/" + strings.ToLower(rand.Text()) }

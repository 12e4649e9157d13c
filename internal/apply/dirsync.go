package apply

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"airlock/storage"
)

// Apply carries out plans: all of them, or nothing and the same error for each.
func (d *Dir) Apply(ctx context.Context, syncs ...Sync) []Result {
	err := d.apply(ctx, syncs)
	results := make([]Result, len(syncs))
	for i, s := range syncs {
		results[i].Err = err
		for _, a := range s.Plan {
			if err == nil {
				results[i].Outcomes = append(results[i].Outcomes, Outcome{Action: a})
			}
		}
	}
	return results
}

func (d *Dir) apply(ctx context.Context, syncs []Sync) error {
	if len(syncs) == 0 {
		return nil
	}
	k, err := d.openOrMake()
	if err != nil {
		return err
	}
	defer k.root.Close()
	release, err := d.lock(ctx, k)
	if err != nil {
		return err
	}
	defer release()
	if err := d.recover(k); err != nil {
		return err
	}
	x, err := d.readIndex(k)
	if err != nil {
		return err
	}
	if err := d.admit(x, syncs); err != nil {
		return err
	}
	return d.sync(ctx, k, x, syncs)
}

// admit holds plans against what is there, and against each other: one feed may
// give a package to another.
func (d *Dir) admit(x *dirIndex, syncs []Sync) error {
	owners := x.owners()
	for _, s := range syncs {
		doc := x.of(s.ID)
		if err := checkHead(s.ID, doc.head(), s.To); err != nil {
			return err
		}
		if err := checkPlan(s.ID, s.Plan, doc.items()); err != nil {
			return err
		}
		for _, a := range s.Plan {
			if a.Op == Remove {
				delete(owners, nameOf(a.Ref))
			}
		}
	}
	for _, s := range syncs {
		for _, a := range s.Plan {
			if a.Op == Remove {
				continue
			}
			if other, ok := owners[nameOf(a.Ref)]; ok && other != s.ID {
				return &OwnedError{Dir: d.path, Ref: a.Ref, Feed: s.ID, Other: other}
			}
			owners[nameOf(a.Ref)] = s.ID
		}
	}
	return nil
}

// sync carries out admitted plans. Before the journal has its name nothing
// is changed, from there on there is no way back.
func (d *Dir) sync(ctx context.Context, k *disk, x *dirIndex, syncs []Sync) error {
	syncs = slices.DeleteFunc(slices.Clone(syncs), func(s Sync) bool { return s.idle(x.of(s.ID)) })
	if len(syncs) == 0 {
		return nil
	}
	s := d.newStager(k, x, syncs)
	journaled, err := s.prepare(ctx)
	s.close()
	if err != nil {
		if cleaning := k.removeAll(s.folder); cleaning != nil {
			return fmt.Errorf("%w (and %s stays behind: %w)", err, s.folder, cleaning)
		}
		return err
	}
	return d.carryOut(k, journaled, false)
}

// prepare stages all that the plans need and writes the journal.
func (s *stager) prepare(ctx context.Context) (*journal, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	if err := s.retireRemoved(); err != nil {
		return nil, err
	}
	if err := s.fetch(ctx); err != nil {
		return nil, err
	}
	if err := s.inTheWay(); err != nil {
		return nil, err
	}
	next, gone := s.index.with(s.docs(), s.made())
	index, err := format(next)
	if err != nil {
		return nil, err
	}
	j := &journal{Folders: gone, Format: journalFormat, Index: storage.DigestOf(index), Moves: s.moves, Removals: s.removals, Stage: s.folder}
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

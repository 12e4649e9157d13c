package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
)

// target opens what packages are applied to; nil where nothing is to be.
func (a *app) target(ctx context.Context, o pullOptions) (apply.Target, error) {
	switch {
	case o.into != "":
		d, err := a.intoFolder(o.into)
		if err != nil {
			return nil, err
		}
		d.Force = o.force
		return d, nil
	case o.exec != "":
		h, err := a.home()
		if err != nil {
			return nil, err
		}
		state, err := h.State(ctx)
		if err != nil {
			return nil, err
		}
		return &apply.Exec{Program: a.program(o.exec, o.timeout), State: state, Key: o.exec, Now: a.now}, nil
	}
	return nil, nil
}

// intoFolder opens the folder that --into names.
func (a *app) intoFolder(path string) (*apply.Dir, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, usage("--into %s: is no folder", "name a folder of its own for the files", path)
	}
	if isAirlocks(path) {
		return nil, usage("--into %s: is a home or a store of airlock", "name a folder of its own for the files", path)
	}
	return apply.OpenDir(path, a.now)
}

// noteTarget lists the target among those that hold something of a feed. A folder
// that is not there holds nothing where nothing comes into it.
func (p *puller) noteTarget(s *prepared) error {
	h, err := p.home()
	if err != nil {
		return err
	}
	t := home.Target{Record: apply.RecordName(p.options.exec)}
	if p.options.into != "" {
		if t.Into, err = filepath.Abs(p.options.into); err != nil {
			return err
		}
		if _, err := os.Stat(t.Into); errors.Is(err, fs.ErrNotExist) && !changes(s.doc.Plan) {
			return nil
		}
	}
	return h.NoteTarget(s.state.Lineage, s.state.ID, t)
}

// carryOut applies what was planned of feeds: into a folder all of it or nothing.
func (p *puller) carryOut(ctx context.Context, all ...*prepared) {
	if p.target == nil || p.options.dryRun {
		for _, s := range all {
			s.err = s.waiting
		}
		return
	}
	for i, done := range p.apply(ctx, all) {
		s := all[i]
		s.outcomes = done.Outcomes
		s.doc.Failed = done.Err != nil && !as[*apply.IncompleteError](done.Err) && !as[*apply.UnfinishedError](done.Err)
		made, unrecorded := p.receipts(ctx, s.synced)
		s.doc.Made = made
		s.err = cmp.Or(done.Err, unrecorded, s.waiting)
	}
}

// apply hands the plans to the target.
func (p *puller) apply(ctx context.Context, all []*prepared) []apply.Result {
	if len(all) == 1 && len(all[0].doc.Waiting) > 0 && !changes(all[0].doc.Plan) {
		return []apply.Result{{}} // all of it waits: the target is left alone
	}
	if p.confirm != nil && slices.ContainsFunc(all, func(s *prepared) bool { return changes(s.doc.Plan) }) {
		if err := p.confirm(ctx); err != nil {
			return slices.Repeat([]apply.Result{{Err: err}}, len(all))
		}
	}
	syncs := make([]apply.Sync, len(all))
	for i, s := range all {
		if err := p.noteTarget(s); err != nil {
			return slices.Repeat([]apply.Result{{Err: err}}, len(all))
		}
		syncs[i] = apply.Sync{ID: s.state.ID, To: apply.HeadOf(s.state), Plan: s.plan, Fetch: func(ctx context.Context, rows []feed.Row, each func(*feed.Package) error) error {
			return p.fetch(ctx, "applying "+s.state.ID.String(), s.follower, s.state, rows, each)
		}}
		s.started = p.now()
	}
	return p.target.Apply(ctx, syncs...)
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// reception is where approvals come in: what this home goes by.
type reception struct {
	*app
	home     *home.Home
	evidence trust.Evidence
	persons  map[storage.Digest]string
}

func (a *app) reception() (*reception, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	evidence, err := h.Evidence()
	if err != nil {
		return nil, err
	}
	persons, err := h.Approvers()
	return &reception{a, h, evidence, persons}, err
}

func (r *reception) describe(p trust.Approved) keptApproval {
	d := keptApproval{Approval: p.ID.String(), Person: r.persons[p.Approval.Key], Key: p.Approval.Key.String(), Made: p.Approval.Time, Expires: p.Approval.Expires,
		Comment: p.Approval.Comment, Problem: r.evidence.Why(p, r.now())}
	for _, id := range p.Approval.Approves {
		d.Approves = append(d.Approves, id.String())
	}
	if d.Person == "" && d.Problem == "" {
		d.Problem = "no policy here lists its key"
	}
	return d
}

// takeApprovals takes in the approvals of files and folders. Bytes that are
// none, or that were changed, are refused; what is genuine and does not count
// says why, and stops nothing.
func (a *app) takeApprovals(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	r, err := a.reception()
	if err != nil {
		return err
	}
	return readApprovals(paths, r.take)
}

// readApprovals reads the approvals of files and folders.
func readApprovals(paths []string, each func(p trust.Approved, file string) error) error {
	for _, path := range paths {
		files, err := approvalFiles(path)
		if err != nil {
			return err
		}
		for _, file := range files {
			p, err := home.ReadApproval(file)
			if err != nil {
				return fmt.Errorf("approval: %w", err)
			}
			if err := each(p, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// take keeps an approval that counts here or may, once a policy lists its key;
// from says where it came from.
func (r *reception) take(p trust.Approved, from string) error {
	d := r.describe(p)
	if d.Problem != "" {
		r.note("%s does not count: %s", from, d.Problem)
	}
	if r.evidence.Why(p, r.now()) != "" {
		return nil
	}
	isNew, err := r.home.KeepApproval(p, r.now())
	if isNew {
		r.tookIn++
		r.note("took in an approval by %s of %s, from %s", dash(d.Person), count(len(d.Approves), "publication", "publications"), from)
	}
	return err
}

// approvalFiles returns a file, or those of a folder that may be approvals.
func approvalFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && !e.IsDir() {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	return out, err
}

// takeFromFeed keeps the approvals among the new entries of a feed.
func (a *app) takeFromFeed(f *feed.Follower) func(context.Context, *feed.State, int64) error {
	return func(ctx context.Context, s *feed.State, from int64) error {
		rows := approvalRows(s, from)
		if len(rows) == 0 {
			return nil
		}
		r, err := a.reception()
		if err != nil {
			return err
		}
		err = f.Statements(ctx, s, rows, func(row feed.Row, _ trust.Verified, att signing.Attestation) error {
			return r.takeEntry(fmt.Sprintf("%s entry %d", s.ID, row.Index), att)
		})
		if err != nil {
			return err
		}
		return r.home.Judge(f.View) // they may be about this very feed
	}
}

// approvalRows returns the approvals of a feed from an entry on, in their order.
func approvalRows(s *feed.State, from int64) []feed.Row {
	rows := slices.Collect(s.Index.Others(signing.Approval, from))
	slices.Reverse(rows)
	return rows
}

// takeEntry is take for an entry of a feed. What one feed says must not keep
// another from being followed, nor this one: an approval that cannot be kept is
// missed when a package asks for it.
func (r *reception) takeEntry(where string, att signing.Attestation) error {
	p, err := trust.OpenApproval(att)
	if err == nil && slices.Contains(p.Approval.Audience, r.evidence.Receiver) { // others' are none of ours
		err = r.take(p, where)
	}
	if as[*trust.DeniedError](err) || as[*home.FullError](err) {
		r.note("%s is not kept: %v", where, err)
		err = nil
	}
	return err
}

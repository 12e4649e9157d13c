package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

func (a *app) approvalsCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "List the approvals that are known here",
		Long: `List the approvals that are kept in this home, whichever way they came: by
airlock pull --approvals or in a feed. airlock explain PACKAGE shows those of one
package, and who is missing.`,
		Example: `  airlock approvals list
  airlock approvals list -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.listApprovals() },
	}
	var expired, dryRun bool
	remove := &cobra.Command{
		Use:   "remove [ID…]",
		Short: "Forget approvals; what was let in with them stays",
		Example: `  airlock approvals remove --expired
  airlock approvals remove sha256:9f86d081…`,
		ValidArgsFunction: a.completeApprovals,
		RunE:              func(_ *cobra.Command, args []string) error { return a.removeApprovals(args, expired, dryRun) },
	}
	remove.Flags().BoolVar(&expired, "expired", false, "all that have expired")
	remove.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be forgotten")
	return group("approvals", "Show and forget the approvals that are known here", list, remove)
}

// keptApproval is an approval of this home.
type keptApproval struct {
	Approval string   `json:"approval"`
	Person   string   `json:"person,omitempty"` // as a policy of this home names them
	Key      string   `json:"key"`
	Approves []string `json:"approves"` // statement ids
	Made     string   `json:"made"`     // by the approver's clock
	Expires  string   `json:"expires"`
	Comment  string   `json:"comment,omitempty"`
	Problem  string   `json:"problem,omitempty"` // why it counts for nothing here
}

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

func (a *app) listApprovals() error {
	r, err := a.reception()
	if err != nil {
		return err
	}
	docs, rows := []keptApproval{}, [][]string{}
	for _, p := range r.evidence.Approvals {
		d := r.describe(p)
		docs = append(docs, d)
		rows = append(rows, []string{d.Approval, dash(d.Person), count(len(d.Approves), "publication", "publications"), d.Expires, dash(d.Problem)})
	}
	a.note("%s in %s", count(len(docs), "approval", "approvals"), r.home.Path())
	return a.show(docs, func(w io.Writer) { columns(w, []string{"APPROVAL", "PERSON", "OF", "UNTIL", "PROBLEM"}, rows) })
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

func (a *app) removeApprovals(args []string, expired, dryRun bool) error {
	if expired == (len(args) > 0) {
		return usage("say which approvals: ids, or --expired", "airlock approvals list shows them")
	}
	h, err := a.home()
	if err != nil {
		return err
	}
	var ids []signing.ID
	for _, text := range args {
		d, err := storage.ParseDigest(text)
		if err != nil {
			return usage("%v", "airlock approvals list shows the ids of approvals", err)
		}
		ids = append(ids, signing.ID(d))
	}
	if expired {
		all, err := h.Approvals()
		if err != nil {
			return err
		}
		for _, p := range all {
			if a.now().After(p.Expires) {
				ids = append(ids, p.ID)
			}
		}
	}
	for _, id := range ids {
		if dryRun {
			a.note("would forget %s", id)
		} else if err := h.RemoveApproval(id); errors.Is(err, fs.ErrNotExist) {
			return hinted(err, "no approval "+id.String()+" is known here", "airlock approvals list shows those that are")
		} else if err != nil {
			return err
		}
	}
	if !dryRun {
		a.note("forgot %s", count(len(ids), "approval", "approvals"))
	}
	return nil
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
			if err := r.take(p, file); err != nil {
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
		var rows []feed.Row
		for row := range s.Index.Rows(from) {
			if row.What == feed.IsOther && row.Ref.Kind == string(signing.Approval) {
				rows = append(rows, row)
			}
		}
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

// completeApprovals offers the ids of the approvals that are kept here.
func (a *app) completeApprovals(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if a.hasHome() {
		if h, err := a.home(); err == nil {
			all, _ := h.Approvals() // nothing to offer then
			for _, p := range all {
				if id := p.ID.String(); !slices.Contains(args, id) {
					out = append(out, id)
				}
			}
		}
	}
	return withPrefix(out, typed), cobra.ShellCompDirectiveNoFileComp
}

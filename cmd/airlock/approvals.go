package main

import (
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"airlock/signing"
	"airlock/storage"
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

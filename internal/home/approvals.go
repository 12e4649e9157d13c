package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Approvals known here lie in a file each, whichever way they came:
//
//	approvals/<statement id, hexadecimal>.json    attestation in its stored form
//
// They are verified whenever they are read. Which of them count is for the
// policy of each Space to say.

// MaxApprovals bounds the approvals of a home.
const MaxApprovals = 1000

const approvalSuffix = ".json"

// FullError reports a home that holds as many approvals as it may.
type FullError struct{ Path string }

func (e *FullError) Error() string {
	return fmt.Sprintf("%s: holds %d approvals, and no more are kept", e.Path, MaxApprovals)
}

// Hint is what to do next.
func (e *FullError) Hint() string {
	return "airlock approvals list shows them; airlock approvals remove ID… makes room"
}

func (h *Home) approvalFile(id signing.ID) string {
	return h.file("approvals", storage.Digest(id).Hex()+approvalSuffix)
}

// KeepApproval keeps an approval, durable on return, and reports whether it was
// new. Expired ones make room for it; where none is, the error is a *FullError.
func (h *Home) KeepApproval(a trust.Approved, now time.Time) (bool, error) {
	path := h.approvalFile(a.ID)
	if _, err := os.Stat(path); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(h.file("approvals"), 0o700); err != nil {
		return false, err
	}
	if err := h.makeRoom(now); err != nil {
		return false, err
	}
	err := storage.CreateFile(path, a.Attestation.Bytes(), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil // another process was faster
	}
	return err == nil, err
}

func (h *Home) makeRoom(now time.Time) error {
	ids, err := h.approvalIDs()
	if err != nil || len(ids) < MaxApprovals {
		return err
	}
	all, err := h.Approvals()
	if err != nil {
		return err
	}
	left := len(all)
	for _, a := range all {
		if now.After(a.Expires) {
			if err := h.RemoveApproval(a.ID); err != nil {
				return err
			}
			left--
		}
	}
	if left >= MaxApprovals {
		return &FullError{h.file("approvals")}
	}
	return nil
}

// Approvals returns the approvals kept here, in the order of their ids. An error
// names the file that is damaged.
func (h *Home) Approvals() ([]trust.Approved, error) {
	ids, err := h.approvalIDs()
	if err != nil {
		return nil, err
	}
	var out []trust.Approved
	for _, id := range ids {
		a, err := ReadApproval(h.approvalFile(id))
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process removed it
		}
		if err == nil && a.ID != id {
			err = &ApprovalFileError{h.approvalFile(id), fmt.Errorf("%w: holds approval %s", trust.ErrMalformed, a.ID)}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (h *Home) approvalIDs() ([]signing.ID, error) {
	entries, err := os.ReadDir(h.file("approvals"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []signing.ID
	for _, e := range entries {
		name, _ := strings.CutSuffix(e.Name(), approvalSuffix)
		if d, err := storage.ParseHex(name); err == nil && name != e.Name() { // not one that was being written
			out = append(out, signing.ID(d))
		}
	}
	return out, err
}

// RemoveApproval forgets an approval; fs.ErrNotExist where it is not kept here.
func (h *Home) RemoveApproval(id signing.ID) error {
	err := os.Remove(h.approvalFile(id))
	return errors.Join(err, storage.SyncDir(h.file("approvals")))
}

// ApprovalFileError reports a file that is no approval, or was changed. It
// matches trust.ErrMalformed or signing.ErrBadSignature.
type ApprovalFileError struct {
	Path string
	Err  error
}

func (e *ApprovalFileError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the bytes.
func (e *ApprovalFileError) Unwrap() error { return e.Err }

// Hint is what to do next.
func (e *ApprovalFileError) Hint() string {
	return "it was changed, or is no approval: fetch it again from its person, or move it away"
}

// ReadApproval reads the file of an approval and verifies it by the key that it
// names. Bytes that are none give *ApprovalFileError.
func ReadApproval(path string) (trust.Approved, error) {
	b, err := ReadFile(path, signing.MaxAttestation)
	if err != nil {
		return trust.Approved{}, err
	}
	att, err := signing.ParseAttestation(b)
	if err != nil {
		return trust.Approved{}, &ApprovalFileError{path, fmt.Errorf("%w: %w", trust.ErrMalformed, err)}
	}
	a, err := trust.OpenApproval(att)
	if err != nil {
		return trust.Approved{}, &ApprovalFileError{path, err}
	}
	return a, nil
}

// Evidence returns what policies are held against here: the approvals, who
// receives them, whose revocations are heeded, and what scanners said.
func (h *Home) Evidence() (trust.Evidence, error) {
	e := trust.Evidence{Scans: h.Scans}
	err := h.know(&e)
	return e, err
}

// know puts into evidence the approvals that are here, who receives them, and whose
// revocations are heeded.
func (h *Home) know(e *trust.Evidence) error {
	e.Receiver, e.Known = trust.Lineage{}, nil
	own, err := h.Identity()
	switch {
	case err == nil:
		e.Receiver, e.Known = own.Lineage(), []*trust.History{own}
	case !errors.Is(err, ErrNoSpace):
		return err
	}
	all, err := h.AllTrusted()
	if err != nil {
		return err
	}
	for _, t := range all {
		e.Known = append(e.Known, t.History)
	}
	e.Approvals, err = h.Approvals()
	return err
}

// OwnApprovers returns the persons whom the home's own identity lists as approvers,
// none where it holds no Space.
func (h *Home) OwnApprovers() ([]trust.Person, error) {
	own, err := h.Identity()
	if errors.Is(err, ErrNoSpace) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []trust.Person
	for _, l := range own.Current().Leaves {
		if slices.Contains(l.Roles, trust.Approver) {
			out = append(out, trust.Person{Name: l.Person, Key: l.Key()})
		}
	}
	return out, nil
}

// Approvers returns the persons that the policies of this home and its own identity
// name, by their keys.
func (h *Home) Approvers() (map[storage.Digest]string, error) {
	all, err := h.AllTrusted()
	if err != nil {
		return nil, err
	}
	persons, err := h.OwnApprovers()
	for _, t := range all {
		for _, rule := range t.Policy.Approvals {
			persons = append(persons, rule.Persons...)
		}
	}
	out := map[storage.Digest]string{}
	for _, p := range persons {
		out[p.Key] = p.Name
	}
	return out, err
}

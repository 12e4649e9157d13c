package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"airlock/storage"
	"airlock/trust"
)

// Trusted is a Space that this one trusts: who it is, and for what.
type Trusted struct {
	History *trust.History
	Policy  *trust.Policy
}

func (h *Home) trustFile(s trust.Space, suffix string) string {
	return h.file("trust", s.Organisation+"."+s.Name+suffix)
}

// AddTrust writes the identity and the policy of a Space. One that is trusted
// already gives fs.ErrExist.
func (h *Home) AddTrust(history *trust.History, p *trust.Policy) error {
	space := history.Space()
	if _, err := trust.NewView(history, p); err != nil {
		return err // the policy is about another lineage
	}
	if p.Space != space.String() {
		return fmt.Errorf("the policy is about %s, the identity is of %s", p.Space, space)
	}
	if _, err := os.Stat(h.trustFile(space, ".yaml")); err == nil {
		return fmt.Errorf("%s is trusted already: %s: %w", space, h.trustFile(space, ".yaml"), fs.ErrExist)
	}
	policy, err := p.Format()
	if err != nil {
		return err
	}
	// The policy last: without it the identity confers nothing.
	if err := storage.ReplaceFile(h.trustFile(space, ".id"), trust.FormatFile(history), 0o600); err != nil {
		return err
	}
	return storage.CreateFile(h.trustFile(space, ".yaml"), policy, 0o600)
}

// Learn keeps a longer identity of a trusted Space, or of the home's own, which
// another home of the same Space may have changed. One that does not continue
// what is known gives *trust.DeniedError: the Space is forked.
func (h *Home) Learn(history *trust.History) error {
	have, file, mode, err := h.known(history.Space())
	if err != nil {
		return err
	}
	if have.Lineage() != history.Lineage() || len(have.Versions()) >= len(history.Versions()) {
		return nil
	}
	for i, v := range have.Versions() {
		if other := history.Versions()[i].Identity; other.Digest() != v.Identity.Digest() {
			return &trust.DeniedError{Reason: trust.Untrusted, Rule: "lineage", File: file, Thing: history.Space().String(),
				Why: fmt.Sprintf("identity version %d is %s here and %s elsewhere: the Space is forked", i+1, v.Identity.Digest(), other.Digest())}
		}
	}
	return storage.ReplaceFile(file, trust.FormatFile(history), mode)
}

// known returns the identity of the own Space or of a trusted one, and its file.
func (h *Home) known(s trust.Space) (history *trust.History, file string, mode fs.FileMode, err error) {
	own, err := h.Identity()
	if err == nil && own.Space() == s {
		return own, h.file("space.id"), identityMode, nil
	}
	if err != nil && !errors.Is(err, ErrNoSpace) {
		return nil, "", 0, err
	}
	t, err := h.Trusted(s)
	return t.History, h.trustFile(s, ".id"), 0o600, err
}

// Trusted returns a trusted Space; fs.ErrNotExist where it is not trusted.
func (h *Home) Trusted(s trust.Space) (Trusted, error) {
	policy, err := h.policy(s)
	if err != nil {
		return Trusted{}, err
	}
	id, err := ReadFile(h.trustFile(s, ".id"), trust.MaxFile)
	if err != nil {
		return Trusted{}, err
	}
	history, err := trust.ParseFile(id)
	if err != nil {
		return Trusted{}, fmt.Errorf("%s: %w", h.trustFile(s, ".id"), err)
	}
	return Trusted{history, policy}, nil
}

// policy returns the policy about a Space; fs.ErrNotExist where it is not trusted.
func (h *Home) policy(s trust.Space) (*trust.Policy, error) {
	file := h.trustFile(s, ".yaml")
	raw, err := ReadFile(file, trust.MaxPolicy)
	if err != nil {
		return nil, fmt.Errorf("%s is not trusted: %w", s, err)
	}
	policy, err := trust.ParsePolicy(file, raw)
	if err == nil && policy.Space != s.String() {
		err = fmt.Errorf("%s: is about %s", file, policy.Space)
	}
	return policy, err
}

// AllTrusted returns every trusted Space, in order of their names.
func (h *Home) AllTrusted() ([]Trusted, error) {
	spaces, err := h.TrustedSpaces()
	if err != nil {
		return nil, err
	}
	var out []Trusted
	for _, space := range spaces {
		t, err := h.Trusted(space)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// TrustedSpaces returns the names of all trusted Spaces, in order.
func (h *Home) TrustedSpaces() ([]trust.Space, error) {
	entries, err := os.ReadDir(h.file("trust"))
	if err != nil {
		return nil, err
	}
	var out []trust.Space
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".yaml")
		if !ok {
			continue
		}
		space, err := spaceOf(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.file("trust", e.Name()), err)
		}
		out = append(out, space)
	}
	return out, nil
}

// WidenTrust writes rules into the policy about a Space, and returns the file; with
// dryRun it writes nothing. fs.ErrNotExist where the Space is not trusted.
func (h *Home) WidenTrust(s trust.Space, rules []trust.Allow, dryRun bool) ([]byte, error) {
	file := h.trustFile(s, ".yaml")
	before, err := ReadFile(file, trust.MaxPolicy)
	if err != nil {
		return nil, fmt.Errorf("%s is not trusted: %w", s, err)
	}
	after, err := trust.Widen(file, before, rules)
	if err != nil || dryRun {
		return after, err
	}
	return after, storage.ReplaceFile(file, after, 0o600)
}

// spaceOf reads the Space that a file or folder is named after, "acme.dev-qa".
func spaceOf(name string) (trust.Space, error) {
	return trust.ParseSpace(strings.Replace(name, ".", "/", 1))
}

// RemoveTrust ends the trust in a Space. What was taken stays where it is.
func (h *Home) RemoveTrust(s trust.Space) error {
	if err := os.Remove(h.trustFile(s, ".yaml")); err != nil {
		return fmt.Errorf("%s is not trusted: %w", s, err)
	}
	err := os.Remove(h.trustFile(s, ".id"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// View returns what this home knows and believes of a Space: everything of its
// own, and of others what their policy says, with the evidence that a policy
// which asks for approvals is held against. fs.ErrNotExist where the Space is
// neither.
func (h *Home) View(s trust.Space) (*trust.View, error) {
	own, err := h.Identity()
	if err != nil && !errors.Is(err, ErrNoSpace) {
		return nil, err
	}
	about := Trusted{History: own}
	if err != nil || own.Space() != s {
		if about, err = h.Trusted(s); err != nil {
			return nil, err
		}
	}
	v, err := trust.NewView(about.History, about.Policy)
	if err != nil {
		return nil, err
	}
	return v, h.Judge(v)
}

// Judge gives a view what scanners said here, the trust lists that are heeded, and
// the approvals that are known by now, if its policy or a demand asks for any.
func (h *Home) Judge(v *trust.View) error {
	evidence := v.Evidence()
	evidence.Scans = h.Scans
	var err, unread error
	evidence.Lists, unread = h.Lists()
	if p := v.Policy(); evidence.Demand != nil || p != nil && len(p.Approvals) > 0 {
		err = h.know(&evidence)
	} else {
		evidence.Receiver, err = h.Receiver()
	}
	v.Judge(evidence)
	return errors.Join(unread, err)
}

// Receiver returns the lineage of the home's own Space, zero where it holds none.
func (h *Home) Receiver() (trust.Lineage, error) {
	own, err := h.Identity()
	if errors.Is(err, ErrNoSpace) {
		return trust.Lineage{}, nil
	}
	if err != nil {
		return trust.Lineage{}, err
	}
	return own.Lineage(), nil
}

// PolicyFile is where the policy about a Space lies.
func (h *Home) PolicyFile(s trust.Space) string { return h.trustFile(s, ".yaml") }

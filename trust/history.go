package trust

import (
	"fmt"
	"slices"

	"airlock/signing"
)

// Version is an identity document with the statements that put it in force.
type Version struct {
	Identity   *Identity
	Statements []signing.Attestation
}

// History is a Space's identity from version 1 on, each version signed as
// rule 8.3 asks. It never shrinks. A History is made by Begin or ParseFile.
//
// Of the statements about a version it keeps only those that count: by the
// root of the version before, then by its own where that is another.
type History struct {
	versions []Version
}

// Begin starts a history with version 1, signed by its own root.
func Begin(v Version) (*History, error) {
	if v.Identity.Version != 1 {
		return nil, fmt.Errorf("identity of %s: begins with version %d, not 1", v.Identity.Space, v.Identity.Version)
	}
	a, err := statementBy(v.Identity, Lineage{}, v.Identity, v.Statements)
	if err != nil {
		return nil, err
	}
	return &History{versions: []Version{{v.Identity, []signing.Attestation{a}}}}, nil
}

// Clone returns a history that grows on its own.
func (h *History) Clone() *History { return &History{versions: slices.Clip(h.versions)} }

// Lineage is the digest of version 1.
func (h *History) Lineage() Lineage { return Lineage(h.versions[0].Identity.Digest()) }

// Space is whose identity this is.
func (h *History) Space() Space {
	s, _ := ParseSpace(h.versions[0].Identity.Space) // checked when parsed
	return s
}

// Current is the newest version.
func (h *History) Current() *Identity { return h.versions[len(h.versions)-1].Identity }

// Versions returns all versions, oldest first.
func (h *History) Versions() []Version { return h.versions }

// Version returns version n, nil where it is not known.
func (h *History) Version(n int) *Identity {
	if n < 1 || n > len(h.versions) {
		return nil
	}
	return h.versions[n-1].Identity
}

// Extend adds the next version.
func (h *History) Extend(v Version) error {
	now := h.Current()
	if err := checkSuccessor(now, v.Identity); err != nil {
		return err
	}
	// Rule 8.3: version N+1 is signed by root N and root N+1.
	before, err := statementBy(v.Identity, h.Lineage(), now, v.Statements)
	if err != nil {
		return err
	}
	after, err := statementBy(v.Identity, h.Lineage(), v.Identity, v.Statements)
	if err != nil {
		return err
	}
	kept := Version{v.Identity, []signing.Attestation{before}}
	if after.ID() != before.ID() {
		kept.Statements = append(kept.Statements, after)
	}
	h.versions = append(h.versions[:len(h.versions):len(h.versions)], kept)
	return nil
}

// checkSuccessor checks what version N+1 says against version N.
func checkSuccessor(n, next *Identity) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("identity of %s, version %d: %s", next.Space, next.Version, fmt.Sprintf(format, args...))
	}
	if next.Version != n.Version+1 {
		return fail("follows version %d", n.Version)
	}
	if next.Space != n.Space {
		return fail("follows one of %s", n.Space)
	}
	if next.Previous == nil || *next.Previous != n.Digest() {
		return fail("previous is not %s", n.Digest())
	}
	// A key that was revoked stays so; where its entries end may be corrected.
	for _, r := range n.Revocations {
		if !slices.ContainsFunc(next.Revocations, func(s Revocation) bool { return s.Key == r.Key }) {
			return fail("no longer revokes key %s", r.Key)
		}
	}
	if next.RootKey() == n.RootKey() {
		// The commitment stands until it is used, or a stolen root could replace it.
		if next.Next != n.Next {
			return fail("changes the commitment to the next root without using it")
		}
		return nil
	}
	// Rule 8.2: a new root must match the commitment.
	if next.RootKey() != n.Next {
		return fail("root %s is not the one version %d committed to, %s", next.RootKey(), n.Version, n.Next)
	}
	return nil
}

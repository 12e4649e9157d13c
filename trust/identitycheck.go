package trust

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"filippo.io/age"

	"airlock/signing"
	"airlock/storage"
)

func (id *Identity) check() error {
	if id.APIVersion != apiVersion || id.Kind != identityKind {
		return fmt.Errorf("apiVersion %.60q and kind %.60q, want %q and %q", id.APIVersion, id.Kind, apiVersion, identityKind)
	}
	if space, err := ParseSpace(id.Space); err != nil || space.URI() != id.Space {
		return fmt.Errorf("space %.150q: want space://<organisation>/<space>", id.Space)
	}
	if err := checkIssuer(id.Issuer); err != nil {
		return err
	}
	if id.Version < 1 || (id.Version == 1) != (id.Previous == nil) {
		return errors.New("version 1 names no previous version, and every later one does")
	}
	if err := checkRecipient(id.Encryption); err != nil {
		return err
	}
	var err error
	if id.root, err = signing.ParseCertificate(id.Root); err != nil {
		return err
	}
	if err := signing.CheckRoot(id.root, id.Space, id.Issuer); err != nil {
		return err
	}
	// Rule 8.2: the commitment is to another key, or a rotation would change nothing.
	if id.Next.IsZero() || id.Next == id.RootKey() {
		return errors.New("next: want the thumbprint of another key than the root's")
	}
	if err := id.checkLeaves(); err != nil {
		return err
	}
	return id.checkRevocations()
}

func (id *Identity) checkLeaves() error {
	if len(id.Leaves) > maxLeaves {
		return fmt.Errorf("%d leaves, at most %d are allowed", len(id.Leaves), maxLeaves)
	}
	seen := map[storage.Digest]bool{id.RootKey(): true, id.Next: true}
	for i := range id.Leaves {
		leaf := &id.Leaves[i]
		var err error
		if leaf.cert, err = signing.ParseCertificate(leaf.Certificate); err != nil {
			return fmt.Errorf("leaves[%d]: %w", i, err)
		}
		if err := checkRoles(leaf.Roles); err != nil {
			return fmt.Errorf("leaves[%d].roles: %w", i, err)
		}
		if err := signing.CheckLeaf(leaf.cert, id.root, id.Space, id.Issuer, UseOf(leaf.Roles)); err != nil {
			return fmt.Errorf("leaves[%d]: %w", i, err)
		}
		// One key under two names would count as two people (go-tuf GHSA-3633).
		key := leaf.Key()
		if seen[key] {
			return fmt.Errorf("leaves[%d]: key %s is used twice", i, key)
		}
		seen[key] = true
		if leaf.Person == "" || signing.CheckText(leaf.Person, 200) != nil {
			return fmt.Errorf("leaves[%d].person: want 1 to 200 printable bytes", i)
		}
	}
	return nil
}

func checkRoles(roles []Role) error {
	if len(roles) == 0 || !slices.IsSorted(roles) || len(slices.Compact(slices.Clone(roles))) != len(roles) {
		return errors.New("want a sorted list, each role once")
	}
	for _, r := range roles {
		if r != Publisher && r != Approver && r != Operator && r != TLS {
			return fmt.Errorf("%.40q is not one of publisher, approver, operator, tls", r)
		}
	}
	// A key that lies plain on machines shall not sign what people answer for.
	if slices.Contains(roles, TLS) && len(roles) > 1 {
		return errors.New("tls stands alone: the key signs no statement")
	}
	return nil
}

func (id *Identity) checkRevocations() error {
	if len(id.Revocations) > maxRevocations {
		return fmt.Errorf("%d revocations, at most %d are allowed", len(id.Revocations), maxRevocations)
	}
	seen := map[storage.Digest]bool{}
	for i, r := range id.Revocations {
		if r.Key.IsZero() || seen[r.Key] || signing.CheckText(r.Reason, 500) != nil || len(r.Since) > maxRevocations {
			return fmt.Errorf("revocations[%d]: want a key, once, a printable reason of at most 500 bytes and at most %d feeds", i, maxRevocations)
		}
		seen[r.Key] = true
		if _, listed := id.Leaf(r.Key); listed {
			return fmt.Errorf("revocations[%d]: key %s is still listed as a leaf", i, r.Key)
		}
		if err := id.checkSince(r.Since); err != nil {
			return fmt.Errorf("revocations[%d].since%w", i, err)
		}
	}
	return nil
}

// checkSince checks that each place is in a feed of this Space and named once.
func (id *Identity) checkSince(since []RevokedFrom) error {
	type place struct {
		feed  string
		epoch uint64
	}
	seen := map[place]bool{}
	for i, s := range since {
		name, ok := strings.CutPrefix(spaceScheme+s.Feed, id.Space+"/")
		if !ok || CheckLabel(name) != nil || s.Epoch < 1 || s.Size < 0 {
			return fmt.Errorf("[%d]: want a feed of this Space, <organisation>/<space>/<feed>, epoch from 1 and size from 0", i)
		}
		if seen[place{s.Feed, s.Epoch}] {
			return fmt.Errorf("[%d]: feed %s, epoch %d is named twice", i, s.Feed, s.Epoch)
		}
		seen[place{s.Feed, s.Epoch}] = true
	}
	return nil
}

// checkIssuer wants a URL in its one spelling, since tools compare text.
func checkIssuer(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.String() != s || u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.ContainsAny(s, "?#") || strings.ToLower(u.Host) != u.Host || signing.CheckText(s, 200) != nil {
		return fmt.Errorf("issuer %.80q: want an https URL of at most 200 bytes, host and path alone", s)
	}
	return nil
}

// checkRecipient wants a native age recipient or none.
func checkRecipient(s string) error {
	if s == "" {
		return nil
	}
	_, err := ParseRecipient(s)
	return err
}

// ParseRecipient reads a native age recipient, which an identity names as the
// Space's encryption key. The recipient of a plugin, "age1<name>1…", would run a
// program (age GHSA-32gq-x56h-299c) and is refused.
func ParseRecipient(s string) (age.Recipient, error) {
	var r interface {
		age.Recipient
		fmt.Stringer
	}
	var err error
	if strings.HasPrefix(s, "age1pq1") {
		r, err = age.ParseHybridRecipient(s)
	} else {
		r, err = age.ParseX25519Recipient(s)
	}
	if err != nil || r.String() != s {
		return nil, fmt.Errorf("encryption %.80q: want a native age recipient", s)
	}
	return r, nil
}

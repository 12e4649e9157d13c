package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"airlock/signing"
	"airlock/storage"
)

func (p *Policy) check() error {
	if p.APIVersion != apiVersion || p.Kind != policyKind {
		return fmt.Errorf("apiVersion %.60q and kind %.60q, want %q and %q", p.APIVersion, p.Kind, apiVersion, policyKind)
	}
	if _, err := ParseSpace(p.Space); err != nil {
		return err
	}
	if storage.Digest(p.Lineage).IsZero() {
		return errors.New("lineage is missing: a name alone is no evidence")
	}
	if p.Scan != "" && p.Scan != ScanRequired {
		return fmt.Errorf("scan %.40q: want %s, or leave it out", p.Scan, ScanRequired)
	}
	if p.TrustLists != "" && p.TrustLists != ListsNarrow {
		return fmt.Errorf("trustLists %.40q: want %s, or leave it out", p.TrustLists, ListsNarrow)
	}
	for i, a := range p.Allow {
		if err := a.check(); err != nil {
			return fmt.Errorf("allow[%d]: %w", i, err)
		}
	}
	if p.TrustLists != "" && !slices.ContainsFunc(p.Allow, func(a Allow) bool { return matchAny(a.Kinds, ListKind) && slices.Contains(a.Rights, MayPublish) }) {
		return fmt.Errorf("trustLists %s, and no rule of allow lets the Space publish the kind %s", p.TrustLists, ListKind)
	}
	for i, a := range p.Approvals {
		if err := a.check(); err != nil {
			return fmt.Errorf("approvals[%d]: %w", i, err)
		}
	}
	return nil
}

func (a Allow) check() error {
	if len(a.Feeds) == 0 || len(a.Kinds) == 0 {
		return errors.New(`feeds and kinds are missing; "*" stands for all`)
	}
	if a.Names != nil && len(a.Names) == 0 || a.Versions != nil && len(a.Versions) == 0 {
		return errors.New("names and versions: leave the list out for all, or name some")
	}
	if err := checkPatterns(slices.Concat(a.Feeds, a.Kinds, a.Names)); err != nil {
		return err
	}
	if len(a.Rights) == 0 {
		return errors.New("rights are missing: publish, withdraw or both")
	}
	for _, r := range a.Rights {
		if r != MayPublish && r != MayWithdraw {
			return fmt.Errorf("right %.40q: want publish or withdraw", r)
		}
	}
	return nil
}

func checkPatterns(patterns []string) error {
	for _, pattern := range patterns {
		if err := CheckPattern(pattern); err != nil {
			return err
		}
	}
	return nil
}

// CheckPattern refuses what could never match: feeds, kinds and names are written
// in these characters.
func CheckPattern(pattern string) error {
	if pattern == "" || strings.Trim(strings.TrimSuffix(pattern, "*"), "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return fmt.Errorf("pattern %.80q: want a-z, 0-9, \".\", \"_\" and \"-\", and \"*\" at the end only", pattern)
	}
	return nil
}

// maxPersons bounds the lines of an approval rule.
const maxPersons = 256

func (a ApprovalRule) check() error {
	if len(a.Kinds) == 0 || a.Keys < 1 || len(a.Persons) > maxPersons {
		return fmt.Errorf("want kinds, keys from 1 and at most %d persons", maxPersons)
	}
	// One key under two names would be asked once and counted twice.
	names, keys := map[string]bool{}, map[storage.Digest]bool{}
	for _, p := range a.Persons {
		if strings.TrimSpace(p.Name) == "" || signing.CheckText(p.Name, 200) != nil || p.Key.IsZero() || keys[p.Key] {
			return fmt.Errorf("person %.80q: want a printable name of at most 200 bytes and a key, each key once", p.Name)
		}
		names[personID(p.Name)], keys[p.Key] = true, true
	}
	if len(names) < a.Keys {
		return fmt.Errorf("asks for %d persons and names %d; a person with several keys is one", a.Keys, len(names))
	}
	return checkPatterns(a.Kinds)
}

// maxMembers bounds a mapping: to find duplicates takes the square of its size.
const maxMembers = 32

// checkPlain refuses what YAML has beyond plain values. Aliases and merge keys
// can make a small file large and a rule come from elsewhere in it; null, which
// YAML reads out of an empty place, would stand for "no limit".
func checkPlain(b []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return errors.New("is empty")
	} else if err != nil {
		return err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return checkNode(&doc)
}

func checkNode(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge":
		return fmt.Errorf("line %d: anchors, aliases and merge keys are not allowed", n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("line %d: tags such as %.40s are not allowed", n.Line, n.Tag)
	case n.Tag == "!!null":
		return fmt.Errorf("line %d: has no value; leave the member out instead", n.Line)
	case n.Kind == yaml.MappingNode && len(n.Content)/2 > maxMembers:
		return fmt.Errorf("line %d: %d members, at most %d are allowed", n.Line, len(n.Content)/2, maxMembers)
	}
	for _, child := range n.Content {
		if err := checkNode(child); err != nil {
			return err
		}
	}
	return nil
}

// shorten keeps the first few of what the decoder finds wrong.
func shorten(err error) error {
	if all, ok := errors.AsType[*yaml.TypeError](err); ok && len(all.Errors) > 5 {
		return fmt.Errorf("%w and %d more", &yaml.TypeError{Errors: all.Errors[:5]}, len(all.Errors)-5)
	}
	return err
}

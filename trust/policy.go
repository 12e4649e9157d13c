package trust

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"airlock/storage"
)

// MaxPolicy bounds a policy file, in bytes.
const MaxPolicy = 256 << 10

// Policy says what this Space takes from one other Space: one YAML file for
// each, which nobody but the receiver writes; testdata/policy.yaml is one.
// Nothing that is not allowed here is applied; what is refused is shown with
// the line that was missing.
//
// The file is plain YAML: one document of lists, mappings and scalars, each
// with a value. A member is left out or says something: an empty list would
// read as "nothing" to people and is refused.
type Policy struct {
	APIVersion string `yaml:"apiVersion"` // "airlock.example/v1"
	Kind       string `yaml:"kind"`       // "TrustPolicy"
	// Space is a name for people. The Lineage decides.
	Space   string  `yaml:"space"`
	Lineage Lineage `yaml:"lineage"`
	// Until is the last day on which anything new is taken, in UTC.
	Until *Date `yaml:"until,omitempty"`
	// MaxAge is how old the source's last sign of life may be, Evidence.Alive:
	// past it nothing that is published is taken.
	MaxAge Duration `yaml:"maxAge,omitempty"`
	// Scan is ScanRequired where nothing that is published is taken before a
	// scanner here found it clean, and empty else.
	Scan string `yaml:"scan,omitempty"`
	// TrustLists is ListsNarrow where the trust lists that the Space publishes keep
	// out what they have no edge for, whoever it comes from, and propose what
	// policies here do not let in. Empty else: they change nothing.
	TrustLists string `yaml:"trustLists,omitempty"`
	// Allow lists what may come; a thing passes if one of them covers it.
	Allow []Allow `yaml:"allow"`
	// Approvals lists what persons must have approved before it is applied. A
	// thing must pass every rule that covers its kind.
	Approvals []ApprovalRule `yaml:"approvals,omitempty"`

	file string
}

// Allow covers things by feed, kind, name and version.
type Allow struct {
	Feeds    []string `yaml:"feeds,flow"`              // the feed's own name, or "*"
	Kinds    []string `yaml:"kinds,flow"`              // or "*"
	Names    []string `yaml:"names,flow,omitempty"`    // or "prefix*"; none stands for all
	Versions []Mask   `yaml:"versions,flow,omitempty"` // none stands for all
	Rights   []Right  `yaml:"rights,flow"`
}

// Right is what a source may do. Withdrawing is a right of its own: it can
// take something away.
type Right string

// The rights.
const (
	MayPublish  Right = "publish"
	MayWithdraw Right = "withdraw"
)

// ApprovalRule asks for approvals by that many keys of as many persons. A person
// with several keys has a line in Persons for each, and counts once.
type ApprovalRule struct {
	Kinds   []string `yaml:"kinds,flow"`
	Keys    int      `yaml:"keys"`
	Persons []Person `yaml:"persons"`
}

// Person is an approver as the receiver knows them. A common name in a
// certificate is no evidence.
type Person struct {
	Name string         `yaml:"name"`
	Key  storage.Digest `yaml:"key"` // SHA-256 of the SubjectPublicKeyInfo
}

const policyKind = "TrustPolicy"

// NewPolicy returns a policy without any right.
func NewPolicy(space Space, lineage Lineage) *Policy {
	return &Policy{APIVersion: apiVersion, Kind: policyKind, Space: space.String(), Lineage: lineage}
}

// ParsePolicy reads a policy; file is its name for messages.
func ParsePolicy(file string, b []byte) (*Policy, error) {
	if len(b) > MaxPolicy {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are allowed", file, len(b), MaxPolicy)
	}
	if err := checkPlain(b); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	p := &Policy{file: file}
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: %w", file, shorten(err))
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// Format checks p and returns its YAML.
func (p *Policy) Format() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(p), enc.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// File is where the policy was read from.
func (p *Policy) File() string { return p.file }

// Rule returns the first rule of Allow that covers the item, -1 where none does.
func (p *Policy) Rule(item Item) int {
	return slices.IndexFunc(p.Allow, func(a Allow) bool { return a.covers(item) })
}

func (a Allow) covers(i Item) bool {
	return matchAny(a.Feeds, i.Feed) && matchAny(a.Kinds, i.Kind) &&
		(len(a.Names) == 0 || matchAny(a.Names, i.Name)) &&
		(len(a.Versions) == 0 || slices.ContainsFunc(a.Versions, func(m Mask) bool { return m.Match(i.Version) })) &&
		slices.Contains(a.Rights, i.Right)
}

// matchAny compares exactly, or by the prefix before a final "*".
func matchAny(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "*")
		return p == s || wild && strings.HasPrefix(s, prefix)
	})
}

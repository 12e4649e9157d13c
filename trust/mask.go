package trust

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Mask selects versions: "*" for all, a version for just that one, or a range
// as in "1.x", "~1.4", ">=2, <3" (the notation of Masterminds/semver). A range
// selects only versions that read as semantic ones, and pre-releases only
// where it names one itself.
type Mask struct {
	text       string
	constraint *semver.Constraints
}

// ParseMask reads a mask of at most 200 bytes.
func ParseMask(s string) (Mask, error) {
	if s == "" || len(s) > 200 {
		return Mask{}, fmt.Errorf("version mask %.80q: want 1 to 200 bytes", s)
	}
	// A version is for just that one: as a constraint "1.4" would take 1.4.7
	// and "1.4.0" would take 1.4.0+other.
	if _, err := semver.NewVersion(strings.ReplaceAll(s, "_", "+")); err == nil {
		return Mask{text: s}, nil
	}
	c, err := semver.NewConstraint(s)
	if err != nil && strings.ContainsAny(s, "<>=~^ ,|") {
		return Mask{}, fmt.Errorf("version mask %q: want a version or a range such as 1.x, ~1.4 or >=2, <3", s)
	}
	return Mask{s, c}, nil
}

// String returns the mask as it was written.
func (m Mask) String() string { return m.text }

// Match reports whether the mask selects version, an OCI tag in which "_"
// stands for "+".
func (m Mask) Match(version string) bool {
	if m.text == "*" || strings.EqualFold(m.text, version) {
		return true
	}
	if m.constraint == nil {
		return false
	}
	v, err := semver.NewVersion(strings.ReplaceAll(version, "_", "+"))
	return err == nil && m.constraint.Check(v)
}

// MarshalText writes the mask as it was written.
func (m Mask) MarshalText() ([]byte, error) { return []byte(m.text), nil }

// UnmarshalText reads what ParseMask does.
func (m *Mask) UnmarshalText(b []byte) error {
	parsed, err := ParseMask(string(b))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

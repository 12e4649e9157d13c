package feed

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"airlock/signing"
	"airlock/trust"
)

// Bounds of a package's names, in bytes.
const (
	maxName    = 128
	maxTitle   = 256
	maxVersion = 128 // OCI distribution specification, "Pulling manifests"
)

// Ref names a package: its kind, name and version never change their meaning.
type Ref struct {
	Kind, Name, Version string
}

// String returns "<kind>/<name>@<version>".
func (r Ref) String() string { return r.Kind + "/" + r.Name + "@" + r.Version }

// Check reports which part of r breaks its rule.
func (r Ref) Check() error {
	if err := CheckName(r.Kind); err != nil {
		return fmt.Errorf("kind: %w", err)
	}
	if err := CheckName(r.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	return CheckVersion(r.Version)
}

// CheckName checks the form [a-z0-9]+([._-][a-z0-9]+)*, at most 128 bytes, and
// that Windows does not take it for a device.
func CheckName(s string) error {
	if s == "" || len(s) > maxName {
		return fmt.Errorf("%.140q: want 1 to %d characters", s, maxName)
	}
	separator := true // as if before the first character
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			separator = false
		case (c == '.' || c == '_' || c == '-') && !separator:
			separator = true
		default:
			return fmt.Errorf("%q: want a-z and 0-9 with single \".\", \"_\" or \"-\" between them", s)
		}
	}
	if separator {
		return fmt.Errorf("%q: ends with a separator", s)
	}
	if trust.IsDeviceName(s) {
		return fmt.Errorf("%q: is a device name on Windows", s)
	}
	return nil
}

// NameFromTitle makes a name from a title: lower case, every run of anything
// that is no ASCII letter or digit a single "-". A title that leaves nothing
// (or a name that CheckName refuses) needs an explicit name.
func NameFromTitle(title string) (string, error) {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(title) {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			gap = false
			continue
		}
		gap = true
	}
	name := b.String()
	if err := CheckName(name); err != nil {
		return "", fmt.Errorf("title %.200q gives no name: %w", title, err)
	}
	return name, nil
}

// CheckTitle checks a title: UTF-8, printable, 1 to 256 bytes. Titles are
// shown on terminals, so nothing that moves the cursor gets through.
func CheckTitle(s string) error {
	if s == "" {
		return errors.New("title: is empty")
	}
	if err := signing.CheckText(s, maxTitle); err != nil {
		return fmt.Errorf("title: %w", err)
	}
	return nil
}

// ParseVersion turns a version as people write it into its form in a feed: an
// OCI tag, with "_" for "+".
func ParseVersion(s string) (string, error) {
	if strings.Contains(s, "_") {
		return "", fmt.Errorf("version %.140q: \"_\" stands for \"+\" and cannot be used itself", s)
	}
	version := strings.ReplaceAll(s, "+", "_")
	return version, CheckVersion(version)
}

// CheckVersion checks the form of a version in a feed: an OCI tag
// ([a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}) with at most one "_".
func CheckVersion(s string) error {
	if s == "" || len(s) > maxVersion {
		return fmt.Errorf("version %.140q: want 1 to %d characters", s, maxVersion)
	}
	for i, c := range []byte(s) {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '-' && c != '_') {
			return fmt.Errorf("version %q: want letters and digits, then also \".\", \"-\" and one \"+\"", s)
		}
	}
	if strings.Count(s, "_") > 1 {
		return fmt.Errorf("version %q: \"_\" stands for \"+\", which a version has once", s)
	}
	return nil
}

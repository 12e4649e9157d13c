package trust

import (
	"fmt"
	"strings"
)

// Space names an isolated installation: "<organisation>/<space>", two DNS
// labels. It is never a machine or a URL, and never evidence: policy and state
// go by lineage.
type Space struct {
	Organisation, Name string
}

// ParseSpace reads "<organisation>/<space>", with or without "space://".
func ParseSpace(s string) (Space, error) {
	rest := strings.TrimPrefix(s, spaceScheme)
	org, name, ok := strings.Cut(rest, "/")
	if !ok {
		return Space{}, fmt.Errorf("space %.150q: want <organisation>/<space>", s)
	}
	for _, label := range []string{org, name} {
		if err := CheckLabel(label); err != nil {
			return Space{}, fmt.Errorf("space %.150q: %w", s, err)
		}
	}
	return Space{org, name}, nil
}

const spaceScheme = "space://"

// String returns "<organisation>/<space>".
func (s Space) String() string { return s.Organisation + "/" + s.Name }

// URI returns "space://<organisation>/<space>", as certificates carry it.
func (s Space) URI() string { return spaceScheme + s.String() }

// CheckLabel checks a DNS label (RFC 1123, section 2.1) in lower case: 1 to 63
// of a-z, 0-9 and "-", no "-" at either end. Device names of Windows are
// refused, since labels become file names.
func CheckLabel(s string) error {
	if len(s) == 0 || len(s) > 63 {
		return fmt.Errorf("label %.80q: want 1 to 63 characters", s)
	}
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || s[0] == '-' || s[len(s)-1] == '-' {
		return fmt.Errorf("label %q: want a-z, 0-9 and, not at the ends, \"-\"", s)
	}
	if IsDeviceName(s) {
		return fmt.Errorf("label %q: is a device name on Windows", s)
	}
	return nil
}

// IsDeviceName reports whether Windows takes a file of that name for a device,
// whatever its extension ("Naming Files, Paths, and Namespaces").
func IsDeviceName(s string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(s), ".")
	switch stem = strings.TrimRight(stem, " "); stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	if len(stem) < 4 || (stem[:3] != "com" && stem[:3] != "lpt") {
		return false
	}
	switch stem[3:] {
	case "1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "¹", "²", "³":
		return true
	}
	return false
}

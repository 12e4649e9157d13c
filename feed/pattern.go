package feed

import (
	"fmt"
	"path"
	"strings"
)

// Pattern selects feeds by name: "<organisation>/<space>/<feed>", in each part of
// which "*" stands for any characters of a label, as in "acme/*/shared".
type Pattern string

// maxPattern bounds a pattern, in bytes: three labels with a "*" here and there.
const maxPattern = 200

// ParsePattern reads a pattern.
func ParsePattern(s string) (Pattern, error) {
	parts := strings.Split(s, "/")
	if len(s) > maxPattern || len(parts) != 3 {
		return "", fmt.Errorf("pattern %.200q: want <organisation>/<space>/<feed>, with * for any characters of a part", s)
	}
	for _, part := range parts {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-*") != "" {
			return "", fmt.Errorf("pattern %q: part %q has other characters than a-z, 0-9, \"-\" and \"*\", or none", s, part)
		}
	}
	return Pattern(s), nil
}

// Match reports whether the pattern selects a feed.
func (p Pattern) Match(id ID) bool {
	ok, err := path.Match(string(p), id.String())
	return ok && err == nil
}

// Prefix returns what the names of all feeds begin with that the pattern selects.
func (p Pattern) Prefix() string {
	before, _, _ := strings.Cut(string(p), "*")
	return before
}

// UnmarshalText reads what ParsePattern does.
func (p *Pattern) UnmarshalText(b []byte) error {
	parsed, err := ParsePattern(string(b))
	if err == nil {
		*p = parsed
	}
	return err
}

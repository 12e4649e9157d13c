package signing

import (
	"fmt"
	"time"
)

// FormatTime writes a time in the one spelling that statements and files have:
// RFC 3339 in UTC, whole seconds, 20 bytes. What is less than a second is cut
// off. Only years 0 to 9999 have a spelling that ParseTime reads.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ParseTime reads what FormatTime writes, in UTC, and nothing else: no other
// zone, no fraction, no other length.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || FormatTime(t) != s {
		return time.Time{}, fmt.Errorf("%.40q is not a time like 2026-02-03T04:05:06Z", s)
	}
	return t, nil
}

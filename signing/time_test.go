package signing_test

import (
	"strings"
	"testing"
	"time"

	"airlock/signing"
)

func TestFormatTime(t *testing.T) {
	at := time.Date(2026, 2, 3, 5, 5, 6, 999_999_999, time.FixedZone("", 3600))
	if got := signing.FormatTime(at); got != "2026-02-03T04:05:06Z" {
		t.Errorf("got %s", got)
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for _, s := range []string{"", "now", "2026-02-03", "2026-02-03T04:05:06", "2026-02-03t04:05:06z", "2026-02-03 04:05:06Z", "2026-02-03T04:05:06.0Z",
		"2026-02-03T04:05:06+00:00", "2026-02-03T05:05:06+01:00", "2026-02-30T04:05:06Z", "2026-02-03T04:05:60Z", "02026-02-03T04:05:06Z", strings.Repeat("2", 1<<20)} {
		got, err := signing.ParseTime(s)
		if err == nil || !got.IsZero() {
			t.Errorf("%.40q: %s, %v", s, got, err)
		} else if !strings.Contains(err.Error(), "like 2026-02-03T04:05:06Z") || len(err.Error()) > 200 {
			t.Errorf("%.40q: %v", s, err)
		}
	}
}

// FuzzTime: a time is read in one spelling alone, and comes back as it was.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-02-03T04:05:06Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-03T04:05:06+00:00", "2026-02-03T24:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := signing.ParseTime(s)
		if err != nil {
			return
		}
		if again := signing.FormatTime(at); again != s || at.Location() != time.UTC || at.Nanosecond() != 0 {
			t.Errorf("%q was read as %s, written as %q", s, at, again)
		}
	})
}

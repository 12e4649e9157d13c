package trust_test

import (
	"testing"
	"time"

	"airlock/trust"
)

func TestDate(t *testing.T) {
	d := must(trust.ParseDate("2028-02-29"))
	if end := time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC).Add(-1); d.End() != end || d.String() != "2028-02-29" {
		t.Errorf("%s ends at %s, want %s", d, d.End(), end)
	}
	if start := time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC); d.Start() != start {
		t.Errorf("%s starts at %s, want %s", d, d.Start(), start)
	}
	for _, bad := range []string{"", "2027-2-3", "2027-02-29", "2027-13-01", "27-01-01", "2027-01-01 ", "2027/01/01", "tomorrow"} {
		if d, err := trust.ParseDate(bad); err == nil {
			t.Errorf("%q is the day %s", bad, d)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"72h": 72 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0, "1h0m5s": time.Hour + 5*time.Second, "10m": 10 * time.Minute, "1.5s": 1500 * time.Millisecond} {
		var d trust.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want || d.String() != text {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, bad := range []string{"", "72", "-1h", "3d", "1e9h", "99999999999h"} {
		var d trust.Duration
		if err := d.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, time.Duration(d))
		}
	}
}

package agent

import (
	"testing"
	"time"
	_ "time/tzdata" // the same rules on every machine

	"pgregory.net/rapid"

	"airlock/feed/kind"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

var workDays = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}

func TestOpen(t *testing.T) {
	office := kind.Window{Closed: true, Days: workDays, From: 8 * 60, To: 18 * 60}
	night := kind.Window{From: 22 * 60, To: 4 * 60}
	saturdayNight := kind.Window{Days: []time.Weekday{time.Saturday}, From: 22 * 60, To: 4 * 60}
	never := kind.Window{Closed: true, From: 0, To: 24 * 60}
	for name, c := range map[string]struct {
		windows []kind.Window
		now     string // in Berlin
		open    bool
		until   string // "" for ever
	}{
		"no windows":                      {nil, "2026-11-23 10:00", true, ""},
		"closed by day":                   {[]kind.Window{office}, "2026-11-23 10:00", false, "2026-11-23 18:00"},
		"at its first moment":             {[]kind.Window{office}, "2026-11-23 08:00", false, "2026-11-23 18:00"},
		"at its end":                      {[]kind.Window{office}, "2026-11-23 18:00", true, "2026-11-24 08:00"},
		"on a Saturday":                   {[]kind.Window{office}, "2026-11-28 10:00", true, "2026-11-30 08:00"},
		"open by night, before midnight":  {[]kind.Window{night}, "2026-11-23 23:00", true, "2026-11-24 04:00"},
		"open by night, after midnight":   {[]kind.Window{night}, "2026-11-24 03:59", true, "2026-11-24 04:00"},
		"open by night, by day":           {[]kind.Window{night}, "2026-11-24 04:00", false, "2026-11-24 22:00"},
		"the night of a Saturday, Sunday": {[]kind.Window{saturdayNight}, "2026-11-29 03:00", true, "2026-11-29 04:00"},
		"the night of a Saturday, before": {[]kind.Window{saturdayNight}, "2026-11-28 03:00", false, "2026-11-28 22:00"},
		"closed beats open":               {[]kind.Window{night, never}, "2026-11-23 23:00", false, ""},
		"two that are open":               {[]kind.Window{night, {From: 12 * 60, To: 13 * 60}}, "2026-11-23 12:30", true, "2026-11-23 13:00"},
		"windows that touch":              {[]kind.Window{{From: 12 * 60, To: 13 * 60}, {From: 13 * 60, To: 14 * 60}}, "2026-11-23 12:30", true, "2026-11-23 14:00"},
		"never":                           {[]kind.Window{never}, "2026-11-23 12:30", false, ""},
		// On 2026-10-25 the clocks go back at 3, on 2026-03-29 forward at 2.
		"through the longer night":  {[]kind.Window{night}, "2026-10-24 23:00", true, "2026-10-25 04:00"},
		"through the shorter night": {[]kind.Window{night}, "2026-03-28 23:00", true, "2026-03-29 04:00"},
	} {
		t.Run(name, func(t *testing.T) {
			berlin := zone(t, "Europe/Berlin")
			now, err := time.ParseInLocation("2006-01-02 15:04", c.now, berlin)
			if err != nil {
				t.Fatal(err)
			}
			open, until := Open(c.windows, berlin, now.UTC())
			said := ""
			if !until.IsZero() {
				said = until.In(berlin).Format("2006-01-02 15:04")
			}
			if open != c.open || said != c.until {
				t.Errorf("open %v until %q, want %v until %q", open, said, c.open, c.until)
			}
		})
	}
}

// TestOpenHolds: nothing changes before the moment that is said, and then it does.
func TestOpenHolds(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	rapid.Check(t, func(t *rapid.T) {
		var windows []kind.Window
		for range rapid.IntRange(0, 3).Draw(t, "windows") {
			w := kind.Window{Closed: rapid.Bool().Draw(t, "closed"), From: rapid.IntRange(0, 1439).Draw(t, "from"), To: rapid.IntRange(0, 1440).Draw(t, "to")}
			if w.From == w.To {
				w.To++
			}
			if rapid.Bool().Draw(t, "some days") {
				w.Days = []time.Weekday{time.Weekday(rapid.IntRange(0, 6).Draw(t, "day"))}
			}
			windows = append(windows, w)
		}
		month := rapid.SampledFrom([]time.Month{time.March, time.October}).Draw(t, "month") // in both the clocks change
		now := time.Date(2026, month, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 240*60).Draw(t, "minutes")) * time.Minute)
		open, until := Open(windows, berlin, now)
		end := now.AddDate(0, 0, lookAhead)
		if !until.IsZero() {
			if again, _ := Open(windows, berlin, until); again == open {
				t.Fatalf("said to change at %s, and it does not", until)
			}
			end = until
		}
		for at := now; at.Before(end); at = at.Add(7 * time.Minute) {
			if isOpen(windows, berlin, at) != open {
				t.Fatalf("changes at %s, said %s", at, until)
			}
		}
	})
}

func TestAt(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	at := func(s string) time.Time {
		got, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for name, c := range map[string]struct{ now, last, next string }{
		"before":                {"2026-11-23 01:59", "2026-11-22 02:00", "2026-11-23 02:00"},
		"at it":                 {"2026-11-23 02:00", "2026-11-23 02:00", "2026-11-24 02:00"},
		"after":                 {"2026-11-23 12:00", "2026-11-23 02:00", "2026-11-24 02:00"},
		"the clocks skip it":    {"2026-03-29 12:00", "2026-03-29 03:00", "2026-03-30 02:00"},
		"the day before a skip": {"2026-03-28 12:00", "2026-03-28 02:00", "2026-03-29 03:00"},
	} {
		if got := LastAt(120, berlin, at(c.now).UTC()); !got.Equal(at(c.last)) {
			t.Errorf("%s: last %s, want %s", name, got, c.last)
		}
		if got := NextAt(120, berlin, at(c.now).UTC()); !got.Equal(at(c.next)) {
			t.Errorf("%s: next %s, want %s", name, got, c.next)
		}
	}
}

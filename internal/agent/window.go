package agent

import (
	"slices"
	"time"

	"airlock/feed/kind"
)

// lookAhead is how many days are looked through for the next change of windows:
// they repeat every week.
const lookAhead = 8

// Open reports whether windows let something be taken now, in a zone, and until
// when that holds: zero where it never changes. Outside of every window that is
// closed, and inside one of the others where there are any, it is open.
func Open(windows []kind.Window, zone *time.Location, now time.Time) (open bool, until time.Time) {
	open = isOpen(windows, zone, now)
	for _, edge := range edges(windows, zone, now) {
		if isOpen(windows, zone, edge) != open {
			return open, edge
		}
	}
	return open, time.Time{}
}

func isOpen(windows []kind.Window, zone *time.Location, now time.Time) bool {
	open, within := true, false
	for _, w := range windows {
		switch in := contains(w, now.In(zone)); {
		case w.Closed && in:
			return false
		case !w.Closed:
			open, within = false, within || in
		}
	}
	return open || within
}

// contains goes by the clock on the wall, so a window keeps its times when the
// clocks change.
func contains(w kind.Window, now time.Time) bool {
	at := now.Hour()*60 + now.Minute()
	if w.From < w.To {
		return on(w, now.Weekday()) && at >= w.From && at < w.To
	}
	yesterday := (now.Weekday() + 6) % 7
	return on(w, now.Weekday()) && at >= w.From || on(w, yesterday) && at < w.To
}

func on(w kind.Window, day time.Weekday) bool {
	return len(w.Days) == 0 || slices.Contains(w.Days, day)
}

// edges returns the moments after now at which a window may begin or end, in order:
// its times of day, and where the clocks change, that moment, and such a time the
// second time that it is shown.
func edges(windows []kind.Window, zone *time.Location, now time.Time) (out []time.Time) {
	if len(windows) == 0 {
		return nil
	}
	var shift time.Duration
	_, change := now.In(zone).ZoneBounds()
	if !change.IsZero() {
		_, before := now.In(zone).Zone()
		_, after := change.Zone()
		shift = time.Duration(before-after) * time.Second
		out = append(out, change)
	}
	for day := range lookAhead {
		for _, w := range windows {
			for _, at := range []int{w.From, w.To} {
				edge := wall(now.In(zone), day, at)
				for _, edge := range []time.Time{edge, edge.Add(shift), edge.Add(-shift)} {
					if edge.After(now) {
						out = append(out, edge)
					}
				}
			}
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// wall returns the moment at which the clock shows a time of day, some days from
// now; where the clocks skip it, that much later.
func wall(now time.Time, days, minutes int) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, minutes, 0, 0, now.Location())
}

// LastAt returns the last moment, not after now, at which the clock showed a time
// of day, and NextAt the first after now.
func LastAt(minutes int, zone *time.Location, now time.Time) time.Time {
	at := wall(now.In(zone), 0, minutes)
	if at.After(now) {
		at = wall(now.In(zone), -1, minutes)
	}
	return at
}

// NextAt is the first such moment after now, see LastAt.
func NextAt(minutes int, zone *time.Location, now time.Time) time.Time {
	at := wall(now.In(zone), 0, minutes)
	if !at.After(now) {
		at = wall(now.In(zone), 1, minutes)
	}
	return at
}

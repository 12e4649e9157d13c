package main

import (
	"fmt"
	"math"

	"airlock/internal/bench/peers"
)

// A side is one contender: its figure in each round, and what it cost.
type side struct {
	name   string
	values []float64
	cpu    []float64 // seconds in a round, of all its processes; empty where not measured
	peak   []float64 // highest resident memory of one of its processes, MiB
}

func (s *side) add(value, cpu, peakMiB float64) {
	s.values, s.cpu, s.peak = append(s.values, value), append(s.cpu, cpu), append(s.peak, peakMiB)
}

// addCost adds a round whose figure is its wall time, in seconds.
func (s *side) addCost(c peers.Cost) { s.add(c.WallS, c.CPUS, mib(c.PeakKiB)) }

// addBoth adds a round in which two sides ran one after the other.
func (s *side) addBoth(a, b side) {
	last := len(a.values) - 1
	s.add(a.values[last]+b.values[last], a.cpu[last]+b.cpu[last], max(a.peak[last], b.peak[last]))
}

// A target is what a figure has to reach: a ratio to the peer, or a bound.
type target struct {
	limit   float64
	atLeast bool
	ratio   bool
}

func atLeast(times float64) target { return target{times, true, true} }
func atMost(times float64) target  { return target{times, false, true} }
func below(limit float64) target   { return target{limit: limit} }
func over(limit float64) target    { return target{limit: limit, atLeast: true} }

func (t target) String(unit string) string {
	switch {
	case t.limit == 0:
		return "none"
	case t.ratio && t.atLeast:
		return fmt.Sprintf("at least %g times", t.limit)
	case t.ratio:
		return fmt.Sprintf("at most %g times", t.limit)
	case t.atLeast:
		return fmt.Sprintf("at least %g %s", t.limit, unit)
	}
	return fmt.Sprintf("under %g %s", t.limit, unit)
}

// A line is one comparison. Without a peer the target is a bound, or none.
type line struct {
	what, unit string
	peer       *side
	ours       side
	target     target
}

// ratio is ours to the peer's, of medians; NaN without a peer.
func (l line) ratio() float64 {
	if l.peer == nil {
		return math.NaN()
	}
	return median(l.ours.values) / median(l.peer.values)
}

// verdict says whether the target was reached. What was not measured was not.
func (l line) verdict() string {
	t, got := l.target, median(l.ours.values)
	if t.limit == 0 {
		return ""
	}
	if t.ratio {
		got = l.ratio()
	}
	if t.atLeast && got >= t.limit || !t.atLeast && t.ratio && got <= t.limit || !t.atLeast && !t.ratio && got < t.limit {
		return "yes"
	}
	return "missed"
}

// A row is a line of the table of figures to reach, with all that was
// measured for it.
type row struct {
	name  string // for -only
	title string
	lines []line
	notes []string
	err   error // why it is not complete
}

func (r *row) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

package kind

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"airlock/trust"
)

// Times, spans and rates of subscriptions are texts, as people write them.

var (
	timeRule = matching(`^([01][0-9]|2[0-3]):[0-5][0-9]$`, `a time of day such as "08:00"`)
	endRule  = matching(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`, `a time of day such as "18:00", up to "24:00"`)
	whenRule = matching(`^(now|approved|at ([01][0-9]|2[0-3]):[0-5][0-9])$`, `now, approved, or a time of day such as "at 02:00"`)
	spanRule = rule{want: "a time span such as 15s or 5m", shown: true, ok: func(s string) bool {
		_, err := time.ParseDuration(s)
		return err == nil
	}}
	rateRule = matching(`^[1-9][0-9]{0,11}(B|kB|MB|GB|KiB|MiB|GiB)/s$`, "bytes a second such as 2MiB/s or 500kB/s")
	zoneRule = rule{want: "a time zone such as Europe/Berlin or UTC", shown: true, ok: func(s string) bool {
		_, err := time.LoadLocation(s)
		return err == nil && s != ""
	}}
)

var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // as time.Weekday counts

// minutes reads a time of day that a rule has let through.
func minutes(s string) (int, error) {
	h, m, _ := strings.Cut(s, ":")
	hours, err := strconv.Atoi(h)
	if err != nil {
		return 0, err
	}
	rest, err := strconv.Atoi(m)
	return hours*60 + rest, err
}

// span reads a time span between two bounds, or gives what stands for none.
func (o object) span(name string, none, least, most time.Duration) time.Duration {
	text, ok := o.text(name, spanRule)
	if !ok {
		return none
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		o.r.at(o.n.get(name), join(o.path, name), fmt.Sprintf("a time span of %s to %s", trust.Duration(least), trust.Duration(most)), quote(text))
		return none
	}
	return d
}

// zone reads a time zone; none stands for this machine's.
func (o object) zone(name string) *time.Location {
	text, ok := o.text(name, zoneRule)
	if !ok {
		return time.Local
	}
	zone, err := time.LoadLocation(text)
	if err != nil {
		return time.Local
	}
	return zone
}

var units = map[string]int64{"B": 1, "kB": 1000, "MB": 1000_000, "GB": 1000_000_000, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// Bounds of a rate: a server ends a connection that takes less than 12.8 KiB a
// second.
const (
	leastRate = 16_000
	mostRate  = 1 << 40
)

// rate reads bytes a second; none stands for no limit.
func (o object) rate(name string) int64 {
	text, ok := o.text(name, rateRule)
	if !ok {
		return 0
	}
	digits := strings.TrimRight(text, "/sBkKMGi")
	n, err := strconv.ParseInt(digits, 10, 64)
	n *= units[strings.TrimSuffix(text[len(digits):], "/s")]
	if err != nil || n < leastRate || n > mostRate {
		o.r.at(o.n.get(name), join(o.path, name), "a rate of 16kB/s to 1024GiB/s", quote(text))
		return 0
	}
	return n
}

func (r *report) window(it item) (w Window) {
	o, ok := r.object(it.node, it.path, "closed", "days", "from", "to")
	if !ok {
		return w
	}
	w.Closed = o.flag("closed")
	for _, day := range o.some("days", word(days...)) {
		for i, name := range days {
			if name == day {
				w.Days = append(w.Days, time.Weekday(i))
			}
		}
	}
	from, okFrom := o.required("from", timeRule)
	to, okTo := o.required("to", endRule)
	if !okFrom || !okTo {
		return w
	}
	w.From, _ = minutes(from)
	if w.To, _ = minutes(to); w.To == w.From {
		r.at(it.get("to"), it.path+".to", `another time than from ("00:00" to "24:00" is the whole day)`, quote(to))
	}
	return w
}

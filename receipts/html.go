package receipts

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"airlock/signing"
)

//go:embed text/audit.html
var htmlText string

var htmlTemplate = template.Must(template.New("audit").Parse(htmlText))

// Bounds of the page: what a browser shows without effort.
const (
	maxRows  = 2000
	maxLanes = 30
)

// page is a report as its template sees it.
type page struct {
	*Report
	MadeText, Range string
	Rows            []htmlRow
	Left            int // receipts that are not shown
	First, Last     string
	Height          int
	Lanes           []lane
	Bars            []bar
}

type htmlRow struct {
	*Record
	Where, From, To string
}

// lane is a line of the time line: all that was done at one place.
type lane struct {
	Name string
	Y    int
}

type bar struct {
	X, Width     string
	Y            int
	Class, Title string
}

// HTML writes the report as one file that loads nothing. Texts that others chose
// are escaped for where they stand (html/template).
func (r *Report) HTML(w io.Writer) error {
	p := &page{Report: r, MadeText: signing.FormatTime(r.Made), Range: r.rangeText()}
	shown := r.Receipts
	if p.Left = max(0, len(shown)-maxRows); p.Left > 0 {
		shown = shown[p.Left:]
	}
	for i := range shown {
		rec := &shown[i]
		p.Rows = append(p.Rows, htmlRow{rec, strings.TrimSpace(rec.Environment + " " + strings.Join(rec.Targets, ", ")), OptionalTime(rec.NotBefore.Time), OptionalTime(rec.NotAfter.Time)})
	}
	p.draw()
	return htmlTemplate.Execute(w, p)
}

func (r *Report) rangeText() string {
	switch from, to := OptionalTime(r.Since), OptionalTime(r.Until); {
	case from != "" && to != "":
		return "from " + from + " to " + to
	case from != "":
		return "from " + from + " on"
	case to != "":
		return "up to " + to
	}
	return ""
}

// draw makes the time line: for each place a lane, for each receipt a bar from
// the first to the last moment at which it can have been made.
func (p *page) draw() {
	first, last := time.Time{}, time.Time{}
	for _, row := range p.Rows {
		from, to := row.span()
		if from.IsZero() {
			continue
		}
		if first.IsZero() || from.Before(first) {
			first = from
		}
		if to.After(last) {
			last = to
		}
	}
	if first.IsZero() {
		return
	}
	p.First, p.Last = signing.FormatTime(first), signing.FormatTime(last)
	const left, width = 200.0, 790.0
	whole := max(last.Sub(first), time.Second).Seconds()
	found := p.marked()
	lanes := map[string]int{}
	for _, row := range p.Rows {
		from, to := row.span()
		if from.IsZero() {
			continue
		}
		name := row.lane()
		if _, ok := lanes[name]; !ok && len(lanes) == maxLanes {
			name = "elsewhere"
		}
		if _, ok := lanes[name]; !ok {
			lanes[name] = 40 + 18*len(lanes)
			p.Lanes = append(p.Lanes, lane{name, lanes[name]})
		}
		x := left + width*from.Sub(first).Seconds()/whole
		b := bar{X: fmt.Sprintf("%.1f", min(x, left+width-3)), Width: fmt.Sprintf("%.1f", max(3, width*to.Sub(from).Seconds()/whole)), Y: lanes[name] - 9, Class: classOf(row.Outcome)}
		if found[row.Place] {
			b.Class += " marked"
		}
		b.Title = fmt.Sprintf("%d: %s %s, %s to %s", row.Number, row.Publication.Ref(), row.Outcome, row.From, row.To)
		p.Bars = append(p.Bars, b)
	}
	p.Height = 40 + 18*len(lanes)
}

// marked are the receipts that findings are about.
func (p *page) marked() map[Place]bool {
	out := map[Place]bool{}
	for _, f := range p.Findings {
		out[f.A], out[f.B] = true, true
	}
	return out
}

// span is the time in which a receipt was made; where one end is open, the other
// one twice.
func (r htmlRow) span() (from, to time.Time) {
	from, to = r.NotBefore.Time, r.NotAfter.Time
	if from.IsZero() || to.Before(from) && !to.IsZero() {
		from = to
	}
	if to.IsZero() {
		to = from
	}
	return from, to
}

func (r htmlRow) lane() string {
	name := []rune(r.Where)
	if len(name) == 0 {
		name = []rune(r.Publication.Feed.String())
	}
	if len(name) > 30 {
		name = append(name[:29], '…')
	}
	return string(name)
}

func classOf(o Outcome) string {
	switch o {
	case Applied, Deployed:
		return "good"
	case Failed, Rejected:
		return "bad"
	}
	return "neutral"
}

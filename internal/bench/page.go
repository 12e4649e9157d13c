package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// page is the document that a run writes, in Markdown.
type page struct {
	title   string
	machine string
	own     float64 // peak memory of this program, MiB
	sizes
	rows     []row
	profiles []profile
}

func (p page) render() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\nWritten by `make bench`: every comparison in one run on one machine, peers and Airlock in turns, median of %d unless a row says otherwise.\n\n", p.title, p.rounds)
	fmt.Fprintf(&b, "Machine: %s.\n\n", p.machine)
	b.WriteString("Ratios are of medians, Airlock to the peer. CPU is the sum over client and server, user and system. Peak is the highest resident memory of one process; Linux counts at least what the program that started it held, here ")
	fmt.Fprintf(&b, "up to %.0f MiB.\n\n", p.own)
	b.WriteString("Before a step on a large file is measured, memory is used and given back, so that nobody pays for the first use of a page on a virtual machine.\n\n")
	b.WriteString("## Summary\n\n")
	table(&b, []string{"figure", "peer", "Airlock", "ratio", "target", "reached"}, p.summary())
	for _, r := range p.rows {
		r.render(&b)
	}
	if len(p.profiles) > 0 {
		b.WriteString("\n## Profiles\n\nWhere the processors were, from runs of their own (`-profile`): flat time, its share, and the time with callees.\n")
	}
	for _, f := range p.profiles {
		fmt.Fprintf(&b, "\n### %s\n\n```\n%s\n```\n", f.title, strings.TrimSpace(f.text))
	}
	return b.String()
}

func (p page) summary() [][]string {
	var out [][]string
	for _, r := range p.rows {
		if r.err != nil {
			out = append(out, []string{r.title, "", "not measured", "", "", "missed"})
			continue
		}
		for _, l := range r.lines {
			out = append(out, []string{r.title + ": " + l.what, l.peerText(), figure(median(l.ours.values)) + " " + l.unit,
				number(l.ratio(), "%.2f"), l.target.String(l.unit), l.verdict()})
		}
	}
	return out
}

func (l line) peerText() string {
	if l.peer == nil {
		return ""
	}
	return figure(median(l.peer.values)) + " " + l.unit
}

// render writes a row's own section: each side with its spread and its cost.
func (r row) render(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", r.title)
	if r.err != nil {
		fmt.Fprintf(b, "Not measured: %s.\n", strings.ReplaceAll(r.err.Error(), "\n", " "))
		return
	}
	var rows [][]string
	for _, l := range r.lines {
		if l.peer != nil {
			rows = append(rows, l.side(*l.peer))
		}
		rows = append(rows, l.side(l.ours))
	}
	table(b, []string{"figure", "who", "unit", "median", "lowest", "highest", "CPU s", "peak MiB"}, rows)
	for _, n := range r.notes {
		fmt.Fprintf(b, "\n%s\n", n)
	}
}

func (l line) side(s side) []string {
	lowest, highest := math.NaN(), math.NaN()
	if len(s.values) > 0 {
		lowest, highest = slices.Min(s.values), slices.Max(s.values)
	}
	return []string{l.what, s.name, l.unit, figure(median(s.values)), figure(lowest), figure(highest),
		number(median(s.cpu), "%.2f"), number(median(s.peak), "%.0f")}
}

// figure writes a number with three digits that count.
func figure(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return ""
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	case abs >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// number writes a number that may not be there.
func number(v float64, format string) string {
	if math.IsNaN(v) {
		return ""
	}
	return fmt.Sprintf(format, v)
}

// table writes a Markdown table.
func table(b *strings.Builder, head []string, rows [][]string) {
	line := func(cells []string) {
		b.WriteByte('|')
		for _, c := range cells {
			b.WriteString(" " + strings.ReplaceAll(c, "|", "\\|") + " |")
		}
		b.WriteByte('\n')
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		line(r)
	}
}

package receipts

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// csvHeader names the columns of CSV.
var csvHeader = []string{"row", "severity", "kind", "what", "feed", "entry", "instance", "number", "package", "manifest", "outcome", "operation", "environment",
	"targets", "by", "reason", "person", "key", "bundle", "publication_feed", "publication_entry", "publication_statement", "time", "not_before", "not_before_why", "not_after", "not_after_why"}

// CSV writes the report as RFC 4180 has it, findings first: column row says
// which is which. Receivers choose many of the texts, so one that a spreadsheet
// would take for a formula has "'" before it.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180, section 2.1
	out.Write(csvHeader)
	for _, f := range r.Findings {
		row := make([]string, len(csvHeader))
		copy(row, []string{"finding", string(f.Severity), string(f.Kind), f.String(), f.A.Feed.String(), entryText(f.A.Index), f.Instance})
		out.Write(unformulated(row))
	}
	for i := range r.Receipts {
		d := r.Receipts[i].doc()
		bundle := ""
		if d.Bundle != nil {
			bundle = d.Bundle.String()
		}
		out.Write(unformulated([]string{"receipt", "", "", "", r.Feed.String(), entryText(d.Entry), d.Instance, fmt.Sprint(d.Number), d.Package, d.Manifest.String(), string(d.Outcome), d.Operation,
			d.Environment, strings.Join(d.Targets, " "), d.By, d.Reason, d.Person, d.Key.String(), bundle, d.Publication.Feed, entryText(d.Publication.Entry),
			d.Publication.Statement.String(), d.Time, d.NotBefore.Time, d.NotBefore.Why, d.NotAfter.Time, d.NotAfter.Why}))
	}
	out.Flush()
	return out.Error()
}

// entryText writes the index of a Place, "" for the whole of a feed.
func entryText(index int64) string {
	if index <= 0 {
		return ""
	}
	return fmt.Sprint(index)
}

// unformulated keeps spreadsheets from computing what others wrote (OWASP, "CSV
// Injection").
func unformulated(row []string) []string {
	for i, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
			row[i] = "'" + cell
		}
	}
	return row
}

package receipts

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/trust"
)

// exampleReport has every member, and texts that someone chose with care.
func exampleReport(tb testing.TB) *Report {
	r := example(tb)
	when := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	first := Record{Place: Place{ownFeed, 2}, ID: *id("first"), Number: 1, Instance: instanceA, Publication: r.Publication, PublicationEntry: 4, Manifest: r.Manifest,
		Outcome: Failed, Operation: "change", Environment: `=cmd|'/c calc'!A1`, Targets: r.Targets, By: `<script>alert("bob")</script>`, Reason: "-1, \"quoted\"", Person: "Bob",
		Key: *digest("key"), Bundle: r.Bundle, Seen: 7, Time: r.Time, NotBefore: Bound{when, "the source"}, NotAfter: Bound{when.Add(time.Minute), "an authority"}}
	second := first
	second.Index, second.Number, second.ID, second.Outcome, second.Bundle, second.NotAfter = 3, 2, *id("second"), Applied, nil, Bound{Why: "nothing"}
	return &Report{Feed: ownFeed, Lineage: trust.Lineage(*digest("production")), Note: note(tb, ownFeed, 4, "receipts"), Made: when.AddDate(0, 0, 1), Since: when, Until: when.AddDate(0, 1, 0),
		Sources: []Wanted{{shared, trust.Lineage(*digest("dev-qa")), 1}}, Receipts: []Record{first, second},
		Findings: []Finding{forked(shared.Origin(1), 7, sighting{note: note(tb, shared, 7, "a"), by: first.Place}, sighting{note: note(tb, shared, 7, "b"), by: Place{Feed: shared}}),
			{Kind: Unstamped, Severity: Difference, A: second.Place, Why: "carries no time stamp"}}}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is written as\n%s\n%v", name, got, err)
	}
}

func TestReportJSON(t *testing.T) {
	var out bytes.Buffer
	if err := exampleReport(t).JSON(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "audit.json", out.Bytes())
	var doc struct {
		Clean    bool
		Findings []struct{ A, B struct{ Note string } }
		Receipts []struct{ NotBefore struct{ Time, Why string } }
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || doc.Clean || len(doc.Receipts) != 2 || doc.Findings[0].A.Note == doc.Findings[0].B.Note {
		t.Errorf("%+v, %v", doc, err)
	}
	out.Reset()
	if err := (&Report{}).JSON(&out); err != nil || !json.Valid(out.Bytes()) {
		t.Errorf("%s, %v", out.Bytes(), err)
	}
}

// What a spreadsheet reads is what was said, and never a formula.
func TestReportCSV(t *testing.T) {
	var out bytes.Buffer
	if err := exampleReport(t).CSV(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "audit.csv", out.Bytes())
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.Contains("=+-@\t\r\n", cell[:1]) {
				t.Errorf("%q is taken for a formula", cell)
			}
		}
	}
	if rows[3][12] != `'=cmd|'/c calc'!A1` || rows[3][15] != `'-1, "quoted"` {
		t.Errorf("%q", rows[3])
	}
}

// The page is one file, and what others wrote stays text in it.
func TestReportHTML(t *testing.T) {
	var out bytes.Buffer
	r := exampleReport(t)
	r.Findings[1].Why = "</pre><img src=x onerror=alert(1)>"
	if err := r.HTML(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "audit.html", out.Bytes())
	text := out.String()
	for _, no := range []string{"<script>alert", "<img", "http://", "https://", "ZgotmplZ", "url("} {
		if strings.Contains(text, no) {
			t.Errorf("the page holds %s", no)
		}
	}
	for _, yes := range []string{"&lt;script&gt;alert", "<svg", `class="bad marked"`, "2 findings", "Content-Security-Policy"} {
		if !strings.Contains(text, yes) {
			t.Errorf("the page lacks %s", yes)
		}
	}
	for range 3000 {
		r.Receipts = append(r.Receipts, r.Receipts[0])
	}
	out.Reset()
	if err := r.HTML(&out); err != nil || !strings.Contains(out.String(), "the other 1002 are in the CSV") || out.Len() > 3<<20 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	if err := (&Report{}).HTML(&out); err != nil {
		t.Error(err)
	}
}

package receipts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Report is what an audit came to.
type Report struct {
	Feed     feed.ID // with the receipts
	Lineage  trust.Lineage
	Note     string // the checkpoint of that feed, verbatim
	Made     time.Time
	Since    time.Time // as AuditOptions has it
	Until    time.Time
	Sources  []Wanted // feeds that receipts speak of
	Receipts []Record
	Findings []Finding // the worst first
}

// Report ends the audit.
func (a *Audit) Report() *Report {
	a.ownLog()
	a.bounds()
	r := &Report{Feed: a.feed.ID, Lineage: a.feed.Lineage, Note: string(a.feed.Note), Made: a.options.Now.UTC(), Since: a.options.Since, Until: a.options.Until,
		Sources: a.Wanted()}
	outside := map[Place]bool{}
	r.Receipts = slices.DeleteFunc(a.records, func(rec Record) bool {
		if a.inRange(rec.NotBefore.Time, rec.NotAfter.Time) {
			return false
		}
		outside[rec.Place] = true
		return true
	})
	for _, f := range append(a.found, a.ledger.Findings()...) {
		// What is wrong with the log or the numbers concerns every receipt.
		if f.Kind == Gap || f.Kind == Twice || f.Kind == Chain || f.Kind == Fork || !outside[f.A] {
			r.Findings = append(r.Findings, f)
		}
	}
	slices.SortStableFunc(r.Findings, worse)
	return r
}

// worse compares findings, the worst first; of one severity by where they stand.
// Texts are made for what stands at one place alone.
func worse(x, y Finding) int {
	if x.Severity != y.Severity {
		return cmp.Compare(slices.Index(Severities, x.Severity), slices.Index(Severities, y.Severity))
	}
	if x.A.Feed != y.A.Feed {
		return cmp.Compare(x.A.Feed.String(), y.A.Feed.String())
	}
	if x.A.Index != y.A.Index {
		return cmp.Compare(x.A.Index, y.A.Index)
	}
	return cmp.Compare(x.String(), y.String())
}

// Worst returns the worst severity, "" where nothing was found.
func (r *Report) Worst() Severity {
	if len(r.Findings) == 0 {
		return ""
	}
	return r.Findings[0].Severity
}

// The JSON of a report; testdata/audit.json is one.
type (
	reportDoc struct {
		APIVersion string        `json:"apiVersion"` // "airlock.example/v1"
		Kind       string        `json:"kind"`       // "AuditReport"
		Feed       string        `json:"feed"`
		Lineage    trust.Lineage `json:"lineage"`
		Checkpoint string        `json:"checkpoint"`
		Made       string        `json:"made"`
		Since      string        `json:"since,omitempty"`
		Until      string        `json:"until,omitempty"`
		Clean      bool          `json:"clean"`
		Sources    []sourceDoc   `json:"sources"`
		Findings   []findingDoc  `json:"findings"`
	}
	sourceDoc struct {
		Feed    string        `json:"feed"`
		Epoch   uint64        `json:"epoch"`
		Lineage trust.Lineage `json:"lineage"`
	}
	findingDoc struct {
		Kind     FindingKind `json:"kind"`
		Severity Severity    `json:"severity"`
		What     string      `json:"what"`
		A        placeDoc    `json:"a"`
		B        *placeDoc   `json:"b,omitempty"`
	}
	placeDoc struct {
		Feed  string `json:"feed"`
		Entry int64  `json:"entry,omitempty"`
		Note  string `json:"note,omitempty"`
	}
	recordDoc struct {
		Entry       int64           `json:"entry"`
		Statement   signing.ID      `json:"statement"`
		Instance    string          `json:"instance"`
		Number      int64           `json:"number"`
		Package     string          `json:"package"`
		Manifest    storage.Digest  `json:"manifest"`
		Outcome     Outcome         `json:"outcome"`
		Operation   string          `json:"operation,omitempty"`
		Environment string          `json:"environment,omitempty"`
		Targets     []string        `json:"targets,omitempty"`
		By          string          `json:"by,omitempty"`
		Reason      string          `json:"reason,omitempty"`
		Person      string          `json:"person"`
		Key         storage.Digest  `json:"key"`
		Bundle      *storage.Digest `json:"bundle,omitempty"`
		Publication publicationDoc  `json:"publication"`
		Time        string          `json:"time"`
		NotBefore   boundDoc        `json:"notBefore"`
		NotAfter    boundDoc        `json:"notAfter"`
	}
	publicationDoc struct {
		Feed      string        `json:"feed"`
		Epoch     uint64        `json:"epoch"`
		Lineage   trust.Lineage `json:"lineage"`
		Entry     int64         `json:"entry,omitempty"`
		Statement signing.ID    `json:"statement"`
		Seen      int64         `json:"seen"`
	}
	boundDoc struct {
		Time string `json:"time,omitempty"`
		Why  string `json:"why"`
	}
)

// JSON writes the report as one JSON document. Receipts are written one by one,
// however many there are.
func (r *Report) JSON(w io.Writer) error {
	head, err := json.MarshalIndent(r.doc(), "", "  ")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%s,\n  \"receipts\": [", head[:len(head)-2]); err != nil {
		return err
	}
	for i := range r.Receipts {
		b, err := json.MarshalIndent(r.Receipts[i].doc(), "    ", "  ")
		if err != nil {
			return err
		}
		comma := ","
		if i == 0 {
			comma = ""
		}
		if _, err := fmt.Fprintf(w, "%s\n    %s", comma, b); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, "\n  ]\n}\n")
	return err
}

func (r *Report) doc() reportDoc {
	d := reportDoc{APIVersion: "airlock.example/v1", Kind: "AuditReport", Feed: r.Feed.String(), Lineage: r.Lineage, Checkpoint: r.Note, Made: signing.FormatTime(r.Made),
		Since: OptionalTime(r.Since), Until: OptionalTime(r.Until), Clean: len(r.Findings) == 0, Sources: []sourceDoc{}, Findings: []findingDoc{}}
	for _, s := range r.Sources {
		d.Sources = append(d.Sources, sourceDoc{s.ID.String(), s.Epoch, s.Lineage})
	}
	for _, f := range r.Findings {
		doc := findingDoc{f.Kind, f.Severity, f.String(), placeDoc{f.A.Feed.String(), f.A.Index, f.NoteA}, nil}
		if f.B.Feed.Name != "" {
			doc.B = &placeDoc{f.B.Feed.String(), f.B.Index, f.NoteB}
		}
		d.Findings = append(d.Findings, doc)
	}
	return d
}

func (r *Record) doc() recordDoc {
	p := r.Publication
	return recordDoc{r.Index, r.ID, r.Instance, r.Number, p.Ref().String(), r.Manifest, r.Outcome, r.Operation, r.Environment, r.Targets, r.By, r.Reason,
		r.Person, r.Key, r.Bundle, publicationDoc{p.Feed.String(), p.Epoch, p.Lineage, r.PublicationEntry, p.Statement, r.Seen}, r.Time,
		boundDoc{OptionalTime(r.NotBefore.Time), r.NotBefore.Why}, boundDoc{OptionalTime(r.NotAfter.Time), r.NotAfter.Why}}
}

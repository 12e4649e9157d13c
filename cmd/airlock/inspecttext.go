package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// head shows what a bundle says of itself, before anything is checked.
func (d inspectDoc) head(w io.Writer) {
	rows := [][2]string{{"Bundle", d.Bundle}, {"Made by", d.Origin.Space + ", lineage " + d.Origin.Lineage},
		{"For", d.Destination.Space + ", lineage " + d.Destination.Lineage}, {"Created", d.Created}, {"Expires", dash(d.Expires)}}
	for _, more := range [][2]string{{"Label", d.Label}, {"Classification", d.Classification}, {"Compared with", d.Into}} {
		if more[1] != "" {
			rows = append(rows, more)
		}
	}
	pairs(w, append(rows, [2]string{"Volumes", fmt.Sprintf("%d of %d", len(d.Volumes.Files), d.Volumes.Count)})...)
	fmt.Fprintln(w)
}

// table shows what the bundle would bring, and the verdict.
func (d inspectDoc) table(w io.Writer) {
	for _, f := range d.Feeds {
		fmt.Fprintf(w, "\n%s: entries %d to %d, %d accepted here; identity version %d, %s\n", f.Feed, f.From, f.To, f.Accepted,
			f.Identity, count(f.Revocations, "revocation", "revocations"))
		fmt.Fprintf(w, "  last sign of life: %s\n", cmp.Or(f.Alive, "none"))
		for _, item := range f.Items {
			item.table(w)
		}
		fmt.Fprintf(w, "  %s unchanged\n", count(f.Unchanged, "package", "packages"))
	}
	word := "REFUSED"
	if d.Verdict.OK {
		word = "GOOD"
	}
	fmt.Fprintf(w, "\nVerdict: %s (%d): %s\nNext: %s\n", word, d.Verdict.Code, d.Verdict.Text, d.Verdict.Next)
}

var itemMarks = map[string]string{opAdded: "+", opChanged: "~", opOlder: ".", opRepeated: "=", opWithdrawn: "-"}

// name is what an item is about, as people write it.
func (d itemDoc) name() string {
	text := d.Kind + "/" + d.Name + " "
	if d.Was != "" {
		text += shownVersion(d.Was) + " → "
	}
	return text + shownVersion(d.Version)
}

func (d itemDoc) table(w io.Writer) {
	fmt.Fprintf(w, "  %s %s  %s, entry %d, by %s\n", itemMarks[d.Op], d.name(), d.Op, d.Entry, dash(d.Person))
	if d.Op == opRepeated {
		return
	}
	for _, note := range d.notes() {
		fmt.Fprintf(w, "      %s\n", note)
	}
	for _, f := range d.Files {
		fmt.Fprintf(w, "      %s  %s  %s\n", f.Path, size(f.Size), f.Digest)
	}
	for _, c := range d.Changes {
		fmt.Fprintf(w, "      %s %s%s\n", changeMarks[c.Op], c.What, strings.ReplaceAll(changeValues(c), "\n", "\n      "))
	}
}

// notes are what a reader must not overlook, and the facts.
func (d itemDoc) notes() []string {
	var out []string
	if d.Executable {
		out = append(out, "RUNS at the receiver")
	}
	if d.Missing != "" {
		out = append(out, "sensitive values: "+d.Missing+"; they are not carried, set them at the receiver")
	}
	out = append(out, d.Approvals...)
	for _, s := range d.Scans {
		out = append(out, "scanned here: "+s.String())
	}
	if d.ScannedBySender != nil {
		out = append(out, d.ScannedBySender.String())
	}
	if d.Refused != "" {
		out = append(out, "kept out: "+d.Refused)
	}
	if d.Reason != "" {
		out = append(out, "reason: "+d.Reason)
	}
	if !d.Carried && d.Op != opWithdrawn {
		out = append(out, "not carried: the maker left it out")
	}
	var facts []string
	for _, f := range d.Facts {
		facts = append(facts, f.Name+" "+f.Value)
	}
	if len(facts) > 0 {
		out = append(out, strings.Join(facts, ", "))
	}
	return out
}

package main

import (
	"fmt"

	"airlock/feed"
	"airlock/signing"
)

// scanDoc is what a scanner of this home said of a package.
type scanDoc struct {
	Verdict string `json:"verdict"` // "clean" or "refused"
	Command string `json:"command"`
	Time    string `json:"time"` // by this machine's clock
	Said    string `json:"said,omitempty"`
}

const (
	verdictClean   = "clean"
	verdictRefused = "refused"
)

func (d scanDoc) String() string {
	said := ""
	if d.Said != "" {
		said = ": " + d.Said
	}
	return fmt.Sprintf("%s on %s by %q%s", d.Verdict, d.Time, d.Command, said)
}

// scans returns what scanners here said of a package, the newest first.
func (o *opened) scans(row feed.Row) ([]scanDoc, error) {
	scans := o.follower.View.Evidence().Scans
	if scans == nil {
		return nil, nil
	}
	all, err := scans(row.Manifest)
	var docs []scanDoc
	for _, s := range all {
		d := scanDoc{Verdict: verdictRefused, Command: s.Command, Time: signing.FormatTime(s.Time), Said: s.Said}
		if s.Clean {
			d.Verdict = verdictClean
		}
		docs = append(docs, d)
	}
	return docs, err
}

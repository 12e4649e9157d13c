package main

import (
	"context"
	"fmt"
	"io"

	"airlock/bundle"
	"airlock/signing"
)

// createdDoc is what bundle create shows.
type createdDoc struct {
	Bundle       string      `json:"bundle,omitempty"` // SHA-256 of its document
	For          string      `json:"for"`
	Lineage      string      `json:"lineage"` // of the receiver
	Expires      string      `json:"expires,omitempty"`
	KeyVersion   int         `json:"keyVersion,omitempty"` // of the receiver's identity, whose encryption key is used; absent where all is in clear
	KeyAsOf      string      `json:"keyAsOf,omitempty"`    // when that version was last known to be its newest
	KeyProblem   string      `json:"keyProblem,omitempty"` // why it may have another key by now
	Base         *baseDoc    `json:"base,omitempty"`       // absent where the receiver counts as new
	Feeds        []sliceDoc  `json:"feeds"`
	LeftOut      int         `json:"leftOut"`         // live packages that the filters left out
	Clean        int         `json:"clean,omitempty"` // packages that the scanner here found clean
	Volumes      []volumeDoc `json:"volumes"`
	Bytes        int64       `json:"bytes"`
	SurvivesLoss bool        `json:"survivesLoss"`      // of any one volume
	Resumed      int         `json:"resumed,omitempty"` // volumes of an earlier run
	DryRun       bool        `json:"dryRun,omitempty"`
	out          string
	full         bool // by --full
}

type sliceDoc struct {
	Feed     string   `json:"feed"`
	From     int64    `json:"from"` // entries that the receiver has
	To       int64    `json:"to"`
	Packages []string `json:"packages"` // whose payloads travel
}

type volumeDoc struct {
	File string `json:"file,omitempty"`
	Size int64  `json:"size"` // bytes
}

func (m *maker) describe(plan *bundle.Plan) createdDoc {
	d := createdDoc{For: m.bundle.Audience.Space, Lineage: m.bundle.Audience.Lineage.String(), Expires: plan.Document.Expires, KeyVersion: m.keyVersion, KeyProblem: m.keyProblem, Base: m.base, LeftOut: plan.LeftOut, Clean: m.clean,
		Bytes: plan.Bytes(), SurvivesLoss: plan.SurvivesLoss(), DryRun: m.options.dryRun, out: m.options.out, full: m.options.full}
	if m.keyVersion > 0 {
		d.KeyAsOf = signing.FormatTime(m.keyAsOf)
	}
	for i, s := range plan.Document.Feeds {
		doc := sliceDoc{Feed: s.Feed.String(), From: s.From, To: s.To, Packages: []string{}}
		for _, r := range plan.Packages[i] {
			doc.Packages = append(doc.Packages, r.Ref.String())
		}
		d.Feeds = append(d.Feeds, doc)
	}
	for _, n := range plan.Sizes() {
		d.Volumes = append(d.Volumes, volumeDoc{Size: n})
	}
	return d
}

func (d createdDoc) table(w io.Writer) {
	fmt.Fprintf(w, "for %s, lineage %s\n", d.For, d.Lineage)
	switch {
	case d.full:
		fmt.Fprintln(w, "in full: --full")
	case d.Base == nil:
		fmt.Fprintf(w, "in full: nothing is known here of what %s holds\n", d.For)
	default:
		fmt.Fprintf(w, "on the base of what it held at %s, signed by %s (%s)\n", d.Base.Time, d.Base.Person, d.Base.From)
	}
	if d.KeyVersion > 0 {
		fmt.Fprintf(w, "encrypted to the key that version %d of its identity lists, as of %s\n", d.KeyVersion, d.KeyAsOf)
	}
	for _, s := range d.Feeds {
		fmt.Fprintf(w, "%s: entries %d to %d, %s\n", s.Feed, s.From, s.To, count(len(s.Packages), "package", "packages"))
		for _, p := range s.Packages {
			if d.DryRun {
				fmt.Fprintf(w, "  + %s\n", p)
			}
		}
	}
	if d.LeftOut > 0 {
		fmt.Fprintf(w, "%s left out: --kind, --name or --version-mask\n", count(d.LeftOut, "live package", "live packages"))
	}
	if d.Clean > 0 {
		fmt.Fprintf(w, "%s found clean by the scanner here\n", count(d.Clean, "package was", "packages were"))
	}
	if d.SurvivesLoss {
		fmt.Fprintln(w, "any one volume may be lost")
	}
	volumes := count(len(d.Volumes), "volume", "volumes") + ", " + size(d.Bytes)
	if d.DryRun {
		fmt.Fprintf(w, "%s\nnothing was written: --dry-run\n", volumes)
		return
	}
	for _, v := range d.Volumes {
		fmt.Fprintf(w, "  %s  %s\n", v.File, size(v.Size))
	}
	fmt.Fprintf(w, "wrote bundle %s to %s: %s\n", d.Bundle, d.out, volumes)
}

// company notes what else lies on the medium: other bundles, and what was left of
// runs that did not end well, which takes room for ever.
func (m *maker) company(ctx context.Context, made string) error {
	sets, _, err := bundle.Find(ctx, m.options.out)
	if err != nil {
		return err
	}
	for _, s := range sets {
		if s.ID.String() != made {
			m.note("note: %s holds bundle %s too: pull takes in both, inspect wants the volumes of one", m.options.out, s.ID.Short())
		}
	}
	left, err := bundle.Unfinished(m.options.out)
	for _, files := range left {
		m.note("note: another command was interrupted and left %s: say it again, or remove them", files)
	}
	return err
}

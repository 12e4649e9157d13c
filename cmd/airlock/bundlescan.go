package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/apply"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// scans asks the scanner here about the packages that are to be carried, and
// returns what it said, for the receiver to see. What it refuses ends the command;
// a dry run asks about nothing.
func (m *maker) scans(ctx context.Context, f bundle.Feed, rows []feed.Row) ([]bundle.Scan, error) {
	verdicts := map[storage.Digest]trust.Scan{}
	unseen, err := m.verdicts(rows, verdicts)
	if err == nil && len(unseen) > 0 && !m.options.dryRun {
		if err = m.scan(ctx, f, unseen); err == nil {
			_, err = m.verdicts(unseen, verdicts)
		}
	}
	if err != nil {
		return nil, err
	}
	var out []bundle.Scan
	for _, row := range rows {
		v, ok := verdicts[row.Manifest]
		switch {
		case !ok:
			continue
		case !v.Clean:
			return nil, &failure{code: exitUntrusted, what: fmt.Sprintf("%s: the scanner here %s; nothing was written", shownRef(row.Ref), v),
				hint: "withdraw it, or leave it out with --kind, --name or --version-mask; if the scanner erred, say --rescan"}
		}
		out = append(out, bundle.Scan{Manifest: row.Manifest, Said: v.Said, Time: signing.FormatTime(v.Time)})
	}
	m.clean += len(out)
	return out, nil
}

// verdicts adds what the scanner said of packages, by manifest, and returns those
// that it has not seen.
func (m *maker) verdicts(rows []feed.Row, to map[storage.Digest]trust.Scan) (unseen []feed.Row, err error) {
	for _, row := range rows {
		v, ok, err := m.scanning.verdict(row.Manifest)
		switch {
		case err != nil:
			return nil, err
		case ok:
			to[row.Manifest] = v
		default:
			unseen = append(unseen, row)
		}
	}
	return unseen, nil
}

// scan asks the scanner about packages.
func (m *maker) scan(ctx context.Context, f bundle.Feed, rows []feed.Row) error {
	return m.fetch(ctx, "scanning "+f.State.ID.String(), &feed.Follower{Source: f.Source}, f.State, rows, func(p *feed.Package) error {
		return m.scanning.ask(ctx, f.State.ID, p)
	})
}

// foreignScan is what the maker of a bundle says that its own scanner found. It
// counts for nothing here.
type foreignScan struct {
	Space   string `json:"space"`
	Verdict string `json:"verdict"` // "clean"
	Time    string `json:"time"`    // by the maker's clock
	Said    string `json:"said,omitempty"`
}

// foreignScans returns what the maker of a bundle says of packages of a feed, by
// manifest.
func foreignScans(b *bundle.Bundle, id feed.ID) (map[storage.Digest]foreignScan, error) {
	scans, err := b.Scans(id)
	out := map[storage.Digest]foreignScan{}
	for manifest, s := range scans {
		out[manifest] = foreignScan{b.Document().Creator.Space, verdictClean, s.Time, s.Said}
	}
	return out, err
}

func (s foreignScan) String() string {
	said := ""
	if s.Said != "" {
		said = ": " + s.Said
	}
	return fmt.Sprintf("scanned at the sender, %s: %s on %s%s (that does not count here)", s.Space, s.Verdict, s.Time, said)
}

// foreignScanDoc is what a maker says of a package.
type foreignScanDoc struct {
	Package string `json:"package"`
	foreignScan
}

// foreign notes what the makers of new bundles, who are known now, say of packages
// that are to come in or are refused.
func (in *intake) foreign(ready []*prepared) error {
	for _, s := range ready {
		for _, b := range in.fresh() {
			scans, err := foreignScans(b, s.state.ID)
			if err != nil {
				return err
			}
			note := func(row feed.Row) {
				if scan, ok := scans[row.Manifest]; ok {
					s.doc.ScannedBySender = append(s.doc.ScannedBySender, foreignScanDoc{row.Ref.String(), scan})
				}
			}
			for _, a := range s.plan {
				if a.Op == apply.Add || a.Op == apply.Change {
					note(a.Row)
				}
			}
			for _, r := range s.choice.Refused {
				note(r.Row)
			}
		}
	}
	return nil
}

// scannedBySender sums up what each maker says, in a line.
func scannedBySender(docs []foreignScanDoc) (lines []string) {
	packages := map[string]map[string]bool{} // by Space
	for _, d := range docs {
		if packages[d.Space] == nil {
			packages[d.Space] = map[string]bool{}
		}
		packages[d.Space][d.Package] = true
	}
	for _, space := range slices.Sorted(maps.Keys(packages)) {
		n := count(len(packages[space]), "package was", "packages were")
		lines = append(lines, fmt.Sprintf("%s scanned at the sender, %s: clean (that does not count here)", n, space))
	}
	return lines
}

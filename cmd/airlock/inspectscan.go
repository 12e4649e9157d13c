package main

import (
	"context"
	"slices"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/storage"
)

// scan shows a package to the scanner here, if one was asked for. What could not be
// read whole is not shown to it.
func (i *inspection) scan(ctx context.Context, f *checkedFeed, p *feed.Package) error {
	if i.scanning == nil || i.verification.found["packages"] {
		return ctx.Err()
	}
	if i.lacks[packageKey{f.state.ID, p.Row.Index}] != nil {
		i.note("scan", "%s: was not shown to the scanner, for it could not be read", p.Row.Ref)
		return ctx.Err()
	}
	_, ok, err := i.scanning.verdict(p.Row.Manifest)
	if err != nil || ok {
		return err
	}
	err = i.scanning.ask(ctx, f.state.ID, p)
	if as[*apply.NoVerdictError](err) {
		i.bad("scan", err)
		i.silent[p.Row.Manifest] = true
		return nil
	}
	return err
}

// scans adds what scanners said of each item: here, and where the bundle was made.
// Who is not known to have made it says nothing.
func (i *inspection) scans(f *checkedFeed, items []itemDoc) error {
	var foreign map[storage.Digest]foreignScan
	var err error
	if i.signer != nil {
		if foreign, err = foreignScans(i.Bundle, f.state.ID); err != nil {
			return err
		}
	}
	for n := range items {
		item := &items[n]
		if !item.Carried {
			continue
		}
		if item.Scans, err = f.scans(item.row); err != nil {
			return err
		}
		if s, ok := foreign[item.row.Manifest]; ok {
			item.ScannedBySender = &s
		}
	}
	if len(foreign) > 0 {
		i.note("scan", "%s: a scanner of %s found %s clean, by its word; that does not count here", f.state.ID, i.Document().Creator.Space, count(len(foreign), "package", "packages"))
	}
	i.scanned(f, items)
	return nil
}

// scanned says what came of --scan.
func (i *inspection) scanned(f *checkedFeed, items []itemDoc) {
	if i.scanning == nil {
		return
	}
	clean, refused := 0, 0
	for _, item := range items {
		n := slices.IndexFunc(item.Scans, func(s scanDoc) bool { return s.Command == i.scanning.command })
		switch {
		case n < 0:
		case item.Scans[n].Verdict == verdictClean:
			clean++
		default:
			refused++
		}
	}
	i.ok("scan", "%s: the scanner here found %d clean and refused %d", f.state.ID, clean, refused)
}

package main

import (
	"context"

	"airlock/feed"
	"airlock/internal/apply"
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
	foreign := map[string]foreignScan{}
	if i.signer != nil {
		all, err := foreignScans(i.Bundle, f.state.ID)
		if err != nil {
			return err
		}
		for manifest, s := range all {
			foreign[manifest.String()] = s
		}
	}
	for n := range items {
		item := &items[n]
		if !item.Carried {
			continue
		}
		var err error
		if item.Scans, err = f.scans(item.row); err != nil {
			return err
		}
		if s, ok := foreign[item.Manifest]; ok {
			item.ScannedBySender = &s
		}
	}
	if len(foreign) > 0 {
		i.note("scan", "%s: a scanner of %s found %s clean, by its word; that does not count here", f.state.ID, i.Document().Creator.Space, count(len(foreign), "package", "packages"))
	}
	return i.scanned(f, items)
}

// scanned says what came of --scan.
func (i *inspection) scanned(f *checkedFeed, items []itemDoc) error {
	if i.scanning == nil {
		return nil
	}
	clean, refused := 0, 0
	for _, item := range items {
		v, ok, err := i.scanning.verdict(item.row.Manifest)
		switch {
		case err != nil:
			return err
		case !ok || !item.Carried:
		case v.Clean:
			clean++
		default:
			refused++
		}
	}
	i.ok("scan", "%s: the scanner here found %d clean and refused %d", f.state.ID, clean, refused)
	return nil
}

package main

import (
	"context"
	"strings"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/signing"
	"airlock/trust"
)

// What a bundle does with a package, against what was accepted before.
const (
	opAdded     = "added"     // no version was live
	opChanged   = "changed"   // another version was live
	opOlder     = "older"     // a newer version is live too
	opRepeated  = "repeated"  // it was accepted before, and is carried again
	opWithdrawn = "withdrawn" // the version ends here
)

// itemDoc is what a bundle brings of one package.
type itemDoc struct {
	Op         string    `json:"op"`
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	Version    string    `json:"version"`
	Was        string    `json:"was,omitempty"` // version that was live before
	Title      string    `json:"title,omitempty"`
	Entry      int64     `json:"entry"`
	Person     string    `json:"person,omitempty"` // who signed
	Time       string    `json:"time,omitempty"`   // the publisher's clock
	Reason     string    `json:"reason,omitempty"` // of a withdrawal
	Manifest   string    `json:"manifest"`
	Carried    bool      `json:"carried"`
	Files      []fileDoc `json:"files"`
	Size       int64     `json:"size"` // bytes of all files
	Facts      []factDoc `json:"facts,omitempty"`
	Executable bool      `json:"executable"`        // something of it runs at the receiver
	Missing    string    `json:"missing,omitempty"` // values that the receiver must set
	Approvals  []string  `json:"approvals,omitempty"`
	Refused    string    `json:"refused,omitempty"` // by the policy here
	Scans      []scanDoc `json:"scans,omitempty"`   // what scanners here said, newest first
	// ScannedBySender is what the maker says of a scanner there.
	ScannedBySender *foreignScan `json:"scannedBySender,omitempty"`
	Changes         []changeDoc  `json:"changes,omitempty"`

	row feed.Row
}

// reader notes what carried packages hold.
func (i *inspection) reader(ctx context.Context) func(*checkedFeed, *feed.Package) error {
	return func(f *checkedFeed, p *feed.Package) error {
		d := &itemDoc{Title: p.Manifest.Title, Carried: true}
		for _, l := range p.Manifest.Layers {
			d.Files = append(d.Files, fileDoc{l.Path, l.MediaType, l.Digest.String(), l.Size})
			d.Size += l.Size
		}
		var err error
		if d.Facts, d.Executable, err = facts(ctx, p); err != nil {
			d.Facts = []factDoc{{"not read", oneLine(err.Error())}}
		}
		for _, fact := range d.Facts {
			if fact.Name == "sensitive" {
				d.Missing = fact.Value
			}
		}
		i.packages[packageKey{f.state.ID, p.Row.Index}] = d
		return i.scan(ctx, f, p)
	}
}

// items lists what a feed brings, in the order of its entries.
func (i *inspection) items(ctx context.Context, f *checkedFeed, d *inspectFeedDoc) error {
	before := f.slice.From // of what was taken in already, what it was that came
	if f.seen < f.slice.To {
		before = f.seen
	}
	was, is := liveAt(f.state.Index, before), liveAt(f.state.Index, f.slice.To)
	there := f.installed()
	if i.into != nil {
		was = there.rows
	}
	for row := range f.state.Index.Rows(0) {
		read := i.packages[packageKey{f.state.ID, row.Index}]
		switch {
		case row.Void != "":
		case row.What == feed.IsWithdrawal && row.Index >= before:
			d.Items = append(d.Items, newItem(opWithdrawn, row, nil))
		case !f.state.Index.Live(row):
		case read == nil && row.Index < before:
			d.Unchanged++
		default:
			repeated := row.Index < before
			if i.into != nil {
				repeated = was[nameOf(row)].ID == row.ID
			}
			d.Items = append(d.Items, newItem(opOf(row, repeated, was, is), row, read))
		}
	}
	for n := range d.Items {
		item := &d.Items[n]
		old, ok := was[nameOf(item.row)]
		if !ok || item.Op != opChanged && item.Op != opAdded {
			continue
		}
		item.Was = old.Ref.Version
		if err := i.changes(ctx, f, old, there.items[nameOf(item.row)], item); err != nil {
			return err
		}
	}
	return i.signers(ctx, f, d.Items)
}

// liveAt returns the newest live version of each package after the first
// entries of a feed.
func liveAt(x *feed.Index, size int64) map[string]feed.Row {
	versions := map[feed.Ref]feed.Row{}
	for row := range x.Rows(0) {
		if row.Index >= size {
			break
		}
		ref := row.Ref
		ref.Version = strings.ToLower(ref.Version) // as feeds compare them
		switch {
		case row.Void != "":
		case row.What == feed.IsPublication:
			versions[ref] = row
		case row.What == feed.IsWithdrawal:
			delete(versions, ref)
		}
	}
	out := map[string]feed.Row{}
	for _, row := range versions {
		name := nameOf(row)
		if have, ok := out[name]; !ok || have.Index < row.Index {
			out[name] = row
		}
	}
	return out
}

// nameOf is what a package is called whatever its version.
func nameOf(row feed.Row) string { return row.Ref.Kind + "/" + row.Ref.Name }

func opOf(row feed.Row, repeated bool, was, is map[string]feed.Row) string {
	name := nameOf(row)
	_, had := was[name]
	switch {
	case repeated:
		return opRepeated
	case is[name].Index != row.Index:
		return opOlder
	case had:
		return opChanged
	}
	return opAdded
}

func newItem(op string, row feed.Row, read *itemDoc) itemDoc {
	d := itemDoc{}
	if read != nil {
		d = *read
	}
	d.Op, d.Kind, d.Name, d.Version, d.Entry, d.Manifest, d.row = op, row.Ref.Kind, row.Ref.Name, row.Ref.Version, row.Index, row.Manifest.String(), row
	if d.Files == nil {
		d.Files = []fileDoc{}
	}
	return d
}

// changes compares a package with the version before: that in the receiver's
// folder, or that was live, where the bundle carries it too. What could not be
// read is not compared.
func (i *inspection) changes(ctx context.Context, f *checkedFeed, old feed.Row, there apply.Item, item *itemDoc) error {
	key := packageKey{f.state.ID, old.Index}
	switch {
	case !item.Carried || i.lacks[packageKey{f.state.ID, item.row.Index}] != nil:
		return nil
	case i.into != nil:
		return f.follower.Fetch(ctx, f.state, []feed.Row{item.row}, func(p *feed.Package) (err error) {
			item.Changes, err = diffPackages(ctx, i.applied(there), contentsOf(p))
			return err
		})
	case i.packages[key] == nil || i.lacks[key] != nil:
		return nil
	}
	doc, err := f.diff(ctx, old, item.row)
	item.Changes = doc.Changes
	return err
}

// signers adds who signed each item, and when by their own clock.
func (i *inspection) signers(ctx context.Context, f *checkedFeed, items []itemDoc) error {
	var rows []feed.Row
	of := map[int64]*itemDoc{}
	for n := range items {
		if row := items[n].row; row.Index >= f.slice.From {
			rows, of[row.Index] = append(rows, row), &items[n]
		}
	}
	return f.follower.Statements(ctx, f.state, rows, func(row feed.Row, v trust.Verified, _ signing.Attestation) error {
		item := of[row.Index]
		item.Person = v.Person()
		if row.What == feed.IsWithdrawal {
			var w feed.Withdrawal
			err := signing.UnmarshalCanonical(v.Statement().Predicate, &w)
			item.Time, item.Reason = w.Time, w.Reason
			return err
		}
		var p feed.Publication
		err := signing.UnmarshalCanonical(v.Statement().Predicate, &p)
		item.Time, item.Title = p.Time, p.Title
		return err
	})
}

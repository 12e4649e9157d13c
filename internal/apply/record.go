package apply

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// maxRecord bounds what is kept of a target (the index and the journal of a
// folder, the cell of a program), in bytes: about 200,000 packages.
const maxRecord = storage.MaxFile

// feedDoc is what is kept of a feed that was applied, in canonical JSON.
type feedDoc struct {
	Epoch   uint64         `json:"epoch"`
	Failed  []failureDoc   `json:"failed,omitempty"` // of an Exec
	Feed    feed.ID        `json:"feed"`
	Items   []itemDoc      `json:"items,omitempty"`
	Lineage trust.Lineage  `json:"lineage"`
	Root    storage.Digest `json:"root"`
	Size    int64          `json:"size"`
	When    string         `json:"when"` // of the last change, RFC 3339 in UTC
}

type itemDoc struct {
	Files     []fileDoc      `json:"files,omitempty"`
	Index     int64          `json:"index"`
	Kind      string         `json:"kind"`
	Manifest  storage.Digest `json:"manifest"`
	Name      string         `json:"name"`
	Statement signing.ID     `json:"statement"`
	Version   string         `json:"version"`
	When      string         `json:"when,omitempty"` // as in feedDoc, when it was taken
}

// fileDoc is a file of a package, or one that a journal removes; Modified is
// only of the former.
type fileDoc struct {
	Digest   storage.Digest `json:"digest"`
	Modified int64          `json:"modified,omitempty"`
	Path     string         `json:"path"`
	Size     int64          `json:"size"`
}

// failureDoc is an update that a program did not take.
type failureDoc struct {
	Index   int64  `json:"index"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Op      Op     `json:"op"`
	Version string `json:"version"`
	When    string `json:"when"`
	Why     string `json:"why"`
}

func (d feedDoc) head() Head {
	return Head{Epoch: d.Epoch, Size: d.Size, Root: d.Root, Lineage: d.Lineage}
}

func (d *feedDoc) setHead(h Head) {
	d.Epoch, d.Size, d.Root, d.Lineage = h.Epoch, h.Size, h.Root, h.Lineage
}

func (d feedDoc) items() []Item {
	items := make([]Item, 0, len(d.Items))
	for _, doc := range d.Items {
		it := Item{Ref: doc.ref(), Index: doc.Index, Statement: doc.Statement, Manifest: doc.Manifest}
		it.When, _ = signing.ParseTime(doc.When) // checked; none gives zero
		for _, f := range doc.Files {
			it.Files = append(it.Files, File{storage.Ref{Digest: f.Digest, Size: f.Size}, f.Path, f.Modified})
		}
		items = append(items, it)
	}
	return items
}

func (d itemDoc) ref() feed.Ref { return feed.Ref{Kind: d.Kind, Name: d.Name, Version: d.Version} }

func docOf(it Item) itemDoc {
	doc := itemDoc{Index: it.Index, Kind: it.Ref.Kind, Manifest: it.Manifest, Name: it.Ref.Name, Statement: it.Statement, Version: it.Ref.Version}
	if !it.When.IsZero() {
		doc.When = signing.FormatTime(it.When)
	}
	for _, f := range it.Files {
		doc.Files = append(doc.Files, fileDoc{f.Digest, f.Modified, f.Path, f.Size})
	}
	return doc
}

// setItems puts items in the order of the record: by kind and name.
func (d *feedDoc) setItems(items map[string]Item) {
	d.Items = make([]itemDoc, 0, len(items))
	for _, it := range items {
		d.Items = append(d.Items, docOf(it))
	}
	slices.SortFunc(d.Items, compareDocs)
}

func compareDocs(a, b itemDoc) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// check refuses a record that would lead anywhere but into its own place: it
// lies where others may write.
func (d feedDoc) check() error {
	if _, err := signing.ParseTime(d.When); err != nil {
		return fmt.Errorf("feed %s: when: %w", d.Feed, err)
	}
	for i, it := range d.Items {
		if err := it.ref().Check(); err != nil {
			return fmt.Errorf("feed %s: items[%d]: %w", d.Feed, i, err)
		}
		if _, err := signing.ParseTime(it.When); it.When != "" && err != nil {
			return fmt.Errorf("feed %s: items[%d]: when: %w", d.Feed, i, err)
		}
		if i > 0 && compareDocs(d.Items[i-1], it) >= 0 {
			return fmt.Errorf("feed %s: items[%d]: not in order, or twice", d.Feed, i)
		}
		for _, f := range it.Files {
			if err := feed.CheckPath(f.Path); err != nil {
				return fmt.Errorf("feed %s: items[%d]: %w", d.Feed, i, err)
			}
			if f.Size < 0 {
				return fmt.Errorf("feed %s: items[%d]: file %q of %d bytes", d.Feed, i, f.Path, f.Size)
			}
		}
	}
	return nil
}

// readAll reads a record whole, up to the bound.
func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	if err == nil && len(b) > maxRecord {
		err = fmt.Errorf("more than %d bytes", int64(maxRecord))
	}
	return b, err
}

// format writes a record.
func format(v any) ([]byte, error) {
	b, err := signing.MarshalCanonical(v)
	if err == nil && len(b) > maxRecord {
		err = fmt.Errorf("%d bytes, at most %d are allowed: %w", len(b), int64(maxRecord), storage.ErrNoSpace)
	}
	return b, err
}

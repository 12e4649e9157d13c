package feed

import (
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Entry is what the rules of a log need to know of a statement.
type Entry struct {
	ID           signing.ID
	What         What
	Ref          Ref
	Manifest     storage.Digest // of holdings, their document
	ManifestSize int64
	Previous     *signing.ID
	Leaf         uint8 // see Row; SignedBy sets it

	pages []storage.Ref // of the snapshot of holdings
}

// Named returns the objects that must be there before the entry is: a manifest,
// or the document of holdings with the pages of their snapshot.
func (e Entry) Named() []storage.Ref {
	if e.ManifestSize == 0 {
		return nil
	}
	return append([]storage.Ref{{Digest: e.Manifest, Size: e.ManifestSize}}, e.pages...)
}

// SignedBy notes who signed, where that matters to an index.
func (e *Entry) SignedBy(s trust.Signed) {
	if e.isPackage() {
		e.Leaf = uint8(s.Leaf())
	}
}

// isPackage reports whether the entry is a publication or withdrawal.
func (e Entry) isPackage() bool { return e.What == IsPublication || e.What == IsWithdrawal }

// ParseEntry reads a statement's predicate. It says what the statement claims,
// whoever signed it.
func ParseEntry(id signing.ID, st signing.Statement) (Entry, error) {
	e := Entry{ID: id}
	switch st.Kind {
	case signing.Feed:
		e.What = IsOpening
	case signing.Identity:
		e.What = IsIdentity
	case signing.Publication:
		p, err := parsePublication(st)
		if err != nil {
			return e, err
		}
		e.What, e.Ref, e.Previous = IsPublication, p.Ref(), p.Previous
		e.Manifest, e.ManifestSize = st.Subject, p.ManifestSize
	case signing.Withdrawal:
		w, err := parseWithdrawal(st)
		if err != nil {
			return e, err
		}
		e.What, e.Ref, e.Previous, e.Manifest = IsWithdrawal, w.Ref(), w.Previous, st.Subject
	case signing.Holdings:
		h, err := ParseHoldings(st)
		if err != nil {
			return e, err
		}
		e.Manifest, e.ManifestSize, e.pages = st.Subject, h.DocumentSize, h.pages()
	}
	return e, nil
}

// Row returns the entry as row i of an index.
func (e Entry) Row(i int64) Row {
	return Row{Index: i, ID: e.ID, What: e.What, Ref: e.Ref, Manifest: e.Manifest, ManifestSize: e.ManifestSize, Leaf: e.Leaf}
}

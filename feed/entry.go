package feed

import (
	"airlock/signing"
	"airlock/storage"
)

// Entry is what the rules of a log need to know of a statement.
type Entry struct {
	ID           signing.ID
	What         What
	Ref          Ref
	Manifest     storage.Digest
	ManifestSize int64
	Previous     *signing.ID
}

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
	}
	return e, nil
}

// Row returns the entry as row i of an index.
func (e Entry) Row(i int64) Row {
	return Row{Index: i, ID: e.ID, What: e.What, Ref: e.Ref, Manifest: e.Manifest, ManifestSize: e.ManifestSize}
}

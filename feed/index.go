package feed

import (
	"fmt"
	"iter"
	"strings"

	"airlock/signing"
	"airlock/storage"
)

// Index is what a feed's entries add up to: which statements it holds, the
// head of every name, the state of every version. Committers check a
// submission against it before they commit, followers fold the log into it.
// Both use the same rules, so they agree on what is void.
//
// Entries up to the last multiple of PageSize are kept as packed pages of
// about 120 bytes an entry. An Index is not safe for concurrent use.
type Index struct {
	parent *Index // rows before first; nil for an index that stands alone
	pages  []*page
	first  int64 // index of rows[0]
	rows   []Row

	ids      map[signing.ID]int64
	heads    map[string]int64 // by kind/name
	versions map[string]int64 // by kind/name@version, folded
}

// What says what an entry is.
type What byte

// The kinds of row. Values are part of the page format.
const (
	IsOther What = iota
	IsOpening
	IsIdentity
	IsPublication
	IsWithdrawal
)

// Row is one entry as the index knows it.
type Row struct {
	Index        int64
	ID           signing.ID
	What         What
	Ref          Ref            // of a publication or withdrawal
	Manifest     storage.Digest // likewise
	ManifestSize int64          // of a publication, in bytes
	// Void says why the entry does not count; empty where it does.
	Void string
}

// NewIndex returns the index of an empty feed.
func NewIndex() *Index { return newIndex(nil, 0) }

func newIndex(parent *Index, first int64) *Index {
	return &Index{parent: parent, first: first,
		ids: map[signing.ID]int64{}, heads: map[string]int64{}, versions: map[string]int64{}}
}

// Overlay returns an index that begins as x and takes additions of its own;
// x must not change meanwhile.
func (x *Index) Overlay() *Index { return newIndex(x, x.Size()) }

// Size is the number of entries.
func (x *Index) Size() int64 { return x.first + int64(len(x.rows)) }

// maxVoid bounds the reason that an index keeps of a void entry, in bytes:
// reasons quote what strangers wrote.
const maxVoid = 300

// Add appends a row; its Index must be Size.
func (x *Index) Add(r Row) {
	if r.Index != x.Size() {
		panic(fmt.Sprintf("feed: row %d added to an index of %d entries", r.Index, x.Size()))
	}
	if len(r.Void) > maxVoid {
		r.Void = strings.ToValidUTF8(r.Void[:maxVoid], "")
	}
	if _, ok := x.ids[r.ID]; !ok {
		x.ids[r.ID] = r.Index
	}
	if r.counts() {
		x.heads[headKey(r.Ref.Kind, r.Ref.Name)] = r.Index
		x.versions[versionKey(r.Ref)] = r.Index
	}
	x.rows = append(x.rows, r)
	if x.parent == nil && len(x.rows) == PageSize {
		x.pack()
	}
}

// counts reports whether the row speaks of a package and is not void.
func (r Row) counts() bool {
	return r.Void == "" && (r.What == IsPublication || r.What == IsWithdrawal)
}

// pack turns the loose rows into a page.
func (x *Index) pack() {
	x.addFull(newPage(x.first, x.rows))
	x.rows = nil
	clear(x.ids)
	clear(x.heads)
	clear(x.versions)
}

func (x *Index) addFull(p *page) {
	p.buildFilters()
	x.pages = append(x.pages, p)
	x.first += PageSize
}

func headKey(kind, name string) string { return string(appendHead(nil, kind, name)) }

func versionKey(r Ref) string { return string(appendVersion(nil, r)) }

// Row returns entry i, which must be below Size.
func (x *Index) Row(i int64) Row {
	if i >= x.first {
		return x.rows[i-x.first]
	}
	if x.parent != nil {
		return x.parent.Row(i)
	}
	return x.pages[i/PageSize].row(int(i % PageSize))
}

// Rows yields the entries from index from on.
func (x *Index) Rows(from int64) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for i := from; i < x.Size(); i++ {
			if !yield(x.Row(i)) {
				return
			}
		}
	}
}

// ByID returns the first entry that holds the statement.
func (x *Index) ByID(id signing.ID) (int64, bool) {
	if x.parent != nil {
		if i, ok := x.parent.ByID(id); ok {
			return i, true
		}
	}
	if len(x.pages) > 0 {
		hash := hashKey(id[:])
		for n, p := range x.pages {
			if i, ok := p.byID(id[:], hash); ok {
				return int64(n)*PageSize + int64(i), true
			}
		}
	}
	i, ok := x.ids[id]
	return i, ok
}

// Head returns the newest statement that counts about a kind and name: the one
// that the next must name as previous.
func (x *Index) Head(kind, name string) (Row, bool) {
	var buf [512]byte
	return x.newest(byHead, appendHead(buf[:0], kind, name))
}

// State returns the newest statement that counts about a version: its
// publication, or its withdrawal.
func (x *Index) State(ref Ref) (Row, bool) {
	var buf [512]byte
	return x.newest(byVersion, appendVersion(buf[:0], ref))
}

func (x *Index) newest(list int, key []byte) (Row, bool) {
	for at := x; at != nil; at = at.parent {
		loose := at.heads
		if list == byVersion {
			loose = at.versions
		}
		i, ok := loose[string(key)]
		if !ok {
			i, ok = at.before(list, key)
		}
		if ok {
			return at.Row(i), true
		}
	}
	return Row{}, false
}

// before looks into the pages, from the newest back.
func (x *Index) before(list int, key []byte) (int64, bool) {
	if len(x.pages) == 0 {
		return 0, false
	}
	hash := hashKey(key)
	for n := len(x.pages) - 1; n >= 0; n-- {
		if i, ok := x.pages[n].newest(list, key, hash); ok {
			return int64(n)*PageSize + int64(i), true
		}
	}
	return 0, false
}

// Check applies the rules of a log to what would be the next entry: nil, or
// the reason for which it is void.
func (x *Index) Check(e Entry) error {
	if i, ok := x.ByID(e.ID); ok {
		return &RepeatedError{ID: e.ID, Index: i}
	}
	switch e.What {
	case IsPublication:
		// Rule 4.4: kind/name@version never changes its meaning, and
		// withdrawn is final.
		if have, ok := x.State(e.Ref); ok {
			return &VersionError{Ref: e.Ref, Have: have.Manifest, Got: e.Manifest, Index: have.Index, Withdrawn: have.What == IsWithdrawal}
		}
	case IsWithdrawal:
		have, ok := x.State(e.Ref)
		if !ok || have.Manifest != e.Manifest || have.What == IsWithdrawal {
			return &VersionError{Ref: e.Ref, Have: have.Manifest, Got: e.Manifest, Index: have.Index, Withdrawn: have.What == IsWithdrawal, Withdrawing: true}
		}
	default:
		return nil
	}
	return x.checkChain(e)
}

// checkChain holds rule 4.3: a statement names the one it follows.
func (x *Index) checkChain(e Entry) error {
	head, ok := x.Head(e.Ref.Kind, e.Ref.Name)
	if ok == (e.Previous != nil) && (!ok || head.ID == *e.Previous) {
		return nil
	}
	err := &ChainError{Ref: e.Ref, Previous: e.Previous}
	if ok {
		err.Head, err.HeadIndex = &head.ID, head.Index
	}
	return err
}

// RepeatedError reports a statement that the feed holds already.
type RepeatedError struct {
	ID    signing.ID
	Index int64
}

func (e *RepeatedError) Error() string {
	return fmt.Sprintf("statement %s is entry %d already", e.ID, e.Index)
}

// VersionError reports a version that has a content already, was withdrawn, or
// (when withdrawing) is not there to be withdrawn.
type VersionError struct {
	Ref         Ref
	Have, Got   storage.Digest // manifests; Have is zero where there is none
	Index       int64          // the entry with Have
	Withdrawn   bool
	Withdrawing bool
}

func (e *VersionError) Error() string {
	switch {
	case e.Have.IsZero():
		return fmt.Sprintf("%s was never published here", e.Ref)
	case e.Withdrawn:
		return fmt.Sprintf("%s was withdrawn by entry %d, which is final", e.Ref, e.Index)
	case e.Withdrawing:
		return fmt.Sprintf("%s is %s (entry %d), not %s", e.Ref, e.Have, e.Index, e.Got)
	case e.Have == e.Got:
		return fmt.Sprintf("%s was published by entry %d already", e.Ref, e.Index)
	}
	return fmt.Sprintf("%s is %s already (entry %d) and cannot become %s", e.Ref, e.Have, e.Index, e.Got)
}

// ChainError reports a statement that does not follow the head of its name.
type ChainError struct {
	Ref       Ref
	Previous  *signing.ID // what the statement names
	Head      *signing.ID // what it should have named; nil for none
	HeadIndex int64
}

func (e *ChainError) Error() string {
	name := headKey(e.Ref.Kind, e.Ref.Name)
	if e.Head == nil {
		return fmt.Sprintf("%s names a previous statement, and there is none about %s", e.Ref, name)
	}
	return fmt.Sprintf("%s does not follow the newest statement about %s, %s (entry %d)", e.Ref, name, *e.Head, e.HeadIndex)
}

// FullPages is the number of pages that will not change any more.
func (x *Index) FullPages() int { return len(x.pages) }

// Page returns the bytes of full page n.
func (x *Index) Page(n int) []byte { return x.pages[n].raw }

// Tail returns the entries after the last full page, in the form of a page.
func (x *Index) Tail() []byte { return newPage(x.first, x.rows).raw }

// AddPage appends a page that Page or Tail returned to an index that ends
// where it begins.
func (x *Index) AddPage(b []byte) error {
	p, err := parsePage(b)
	if err != nil {
		return err
	}
	if p.first != x.Size() || len(x.rows) > 0 {
		return fmt.Errorf("index page: begins at entry %d, want %d", p.first, x.Size())
	}
	if p.count == PageSize {
		x.addFull(p)
		return nil
	}
	for i := range p.count {
		x.Add(p.row(i))
	}
	return nil
}

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
// Both use the same rules, so they agree on what is void:
//
//   - What an entry is never changes. A name's chain consists of its links:
//     publications and withdrawals that a leaf in force signed for their place
//     and that name the link before. That depends on the entries up to there.
//   - Whether a link counts may change: a revocation reaches back. It is then as
//     if its version had never been published or withdrawn by it, and still a
//     link, or the Space's own later statements would fall with it.
//
// A follower reads a feed again when a key is revoked, so its rows say what
// counts now. A committer's rows say what is a link; it asks CheckBut.
//
// Entries up to the last multiple of PageSize are kept as packed pages of
// about 120 bytes an entry. An Index is not safe for concurrent use.
type Index struct {
	parent *Index // rows before first; nil for an index that stands alone
	pages  []*page
	first  int64 // index of rows[0]
	rows   []Row

	ids      map[signing.ID]int64
	heads    map[string]int64 // links, by kind/name
	versions map[string]int64 // what counts, by kind/name@version, folded
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
	Ref          Ref            // of a publication or withdrawal; of others, the kind alone
	Manifest     storage.Digest // likewise; of holdings, their document
	ManifestSize int64          // of a publication and of holdings, in bytes
	// Leaf is the place of the leaf that signed a publication or withdrawal,
	// in the identity version in force there.
	Leaf uint8
	// Void says why the entry does not count; empty where it does.
	Void string
	// Link is set where a publication or withdrawal does not count and is a
	// link of its name's chain all the same.
	Link bool
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
	if have, ok := x.ids[r.ID]; !ok || r.holds() && !x.Row(have).holds() {
		x.ids[r.ID] = r.Index
	}
	if r.links() {
		x.heads[headKey(r.Ref.Kind, r.Ref.Name)] = r.Index
	}
	if r.counts() {
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

// links reports whether the row is a link of its name's chain.
func (r Row) links() bool { return r.counts() || r.Link }

// holds reports whether the row is the place of its statement, so that another
// is a repetition. Where the bytes were worth nothing the statement is not in.
func (r Row) holds() bool { return r.Void == "" || r.Link }

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
	p.keepRepeated()
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

// ByID returns the entry with a statement: the one that holds it, else the first.
func (x *Index) ByID(id signing.ID) (int64, bool) {
	first, found := int64(0), false
	holds := func(i int64) bool {
		if !found {
			first, found = i, true
		}
		return x.Row(i).holds()
	}
	if x.parent != nil {
		if i, ok := x.parent.ByID(id); ok && holds(i) {
			return i, true
		}
	}
	if len(x.pages) > 0 {
		hash := hashKey(id[:])
		for n, p := range x.pages {
			if i, ok := p.byID(id[:], hash); ok && holds(int64(n)*PageSize+int64(i)) {
				return int64(n)*PageSize + int64(i), true
			}
		}
	}
	if i, ok := x.ids[id]; ok && holds(i) {
		return i, true
	}
	return first, found
}

// Holds returns the entry that makes another with the same statement a
// repetition.
func (x *Index) Holds(id signing.ID) (int64, bool) {
	i, ok := x.ByID(id)
	return i, ok && x.Row(i).holds()
}

// Head returns the newest link about a kind and name: the one that the next
// statement must name as previous, whether or not it counts.
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

// Live reports whether a row publishes a version that was not withdrawn.
func (x *Index) Live(r Row) bool {
	if r.What != IsPublication || r.Void != "" {
		return false
	}
	now, ok := x.State(r.Ref)
	return ok && now.Index == r.Index
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

// Identities yields the opening and the identity statements that are not void:
// what says who may sign.
func (x *Index) Identities() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for n, p := range x.pages {
			for i := range p.count {
				if p.isTrust(i) && !yield(int64(n)*PageSize+int64(i)) {
					return
				}
			}
		}
		for _, r := range x.rows {
			if (r.What == IsOpening || r.What == IsIdentity) && r.Void == "" && !yield(r.Index) {
				return
			}
		}
	}
}

// Others yields the entries of a kind that is not about packages or identities,
// such as holdings, from the newest back to index from. None of them is void.
func (x *Index) Others(kind signing.Kind, from int64) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for i := x.Size() - 1; i >= from; i-- {
			if x.what(i) != IsOther {
				continue
			}
			if r := x.Row(i); r.Void == "" && r.Ref.Kind == string(kind) && !yield(r) {
				return
			}
		}
	}
}

// what is Row(i).What, without unpacking the row.
func (x *Index) what(i int64) What {
	if i < x.first && x.parent == nil {
		return x.pages[i/PageSize].what(int(i % PageSize))
	}
	return x.Row(i).What
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

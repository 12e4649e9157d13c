package feed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"airlock/signing"
	"airlock/storage"
)

// PageSize is the number of entries of a full index page.
const PageSize = 1 << 16

// MaxPage bounds an index page, in bytes. The longest rows, PageSize of them,
// stay below it (see maxVoid).
const MaxPage = 63 << 20

// A page is a run of at most PageSize rows that never changes, packed:
//
//	"airlock-index 1\n"
//	first index (8 bytes), rows (4), heap length (4)
//	rows, 76 bytes each: statement id (32), manifest (32), manifest size (4),
//	    what (1), link (1), leaf (1), zero (1), heap offset (4)
//	heap: for each row kind, name, version and the reason why it is void,
//	    each as a length (unsigned varint, the shortest) and that many bytes
//	three lists of row numbers, each a count (4) and two bytes a row: all rows
//	    by id; links, by kind/name and index; publications and withdrawals that
//	    count, by kind/name@version and index
//
// Link is 1 for a link that does not count. Numbers are big-endian. Rows have one packed form: what parses comes out the
// same again.
type page struct {
	raw            []byte
	first          int64
	count          int
	rowBytes, heap []byte
	lists          [3][]byte          // row numbers: by id, by head, by version
	filters        [3]filter          // for the lists of a full page
	repeated       map[signing.ID]int // answers of byID; see maxRun
	sum            storage.Digest
}

const (
	pageHeader  = "airlock-index 1\n"
	pageRowSize = 76
)

// The lists of a page.
const (
	byID = iota
	byHead
	byVersion
)

var errPage = errors.New("index page: damaged")

// newPage packs rows, the first of which has index first.
func newPage(first int64, rows []Row) *page {
	heap := make([]byte, 0, 48*len(rows))
	table := make([]byte, 0, len(rows)*pageRowSize)
	all, linked, named := make([]int, len(rows)), []int{}, []int{}
	for i, r := range rows {
		table = append(table, r.ID[:]...)
		table = append(table, r.Manifest[:]...)
		table = binary.BigEndian.AppendUint32(table, uint32(r.ManifestSize))
		table = append(table, byte(r.What), linkByte(r), r.Leaf, 0)
		table = binary.BigEndian.AppendUint32(table, uint32(len(heap)))
		for _, s := range []string{r.Ref.Kind, r.Ref.Name, r.Ref.Version, r.Void} {
			heap = append(binary.AppendUvarint(heap, uint64(len(s))), s...)
		}
		all[i] = i
		if r.links() {
			linked = append(linked, i)
		}
		if r.counts() {
			named = append(named, i)
		}
	}
	out := append([]byte(pageHeader), binary.BigEndian.AppendUint64(nil, uint64(first))...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(rows)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(heap)))
	out = append(append(out, table...), heap...)

	keys := make([][]byte, len(rows))
	byKey := func(a, b int) int { return bytes.Compare(keys[a], keys[b]) }
	for _, list := range []struct {
		rows []int
		key  func(Row) []byte
	}{
		{all, func(r Row) []byte { return r.ID[:] }},
		{linked, func(r Row) []byte { return appendHead(nil, r.Ref.Kind, r.Ref.Name) }},
		{named, func(r Row) []byte { return appendVersion(nil, r.Ref) }},
	} {
		for _, i := range list.rows {
			keys[i] = list.key(rows[i])
		}
		slices.Sort(list.rows)
		slices.SortStableFunc(list.rows, byKey)
		out = binary.BigEndian.AppendUint32(out, uint32(len(list.rows)))
		for _, i := range list.rows {
			out = binary.BigEndian.AppendUint16(out, uint16(i))
		}
	}
	p, err := parsePage(out)
	if err != nil {
		panic("feed: " + err.Error()) // built three lines above
	}
	return p
}

func linkByte(r Row) byte {
	if r.Link {
		return 1
	}
	return 0
}

// parsePage checks the whole page: the outline, every row, and the lists, on
// whose order look-ups rely.
func parsePage(b []byte) (*page, error) {
	if len(b) > MaxPage || len(b) < len(pageHeader)+16 || string(b[:len(pageHeader)]) != pageHeader {
		return nil, fmt.Errorf("index page: want at most %d bytes that begin with %q", MaxPage, pageHeader)
	}
	rest := b[len(pageHeader):]
	p := &page{raw: b, first: int64(binary.BigEndian.Uint64(rest))}
	count, heapLen := int64(binary.BigEndian.Uint32(rest[8:])), int64(binary.BigEndian.Uint32(rest[12:]))
	rest = rest[16:]
	if p.first < 0 || p.first%PageSize != 0 || count > PageSize || count*pageRowSize+heapLen > int64(len(rest)) {
		return nil, errPage
	}
	p.count = int(count)
	p.rowBytes, rest = rest[:count*pageRowSize], rest[count*pageRowSize:]
	p.heap, rest = rest[:heapLen], rest[heapLen:]
	for i := range p.lists {
		if len(rest) < 4 {
			return nil, errPage
		}
		n := int64(binary.BigEndian.Uint32(rest)) * 2
		if rest = rest[4:]; n > int64(len(rest)) {
			return nil, errPage
		}
		p.lists[i], rest = rest[:n], rest[n:]
	}
	if len(rest) > 0 {
		return nil, errPage
	}
	linked, named, err := p.checkRows()
	if err != nil {
		return nil, err
	}
	return p, errors.Join(p.checkList(byID, p.count), p.checkList(byHead, linked), p.checkList(byVersion, named))
}

// checkRows checks that the rows' strings fill the heap, one after the other,
// and counts the links and the packages that count.
func (p *page) checkRows() (linked, named int, err error) {
	at := 0
	for i := range p.count {
		row := p.rowBytes[i*pageRowSize:][:pageRowSize]
		if What(row[68]) > IsWithdrawal || row[69] > 1 || row[71] != 0 || int64(binary.BigEndian.Uint32(row[72:])) != int64(at) {
			return 0, 0, errPage
		}
		var n uint64
		for range 4 {
			var used int
			n, used = binary.Uvarint(p.heap[at:])
			if used <= 0 || used > 1 && p.heap[at+used-1] == 0 || n > uint64(len(p.heap)-at-used) {
				return 0, 0, errPage
			}
			at += used + int(n)
		}
		// Only packages have a leaf, and only those that are void have to say
		// that they are links.
		counts, link := p.isPackage(i) && n == 0, row[69] == 1
		if !p.isPackage(i) && row[69]|row[70] != 0 || counts && link {
			return 0, 0, errPage
		}
		if counts {
			named++
		}
		if counts || link {
			linked++
		}
	}
	if at != len(p.heap) {
		return 0, 0, errPage
	}
	return linked, named, nil
}

// checkList checks that a list has want rows, all different and all such as
// belong in it, by key and index.
func (p *page) checkList(list, want int) error {
	rows := p.lists[list]
	if len(rows) != 2*want {
		return errPage
	}
	var key, last []byte
	lastRow := -1
	for k := 0; k < len(rows); k += 2 {
		i := int(binary.BigEndian.Uint16(rows[k:]))
		if i >= p.count || list == byHead && !p.links(i) || list == byVersion && !p.counts(i) {
			return errPage
		}
		key = p.appendKey(key[:0], list, i)
		if c := bytes.Compare(key, last); k > 0 && (c < 0 || c == 0 && i <= lastRow) {
			return errPage
		}
		key, last, lastRow = last, key, i
	}
	return nil
}

func (p *page) what(i int) What { return What(p.rowBytes[i*pageRowSize+68]) }

// isPackage reports whether row i is a publication or withdrawal.
func (p *page) isPackage(i int) bool {
	what := p.what(i)
	return what == IsPublication || what == IsWithdrawal
}

// isTrust reports whether row i is an opening or identity that is not void.
func (p *page) isTrust(i int) bool {
	what := p.what(i)
	return (what == IsOpening || what == IsIdentity) && len(p.text(i, 3)) == 0
}

// counts reports whether row i speaks of a package and is not void.
func (p *page) counts(i int) bool { return p.isPackage(i) && len(p.text(i, 3)) == 0 }

// links reports whether row i is a link of its name's chain.
func (p *page) links(i int) bool { return p.rowBytes[i*pageRowSize+69] == 1 || p.counts(i) }

// holds reports whether row i is the place of its statement, as Row.holds does.
func (p *page) holds(i int) bool { return len(p.text(i, 3)) == 0 || p.links(i) }

// text returns string k of row i.
func (p *page) text(i, k int) []byte {
	heap := p.heap[binary.BigEndian.Uint32(p.rowBytes[i*pageRowSize+72:]):]
	for ; ; k-- {
		n, used := binary.Uvarint(heap)
		if k == 0 {
			return heap[used:][:n]
		}
		heap = heap[used+int(n):]
	}
}

func (p *page) row(i int) Row {
	b := p.rowBytes[i*pageRowSize:][:pageRowSize]
	return Row{
		Index: p.first + int64(i), ID: signing.ID(b[:32]), Manifest: storage.Digest(b[32:64]),
		ManifestSize: int64(binary.BigEndian.Uint32(b[64:])), What: What(b[68]), Link: b[69] == 1, Leaf: b[70],
		Ref: Ref{string(p.text(i, 0)), string(p.text(i, 1)), string(p.text(i, 2))}, Void: string(p.text(i, 3)),
	}
}

// digest returns the SHA-256 of the page. It is not for concurrent use.
func (p *page) digest() storage.Digest {
	if p.sum.IsZero() {
		p.sum = storage.DigestOf(p.raw)
	}
	return p.sum
}

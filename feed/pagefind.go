package feed

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sort"

	"airlock/signing"
)

// appendKey appends the key of row i in a list.
func (p *page) appendKey(to []byte, list, i int) []byte {
	switch list {
	case byHead:
		to = append(append(to, p.text(i, 0)...), '/')
		return append(to, p.text(i, 1)...)
	case byVersion:
		to = append(append(to, p.text(i, 0)...), '/')
		to = append(append(to, p.text(i, 1)...), '@')
		return appendFolded(to, p.text(i, 2))
	}
	return append(to, p.rowBytes[i*pageRowSize:][:32]...)
}

// maxRun is how many rows with one id a look-up goes through. A log may repeat a
// void statement as often as it likes: of more rows the answer is kept.
const maxRun = 16

// byID returns the row that holds a statement, else the first with its id.
func (p *page) byID(id []byte, hash uint64) (int, bool) {
	if i, ok := p.repeated[signing.ID(id)]; ok {
		return i, true
	}
	return p.holder(p.all(byID, id, hash))
}

// holder returns the row that holds its statement, of those with one id, else
// the first; false for none.
func (p *page) holder(rows []int) (int, bool) {
	for _, i := range rows {
		if p.holds(i) {
			return i, true
		}
	}
	if len(rows) == 0 {
		return 0, false
	}
	return rows[0], true
}

// keepRepeated looks up the ids that more than maxRun rows have.
func (p *page) keepRepeated() {
	list := p.lists[byID]
	row := func(at int) int { return int(binary.BigEndian.Uint16(list[at*2:])) }
	id := func(at int) signing.ID { return signing.ID(p.rowBytes[row(at)*pageRowSize:]) }
	for at, end := 0, 0; at < p.count; at = end {
		for end = at + 1; end < p.count && id(end) == id(at); end++ {
		}
		if end-at <= maxRun {
			continue
		}
		var run []int
		for k := at; k < end; k++ {
			run = append(run, row(k))
		}
		if p.repeated == nil {
			p.repeated = map[signing.ID]int{}
		}
		p.repeated[id(at)], _ = p.holder(run)
	}
}

// all returns the rows of a list whose key is want, in order.
func (p *page) all(list int, want []byte, hash uint64) (rows []int) {
	for at := p.search(list, func(key []byte) bool { return bytes.Compare(key, want) >= 0 }, hash); ; at++ {
		i, ok := p.at(list, at, want)
		if !ok {
			return rows
		}
		rows = append(rows, i)
	}
}

// newest returns the last row of a list whose key is want.
func (p *page) newest(list int, want []byte, hash uint64) (int, bool) {
	at := p.search(list, func(key []byte) bool { return bytes.Compare(key, want) > 0 }, hash)
	return p.at(list, at-1, want)
}

// search returns the first position of a list whose key is beyond something; -1
// where the filter knows that nothing is there. Lists are sorted by key and
// then by index.
func (p *page) search(list int, beyond func(key []byte) bool, hash uint64) int {
	if !p.filters[list].mayHave(hash) {
		return -1
	}
	rows := p.lists[list]
	var buf [512]byte
	return sort.Search(len(rows)/2, func(at int) bool {
		return beyond(p.appendKey(buf[:0], list, int(binary.BigEndian.Uint16(rows[at*2:]))))
	})
}

// at returns the row at a position of a list if its key is want.
func (p *page) at(list, at int, want []byte) (int, bool) {
	if at < 0 || at >= len(p.lists[list])/2 {
		return 0, false
	}
	i := int(binary.BigEndian.Uint16(p.lists[list][at*2:]))
	var buf [512]byte
	return i, bytes.Equal(p.appendKey(buf[:0], list, i), want)
}

// buildFilters makes look-ups of what a page does not hold cheap: in a feed of
// a million entries every new name is looked for in every page.
func (p *page) buildFilters() {
	var buf [512]byte
	for list, rows := range p.lists {
		p.filters[list] = make(filter, filterWords)
		for k := 0; k < len(rows); k += 2 {
			p.filters[list].add(hashKey(p.appendKey(buf[:0], list, int(binary.BigEndian.Uint16(rows[k:])))))
		}
	}
}

// filter is a Bloom filter over the keys of one list: 16 bits a key, of which
// four are set. nil may have everything.
type filter []uint64

const filterWords = PageSize * 16 / 64

var filterSeed = maphash.MakeSeed()

func hashKey(key []byte) uint64 { return maphash.Bytes(filterSeed, key) }

func (f filter) add(hash uint64) {
	for k := range uint64(4) {
		bit := (hash + k*(hash>>32|1)) % (filterWords * 64)
		f[bit/64] |= 1 << (bit % 64)
	}
}

func (f filter) mayHave(hash uint64) bool {
	if f == nil {
		return true
	}
	for k := range uint64(4) {
		if bit := (hash + k*(hash>>32|1)) % (filterWords * 64); f[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
	}
	return true
}

// appendHead appends the key of a name.
func appendHead(to []byte, kind, name string) []byte {
	return append(append(append(to, kind...), '/'), name...)
}

// appendVersion appends the key of a version: versions are compared without
// case, and they are ASCII.
func appendVersion(to []byte, r Ref) []byte {
	return appendFolded(append(appendHead(to, r.Kind, r.Name), '@'), r.Version)
}

func appendFolded[T string | []byte](to []byte, s T) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

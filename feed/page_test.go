package feed

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"airlock/signing"
)

func examplePage() *page {
	return newPage(PageSize, []Row{
		{Index: PageSize, ID: signing.ID{3}, What: IsOpening},
		{Index: PageSize + 1, ID: signing.ID{2}, What: IsPublication, Ref: Ref{"file", "a", "1"}, ManifestSize: 77},
		{Index: PageSize + 2, ID: signing.ID{1}, What: IsPublication, Ref: Ref{"file", "a", "2-RC"}, ManifestSize: 78},
		{Index: PageSize + 3, ID: signing.ID{4}, What: IsPublication, Ref: Ref{"file", "b", "1"}, Void: "because"},
		{Index: PageSize + 4, ID: signing.ID{2}, Ref: Ref{Kind: "new-kind"}},
		{Index: PageSize + 5, ID: signing.ID{5}, What: IsWithdrawal, Ref: Ref{"file", "b", "1"}, Leaf: 3, Void: "revoked", Link: true},
	})
}

func TestPageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rows []Row
		for i := range int64(rapid.IntRange(0, 40).Draw(t, "rows")) {
			rows = append(rows, drawRow(t, i))
		}
		p := newPage(0, rows)
		again, err := parsePage(p.raw)
		if err != nil {
			t.Fatal(err)
		}
		var back []Row
		for i := range again.count {
			back = append(back, again.row(i))
		}
		if !bytes.Equal(newPage(0, back).raw, p.raw) {
			t.Fatalf("rows %v came back as %v", rows, back)
		}
	})
}

// TestPageBitFlips flips every bit of a page: it is refused, or another page
// that keeps every rule.
func TestPageBitFlips(t *testing.T) {
	raw := examplePage().raw
	for i := range len(raw) * 8 {
		b := bytes.Clone(raw)
		b[i/8] ^= 1 << (i % 8)
		checkPage(t, b)
	}
	for i := range raw {
		if p, err := parsePage(raw[:i]); err == nil {
			t.Errorf("the first %d bytes are a page of %d rows", i, p.count)
		}
	}
}

// TestPageRefused lists pages that are wrong in one thing.
func TestPageRefused(t *testing.T) {
	good := examplePage()
	heap := len(pageHeader) + 16 + good.count*pageRowSize
	lists := heap + len(good.heap)
	change := func(change func(b []byte)) []byte {
		b := bytes.Clone(good.raw)
		change(b)
		return b
	}
	for name, b := range map[string][]byte{
		"header":                   change(func(b []byte) { b[14] = '2' }),
		"first between pages":      change(func(b []byte) { b[len(pageHeader)+7]++ }),
		"first below zero":         change(func(b []byte) { b[len(pageHeader)] = 0x80 }),
		"more rows than there":     change(func(b []byte) { b[len(pageHeader)+11]++ }),
		"huge number of rows":      change(func(b []byte) { b[len(pageHeader)+8] = 0xff }),
		"huge heap":                change(func(b []byte) { b[len(pageHeader)+12] = 0xff }),
		"unknown what":             change(func(b []byte) { b[len(pageHeader)+16+68] = 9 }),
		"opening that is a link":   change(func(b []byte) { b[len(pageHeader)+16+69] = 1 }),
		"opening with a leaf":      change(func(b []byte) { b[len(pageHeader)+16+70] = 1 }),
		"padding":                  change(func(b []byte) { b[len(pageHeader)+16+71] = 1 }),
		"link said of what counts": change(func(b []byte) { b[len(pageHeader)+16+pageRowSize+69] = 1 }),
		"unknown link":             change(func(b []byte) { b[len(pageHeader)+16+5*pageRowSize+69] = 2 }),
		"link that is not listed":  change(func(b []byte) { b[len(pageHeader)+16+3*pageRowSize+69] = 1 }),
		"heap offset":              change(func(b []byte) { b[len(pageHeader)+16+pageRowSize+75]++ }),
		"string past the heap":     change(func(b []byte) { b[heap] = 0x7f }),
		"long list":                change(func(b []byte) { b[lists] = 0xff }),
		"ids out of order":         change(func(b []byte) { b[lists+5], b[lists+7] = b[lists+7], b[lists+5] }),
		"row twice in ids":         change(func(b []byte) { b[lists+5] = b[lists+7] }),
		"row that is not there":    change(func(b []byte) { b[lists+13] = 200 }),
		"names list a void row":    change(func(b []byte) { b[lists+4+2*good.count+4+3] = 3 }),
		"versions list a link":     change(func(b []byte) { b[lists+4+2*good.count+4+6+4+3] = 5 }),
		"bytes at the end":         append(bytes.Clone(good.raw), 0),
		"no name for a row that counts": func() []byte {
			b := good.raw[:lists+4+2*good.count]
			return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(bytes.Clone(b), 0), 0)
		}(),
	} {
		if p, err := parsePage(b); err == nil {
			t.Errorf("%s: taken as a page of %d rows", name, p.count)
		}
	}
	if _, err := parsePage(good.raw); err != nil {
		t.Error(err)
	}
	x := NewIndex()
	if err := x.AddPage(good.raw); err == nil {
		t.Error("page 1 was taken as page 0")
	}
	x.Add(Row{})
	if err := x.AddPage(newPage(0, nil).raw); err == nil {
		t.Error("a page was added behind loose rows")
	}
}

// checkPage parses and, where that succeeds, asks everything of the page.
func checkPage(t *testing.T, b []byte) {
	p, err := parsePage(b)
	if err != nil {
		return
	}
	var rows []Row
	for i := range p.count {
		r := p.row(i)
		rows = append(rows, r)
		if at, ok := p.byID(r.ID[:], 0); !ok || p.row(at).ID != r.ID {
			t.Errorf("row %d is not found by its id", i)
		}
		if !r.links() {
			continue
		}
		if at, ok := p.newest(byHead, appendHead(nil, r.Ref.Kind, r.Ref.Name), 0); !ok || at < i {
			t.Errorf("head of row %d is %d, %v", i, at, ok)
		}
		if !r.counts() {
			continue
		}
		if at, ok := p.newest(byVersion, appendVersion(nil, r.Ref), 0); !ok || at < i {
			t.Errorf("state of row %d is %d, %v", i, at, ok)
		}
	}
	if again := newPage(p.first, rows); !bytes.Equal(again.raw, b) {
		t.Errorf("%x came back as %x", b, again.raw)
	}
}

func FuzzPage(f *testing.F) {
	f.Add(examplePage().raw)
	f.Add(newPage(0, nil).raw)
	f.Add([]byte(pageHeader))
	f.Fuzz(checkPage)
}

// TestFilter shows that filters forget nothing, and are small enough in error
// to be of use.
func TestFilter(t *testing.T) {
	f := make(filter, filterWords)
	key := func(i int) uint64 { return hashKey(binary.BigEndian.AppendUint64(nil, uint64(i))) }
	for i := range PageSize {
		f.add(key(i))
	}
	wrong := 0
	for i := range PageSize {
		if !f.mayHave(key(i)) {
			t.Fatalf("key %d was forgotten", i)
		}
		if f.mayHave(key(i + PageSize)) {
			wrong++
		}
	}
	if wrong > PageSize/100 {
		t.Errorf("%d of %d strangers pass", wrong, PageSize)
	}
}

// BenchmarkPage reads a full page: a server's cold start does that for every
// 65,536 entries of a feed.
func BenchmarkPage(b *testing.B) {
	x := NewIndex()
	for i := range int64(PageSize) {
		x.Add(bigRow(i))
	}
	raw := x.Page(0)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if err := NewIndex().AddPage(raw); err != nil {
			b.Fatal(err)
		}
	}
}

package feed

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/signing"
	"airlock/storage"
)

// model is what an index must answer, the slow way.
type model []Row

func (m model) byID(id signing.ID) (first int64, ok bool) {
	for _, r := range m {
		if r.ID == id && (r.Void == "" || r.Link) {
			return r.Index, true
		}
		if r.ID == id && !ok {
			first, ok = r.Index, true
		}
	}
	return first, ok
}

func (m model) newest(is func(Row) bool) (Row, bool) {
	for i := len(m) - 1; i >= 0; i-- {
		if is(m[i]) {
			return m[i], true
		}
	}
	return Row{}, false
}

func (m model) head(kind, name string) (Row, bool) {
	return m.newest(func(r Row) bool { return r.links() && r.Ref.Kind == kind && r.Ref.Name == name })
}

func (m model) state(ref Ref) (Row, bool) {
	return m.newest(func(r Row) bool { return r.counts() && sameVersion(r.Ref, ref) })
}

// stateBut replays what is said of a version without what is revoked.
func (m model) stateBut(ref Ref, revoked func(Row) bool) (state Row, ok bool) {
	for _, r := range m {
		if !r.counts() || revoked(r) || !sameVersion(r.Ref, ref) {
			continue
		}
		taken := ok && state.What == IsPublication
		if r.What == IsPublication && !ok || r.What == IsWithdrawal && taken && state.Manifest == r.Manifest {
			state, ok = r, true
		}
	}
	return state, ok
}

func sameVersion(a, b Ref) bool {
	return a.Kind == b.Kind && a.Name == b.Name && strings.EqualFold(a.Version, b.Version)
}

func oddLeaf(r Row) bool { return r.Leaf%2 == 1 }

var (
	kinds    = rapid.SampledFrom([]string{"a", "b", "a.b"})
	names    = rapid.SampledFrom([]string{"x", "y", "x-y", "z"})
	versions = rapid.SampledFrom([]string{"1", "2", "1-RC", "1-rc"})
	ids      = rapid.Custom(func(t *rapid.T) signing.ID { return signing.ID{rapid.Byte().Draw(t, "id")} })
	refs     = rapid.Custom(func(t *rapid.T) Ref {
		return Ref{kinds.Draw(t, "kind"), names.Draw(t, "name"), versions.Draw(t, "version")}
	})
)

func drawRow(t *rapid.T, i int64) Row {
	r := Row{Index: i, ID: ids.Draw(t, "id"), What: What(rapid.IntRange(0, 4).Draw(t, "what"))}
	if r.What == IsPublication || r.What == IsWithdrawal {
		r.Ref, r.Manifest = refs.Draw(t, "ref"), storage.Digest(ids.Draw(t, "manifest"))
		r.ManifestSize = rapid.Int64Range(0, MaxManifest).Draw(t, "size")
		r.Leaf = uint8(rapid.IntRange(0, 3).Draw(t, "leaf"))
	}
	if rapid.IntRange(0, 3).Draw(t, "void") == 0 {
		r.Void = "is void"
		r.Link = (r.What == IsPublication || r.What == IsWithdrawal) && rapid.Bool().Draw(t, "link")
	}
	return r
}

// TestIndex asks an index, its overlays and its copy through a page the same
// questions as the model.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m model
		x := NewIndex()
		depth := 0
		for range rapid.IntRange(0, 60).Draw(t, "rows") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				x, depth = x.Overlay(), depth+1
			case 1:
				if depth == 0 {
					y := NewIndex()
					if err := y.AddPage(x.Tail()); err != nil {
						t.Fatal(err)
					}
					x = y
				}
			default:
				r := drawRow(t, int64(len(m)))
				x.Add(r)
				m = append(m, r)
			}
		}
		wantModel(t, x, m)
	})
}

func wantModel(t interface{ Fatalf(string, ...any) }, x *Index, m model) {
	if x.Size() != int64(len(m)) {
		t.Fatalf("%d rows, want %d", x.Size(), len(m))
	}
	var all []Row
	for r := range x.Rows(0) {
		all = append(all, r)
	}
	if len(m) > 0 && !reflect.DeepEqual(all, []Row(m)) {
		t.Fatalf("rows %v, want %v", all, m)
	}
	for b := range 256 {
		id := signing.ID{byte(b)}
		got, ok := x.ByID(id)
		if want, has := m.byID(id); ok != has || got != want && ok {
			t.Fatalf("id %d: %d, %v; want %d, %v", b, got, ok, want, has)
		}
	}
	for _, kind := range []string{"a", "b", "a.b", "c"} {
		for _, name := range []string{"x", "y", "x-y", "z", ""} {
			got, ok := x.Head(kind, name)
			if want, has := m.head(kind, name); ok != has || !reflect.DeepEqual(got, want) {
				t.Fatalf("head of %s/%s: %v, want %v", kind, name, got, want)
			}
			for _, version := range []string{"1", "2", "1-RC", "1-rc", "1-Rc", "3"} {
				ref := Ref{kind, name, version}
				got, ok := x.State(ref)
				if want, has := m.state(ref); ok != has || !reflect.DeepEqual(got, want) {
					t.Fatalf("state of %s: %v, want %v", ref, got, want)
				}
				got, ok = x.stateBut(ref, oddLeaf)
				if want, has := m.stateBut(ref, oddLeaf); ok != has || !reflect.DeepEqual(got, want) {
					t.Fatalf("state of %s without odd leaves: %v, want %v", ref, got, want)
				}
			}
		}
	}
}

// bigRow is row i of an index of many pages: every name in every page, some
// ids twice, some rows void.
func bigRow(i int64) Row {
	r := Row{Index: i, ID: signing.ID{byte(i), byte(i >> 8), byte(i >> 16), 1}, What: IsPublication, ManifestSize: i,
		Ref: Ref{"file", fmt.Sprintf("n%d", i%5000), fmt.Sprintf("V%d", i)}, Manifest: storage.Digest{byte(i)}}
	switch {
	case i%7 == 3:
		r.Void = "does not count"
	case i%11 == 5:
		r = Row{Index: i, ID: r.ID}
	case i%1000 == 999:
		r.ID = signing.ID{byte(i - 990), byte((i - 990) >> 8), byte((i - 990) >> 16), 1} // was there
		r.Void = "repeated"
	}
	return r
}

// TestIndexPages fills two pages and a half, and asks for things in each of them:
// in the index that grew, and in one made from its pages.
func TestIndexPages(t *testing.T) {
	const size = 2*PageSize + PageSize/2
	grown := NewIndex()
	for i := range int64(size) {
		grown.Add(bigRow(i))
	}
	if grown.FullPages() != 2 {
		t.Fatalf("%d full pages", grown.FullPages())
	}
	loaded := NewIndex()
	for _, p := range [][]byte{grown.Page(0), grown.Page(1), grown.Tail()} {
		if err := loaded.AddPage(p); err != nil {
			t.Fatal(err)
		}
	}
	overlay := grown.Overlay()
	for i := int64(size); i < size+10; i++ {
		overlay.Add(bigRow(i))
	}
	for name, x := range map[string]*Index{"grown": grown, "loaded": loaded, "overlay": overlay} {
		for i := int64(0); i < size; i += 37 {
			wantBigRow(t, name, x, i)
		}
		for i := int64(999); i < size; i += 1000 {
			wantBigRow(t, name, x, i)
		}
		if _, ok := x.ByID(signing.ID{1, 2, 3, 4}); ok {
			t.Errorf("%s: found an id that nobody has", name)
		}
		if _, ok := x.State(Ref{"file", "n1", "v0"}); ok {
			t.Errorf("%s: found a version that nobody has", name)
		}
		head, ok := x.Head("file", "n17")
		if want := x.Size() - x.Size()%5000 + 17; !ok || head.Index < want-10000 || !head.counts() || head.Ref.Name != "n17" {
			t.Errorf("%s: head of n17 is %v", name, head)
		}
	}
}

func wantBigRow(t *testing.T, name string, x *Index, i int64) {
	t.Helper()
	want := bigRow(i)
	if got := x.Row(i); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: row %d is %v, want %v", name, i, got, want)
	}
	first := i
	if want.Void == "repeated" {
		first = i - 990
	}
	if got, ok := x.ByID(want.ID); !ok || got != first {
		t.Errorf("%s: the statement of row %d is found at %d, %v; want %d", name, i, got, ok, first)
	}
	if !want.counts() {
		return
	}
	folded := Ref{want.Ref.Kind, want.Ref.Name, strings.ToLower(want.Ref.Version)}
	if got, ok := x.State(folded); !ok || got.Index != i {
		t.Errorf("%s: state of %s is %v, %v", name, folded, got, ok)
	}
}

// TestIndexRepeated fills pages with void statements that are repeated, a few of
// which hold at last: a look-up goes through few rows, wherever it looks.
func TestIndexRepeated(t *testing.T) {
	x := NewIndex()
	want := map[signing.ID]int64{}
	for i := range int64(2 * PageSize) {
		r := Row{Index: i, ID: signing.ID{byte(i % 3)}, What: IsPublication, Ref: Ref{"file", "a", "1"}, Void: "is void"}
		switch i {
		case PageSize - 2: // the last of its id in the first page
			r.Link = true
		case 2*PageSize - 1:
			r.Void = ""
		case 500:
			r.ID = signing.ID{9} // once only
		}
		x.Add(r)
		if have, ok := want[r.ID]; !ok || r.holds() && !x.Row(have).holds() {
			want[r.ID] = i
		}
	}
	loaded := NewIndex()
	for n := range x.FullPages() {
		if err := loaded.AddPage(x.Page(n)); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range map[string]*Index{"grown": x, "loaded": loaded} {
		for id, index := range want {
			if got, ok := x.ByID(id); !ok || got != index {
				t.Errorf("%s: statement %d is found at %d, %v; want %d", name, id[0], got, ok, index)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			x.ByID(id)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<10 {
				t.Errorf("%s: to find statement %d takes %d bytes", name, id[0], n)
			}
		}
	}
}

// TestIndexLongReasons fills a page with void rows whose reasons quote as much
// as a stranger can write: it must still fit.
func TestIndexLongReasons(t *testing.T) {
	x := NewIndex()
	long := Ref{strings.Repeat("k", maxName), strings.Repeat("n", maxName), strings.Repeat("v", maxVersion)}
	reason := strings.Repeat("é", 5000)
	for i := range int64(PageSize) {
		x.Add(Row{Index: i, ID: signing.ID{byte(i), byte(i >> 8)}, What: IsPublication, Ref: long, Void: reason})
	}
	if n := len(x.Page(0)); n > MaxPage {
		t.Errorf("a page of %d bytes", n)
	}
	if got := x.Row(7).Void; len(got) != maxVoid || got != reason[:maxVoid] {
		t.Errorf("reason %q", got)
	}
}

// TestIndexCheck is the table of rules 4.3 and 4.4 for what may come next.
func TestIndexCheck(t *testing.T) {
	id := func(b byte) signing.ID { return signing.ID{b} }
	prev := func(b byte) *signing.ID { p := id(b); return &p }
	m := func(b byte) storage.Digest { return storage.Digest{b} }
	a1, a2, b1 := Ref{"file", "a", "1"}, Ref{"file", "a", "2"}, Ref{"file", "b", "1"}
	x := NewIndex()
	x.Add(Row{Index: 0, ID: id(1), What: IsPublication, Ref: a1, Manifest: m(1)})
	x.Add(Row{Index: 1, ID: id(2), What: IsPublication, Ref: b1, Manifest: m(2)})
	x.Add(Row{Index: 2, ID: id(3), What: IsWithdrawal, Ref: b1, Manifest: m(2)})
	x.Add(Row{Index: 3, ID: id(4), What: IsPublication, Ref: a2, Manifest: m(3), Void: "by a stranger"})
	x.Add(Row{Index: 4, ID: id(5), What: IsPublication, Ref: Ref{"file", "d", "1"}, Manifest: m(4), Void: "revoked", Link: true})
	for name, c := range map[string]struct {
		entry Entry
		want  any // nil where it may come
	}{
		"next version":                  {Entry{ID: id(9), What: IsPublication, Ref: a2, Manifest: m(9), Previous: prev(1)}, nil},
		"first of a name":               {Entry{ID: id(9), What: IsPublication, Ref: Ref{"file", "c", "1"}, Manifest: m(9)}, nil},
		"first of a kind":               {Entry{ID: id(9), What: IsPublication, Ref: Ref{"other", "a", "1"}, Manifest: m(9)}, nil},
		"after a withdrawal":            {Entry{ID: id(9), What: IsPublication, Ref: Ref{"file", "b", "2"}, Manifest: m(9), Previous: prev(3)}, nil},
		"withdrawal":                    {Entry{ID: id(9), What: IsWithdrawal, Ref: a1, Manifest: m(1), Previous: prev(1)}, nil},
		"other kinds":                   {Entry{ID: id(9)}, nil},
		"repeated":                      {Entry{ID: id(1), What: IsPublication, Ref: a1, Manifest: m(1)}, new(*RepeatedError)},
		"repeated, a void link":         {Entry{ID: id(5)}, new(*RepeatedError)},
		"where it was worth nothing":    {Entry{ID: id(4), What: IsPublication, Ref: a2, Manifest: m(3), Previous: prev(1)}, nil},
		"after a void link":             {Entry{ID: id(9), What: IsPublication, Ref: Ref{"file", "d", "1"}, Manifest: m(9), Previous: prev(5)}, nil},
		"skips a void link":             {Entry{ID: id(9), What: IsPublication, Ref: Ref{"file", "d", "1"}, Manifest: m(9)}, new(*ChainError)},
		"same content":                  {Entry{ID: id(9), What: IsPublication, Ref: a1, Manifest: m(1), Previous: prev(1)}, new(*VersionError)},
		"other content":                 {Entry{ID: id(9), What: IsPublication, Ref: a1, Manifest: m(9), Previous: prev(1)}, new(*VersionError)},
		"withdrawn version":             {Entry{ID: id(9), What: IsPublication, Ref: b1, Manifest: m(2), Previous: prev(3)}, new(*VersionError)},
		"withdrawn again":               {Entry{ID: id(9), What: IsWithdrawal, Ref: b1, Manifest: m(2), Previous: prev(3)}, new(*VersionError)},
		"withdraws other content":       {Entry{ID: id(9), What: IsWithdrawal, Ref: a1, Manifest: m(2), Previous: prev(1)}, new(*VersionError)},
		"withdraws nothing":             {Entry{ID: id(9), What: IsWithdrawal, Ref: Ref{"file", "a", "7"}, Previous: prev(1)}, new(*VersionError)},
		"withdraws what is void":        {Entry{ID: id(9), What: IsWithdrawal, Ref: a2, Manifest: m(3), Previous: prev(1)}, new(*VersionError)},
		"skips the head":                {Entry{ID: id(9), What: IsPublication, Ref: Ref{"file", "b", "2"}, Previous: prev(2)}, new(*ChainError)},
		"names a void one":              {Entry{ID: id(9), What: IsPublication, Ref: a2, Previous: prev(4)}, new(*ChainError)},
		"names none":                    {Entry{ID: id(9), What: IsPublication, Ref: a2}, new(*ChainError)},
		"names one where there is none": {Entry{ID: id(9), What: IsPublication, Ref: Ref{"file", "c", "1"}, Previous: prev(1)}, new(*ChainError)},
		"withdrawal names none":         {Entry{ID: id(9), What: IsWithdrawal, Ref: a1, Manifest: m(1)}, new(*ChainError)},
	} {
		err := x.Check(c.entry)
		_, version := errors.AsType[*VersionError](err)
		if follows := x.Follows(c.entry); follows != (c.entry.isPackage() && (err == nil || version && x.checkChain(c.entry) == nil)) {
			t.Errorf("%s: is a link: %v, and %v", name, follows, err)
		}
		if c.want == nil && err != nil || c.want != nil && !errors.As(err, c.want) {
			t.Errorf("%s: got %v, want %T", name, err, c.want)
		}
		if err != nil && (err.Error() == "" || strings.Contains(err.Error(), "%!")) {
			t.Errorf("%s: message %q", name, err)
		}
	}
}

// TestCheckBut is the same for an index of links, some of which do not count.
func TestCheckBut(t *testing.T) {
	id := func(b byte) signing.ID { return signing.ID{b} }
	m := func(b byte) storage.Digest { return storage.Digest{b} }
	a1, b1, c1 := Ref{"file", "a", "1"}, Ref{"file", "b", "1"}, Ref{"file", "c", "1"}
	x := NewIndex()
	for i, r := range []Row{
		{ID: id(1), What: IsPublication, Ref: a1, Manifest: m(1)},
		{ID: id(2), What: IsPublication, Ref: a1, Manifest: m(2)}, // a second content
		{ID: id(3), What: IsPublication, Ref: b1, Manifest: m(3), Leaf: 1},
		{ID: id(4), What: IsWithdrawal, Ref: b1, Manifest: m(3)}, // of what the thief published
		{ID: id(5), What: IsPublication, Ref: c1, Manifest: m(5)},
		{ID: id(6), What: IsWithdrawal, Ref: c1, Manifest: m(5), Leaf: 1}, // by the thief
	} {
		r.Index = int64(i)
		x.Add(r)
	}
	to := func(what What, ref Ref, manifest, previous byte) Entry {
		p := id(previous)
		return Entry{ID: id(9), What: what, Ref: ref, Manifest: m(manifest), Previous: &p}
	}
	for name, c := range map[string]struct {
		entry                   Entry
		nobody, thief, everyone bool // may it come where their entries are revoked?
	}{
		"withdraw the first content":  {to(IsWithdrawal, a1, 1, 2), true, true, false},
		"withdraw the second":         {to(IsWithdrawal, a1, 2, 2), false, false, false},
		"a third content":             {to(IsPublication, a1, 3, 2), false, false, true},
		"a third, beside the second":  {to(IsPublication, a1, 3, 1), false, false, false},
		"the thief's version":         {to(IsPublication, b1, 9, 4), false, true, true},
		"withdraw the thief's":        {to(IsWithdrawal, b1, 3, 4), false, false, false},
		"what the thief withdrew":     {to(IsPublication, c1, 9, 6), false, false, true},
		"withdraw what he withdrew":   {to(IsWithdrawal, c1, 5, 6), false, true, false},
		"a version that nobody knows": {to(IsPublication, Ref{"file", "c", "2"}, 9, 6), true, true, true},
	} {
		for who, revoked := range map[string]func(Row) bool{"nobody": nil, "thief": oddLeaf, "everyone": func(Row) bool { return true }} {
			want := map[string]bool{"nobody": c.nobody, "thief": c.thief, "everyone": c.everyone}[who]
			if err := x.CheckBut(c.entry, revoked); (err == nil) != want {
				t.Errorf("%s, %s revoked: %v", name, who, err)
			}
		}
	}
}

package bundle

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the examples in testdata again")

// exampleTables goes with exampleDocument.
func exampleTables() *Tables {
	return &Tables{
		Parts: []Part{
			{Kind: Statements, Count: 1, Size: 300, Of: storage.Digest{1}},
			{Kind: Packed, Size: 20, Of: storage.Digest{2}},
			{Kind: Delta, Size: 1, Of: storage.Digest{3}, Base: storage.Digest{4}},
			{Kind: Held, Of: storage.Digest{5}},
			{Kind: HeldPackage, Of: storage.Digest{8}},
			{Kind: Scans, Size: 30, Of: storage.Digest{9}},
		},
		Blocks: []storage.Digest{{6}, {7}},
	}
}

// The examples are what the formats are, byte for byte.
func TestExamples(t *testing.T) {
	tables := exampleTables()
	doc := exampleDocument()
	doc.Tables = storage.RefOf(tables.Format())
	doc.Label, doc.Classification, doc.Expires = "weekly", "OFFICIAL", "2026-03-03T04:05:06Z"
	doc.Encryption = &Encryption{Header: 184, Recipient: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}
	doc.Parity = &Parity{Data: 2, Groups: 1, Shards: 1}
	doc.Volumes = Volumes{Area: 1024, Count: 2, Parity: 1}
	for name, want := range map[string][]byte{"document.json": mustFormat(t, doc), "tables.bin": tables.Format()} {
		path := filepath.Join("testdata", name)
		if *update {
			check(t, os.MkdirAll("testdata", 0o777))
			check(t, os.WriteFile(path, want, 0o666))
		}
		if got := readAll(t, path); !bytes.Equal(got, want) {
			t.Errorf("%s is another one", name)
		}
	}
	parsed, err := ParseDocument(readAll(t, filepath.Join("testdata", "document.json")))
	check(t, err)
	_, err = ParseTables(readAll(t, filepath.Join("testdata", "tables.bin")), parsed)
	check(t, err)
}

// A document that breaks a rule is not read, and the error says which.
func TestDocumentRules(t *testing.T) {
	for want, change := range map[string]func(*Document){
		"want airlock.example/v1":  func(d *Document) { d.APIVersion = "airlock.example/v2" },
		`created: "2026`:           func(d *Document) { d.Created = "2026-02-03 04:05:06" },
		`created: "" is`:           func(d *Document) { d.Created = "" },
		"expires:":                 func(d *Document) { d.Expires = "2026-02-03T04:05:06+01:00" },
		"label:":                   func(d *Document) { d.Label = "\x1b[2J" },
		"classification:":          func(d *Document) { d.Classification = strings.Repeat("x", 1<<12) },
		"want <organisation>":      func(d *Document) { d.Audience.Space = "../x" },
		"tables of":                func(d *Document) { d.Tables.Size = MaxTables + 1 },
		"feeds, want":              func(d *Document) { d.Feeds = nil },
		"with base":                func(d *Document) { d.Feeds[0].From = 1; d.Feeds[0].To = 2 },
		"the checkpoint is of":     func(d *Document) { d.Feeds[0].To = 10_000_000 },
		"sorted and named once":    func(d *Document) { d.Feeds = append(d.Feeds, d.Feeds[0]) },
		"blocks of":                func(d *Document) { d.Block = 500 },
		"whole blocks up to":       func(d *Document) { d.Volumes.Area = 1 << 50 },
		"whole blocks of at least": func(d *Document) { d.Volumes.Area = 512 },
		"volumes, 0 of them":       func(d *Document) { d.Volumes.Count = 1000 },
		"parity without":           func(d *Document) { d.Parity = &Parity{Data: 1, Groups: 1, Shards: 1} },
		"200 data and 100 parity":  func(d *Document) { d.Parity, d.Volumes.Parity, d.Volumes.Count = &Parity{200, 1, 100}, 1, 2 },
		"want a native age":        func(d *Document) { d.Encryption = &Encryption{184, "age1plug1qqq"} },
		"headers of":               func(d *Document) { d.Encryption = &Encryption{1 << 40, testRecipient} },
	} {
		d := exampleDocument()
		change(d)
		if _, err := d.Format(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		if raw, err := signing.MarshalCanonical(d); err == nil {
			if _, err := ParseDocument(raw); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
				t.Errorf("parsing: want %q, got %v", want, err)
			}
		}
	}
}

// Tables that promise what is not there are refused before it is looked for.
func TestTableRules(t *testing.T) {
	for want, change := range map[string]func(*Tables){
		"the bundle promises":   func(t *Tables) { t.Parts = t.Parts[1:] },
		"want 0":                func(t *Tables) { t.Parts[0].First = 1 },
		"300 statements":        func(t *Tables) { t.Parts[0].Count = 300 },
		"feed 1 of 1":           func(t *Tables) { t.Parts[1].Feed = 1 },
		"pack at 7":             func(t *Tables) { t.Parts[1].First = 7 },
		"bytes, want 1 to":      func(t *Tables) { t.Parts[2].Size = 1 << 62 },
		"bytes, want 0 to 0":    func(t *Tables) { t.Parts[3].Size = 1 },
		"held package of 1":     func(t *Tables) { t.Parts[4].Size = 1 },
		"scans at 7":            func(t *Tables) { t.Parts[5].First = 7 },
		"scans of 262145 bytes": func(t *Tables) { t.Parts[5].Size = 256<<10 + 1 },
		"no known kind":         func(t *Tables) { t.Parts[3].Kind = 9 },
		"what does not belong":  func(t *Tables) { t.Parts[1].Base = storage.Digest{1} },
		"statements from 5 on":  func(t *Tables) { t.Parts = append(t.Parts, Part{Kind: Statements, First: 5, Count: 1, Size: 9}) },
		"statements of 0 bytes": func(t *Tables) { t.Parts[0].Size = 0 },
	} {
		x := exampleTables()
		change(x)
		if _, err := ParseTables(x.Format(), exampleDocument()); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A layout that does not fit its parts is refused.
func TestLayoutRules(t *testing.T) {
	for want, change := range map[string]func(*Document, []Part){
		"larger than 1 volumes":  func(_ *Document, p []Part) { p[2].Size = 1 << 39 },
		"parts fill 3 volumes":   func(d *Document, _ []Part) { d.Volumes.Count = 4 },
		"parity groups of 6":     func(d *Document, _ []Part) { d.Volumes = Volumes{1024, 4, 1}; d.Parity = &Parity{9, 1, 1} },
		"parity fills 1 volumes": func(d *Document, _ []Part) { d.Volumes = Volumes{1024, 5, 2}; d.Parity = &Parity{6, 1, 1} },
	} {
		d, parts := exampleDocument(), exampleTables().Parts[:3]
		change(d, parts)
		if _, err := newLayout(d, parts, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// What parses comes out again as the same bytes.
func FuzzDocument(f *testing.F) {
	raw, err := exampleDocument().Format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"apiVersion":"airlock.example/v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDocument(b)
		if err != nil {
			return
		}
		if again, err := d.Format(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
	})
}

func FuzzTables(f *testing.F) {
	f.Add(exampleTables().Format())
	f.Add([]byte(tablesHeader + "\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := exampleDocument()
		x, err := ParseTables(b, d)
		if err != nil {
			return
		}
		if !bytes.Equal(x.Format(), b) {
			t.Fatalf("%q became %q", b, x.Format())
		}
		d.Volumes.Count, d.Volumes.Area = 999, 1<<40
		_, _ = newLayout(d, x.Parts, 0)
	})
}

// A file that says it is a volume is refused, or is what it says, whatever is in
// it.
func FuzzVolume(f *testing.F) {
	f.Add(exampleVolume(f))
	f.Add(bytes.Repeat([]byte{'7'}, 4096))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHead(bytes.NewReader(b), int64(len(b)))
		if err == nil && (h.volume >= h.doc.Volumes.Count || h.frame > int64(len(b))) {
			t.Fatalf("volume %d of %d, a frame of %d bytes", h.volume, h.doc.Volumes.Count, h.frame)
		}
	})
}

// exampleVolume is a volume with nothing between its frames.
func exampleVolume(tb testing.TB) []byte {
	tables := exampleTables().Format()
	doc := exampleDocument()
	doc.Tables = storage.RefOf(tables)
	raw, err := doc.Format()
	check(tb, err)
	s := trusttest.New(tb, "acme/dev-qa").Publisher
	st, err := Statement(ID(storage.DigestOf(raw)), trust.Bound{Feed: "acme/dev-qa/shared", Epoch: 1})
	check(tb, err)
	a, err := s.Sign(tb.Context(), st)
	check(tb, err)
	m, err := newManifest(raw, a.Bytes())
	check(tb, err)
	m.tables = tables
	var b bytes.Buffer
	for _, prefix := range []string{"", copyPrefix} {
		_, err := b.ReadFrom(m.frame(prefix, 0))
		check(tb, err)
	}
	b.Write(make([]byte, tarEnd))
	return b.Bytes()
}

// Slices of a part lie within areas and hold all of it, whatever the sizes.
func TestSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := exampleDocument()
		d.Block = 512
		d.Volumes.Area = 512 * rapid.Int64Range(2, 9).Draw(t, "area")
		var parts []Part
		for _, size := range rapid.SliceOfN(rapid.Int64Range(0, 9000), 1, 8).Draw(t, "sizes") {
			parts = append(parts, Part{Kind: Object, Size: size})
		}
		pl := &planner{plan: &Plan{Document: d, Parts: parts}}
		d.Volumes.Count = int(pl.volumes())
		l, err := newLayout(d, parts, 0)
		if err != nil {
			t.Fatal(err)
		}
		var at int64
		for i, p := range parts {
			var sum int64
			for s := range l.slices(i) {
				end := s.at + tarBlock + s.size
				if s.at != at || s.at/d.Volumes.Area != (end-1)/d.Volumes.Area {
					t.Fatalf("slice at %d, want %d, of %d bytes in areas of %d", s.at, at, s.size, d.Volumes.Area)
				}
				at = s.at + tarBlock + padded(s.size)
				sum += s.size
			}
			if sum != p.Size {
				t.Fatalf("%d bytes in slices, the part has %d", sum, p.Size)
			}
		}
		if at != l.total {
			t.Fatalf("ends at %d, total %d", at, l.total)
		}
	})
}

package bundle

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/storage"
)

// exampleScans is what testdata/scans.json says.
var exampleScans = []Scan{
	{Manifest: storage.Digest{1}, Said: "ClamAV 1.4.1, signatures of 2026-02-02: nothing found", Time: "2026-02-03T04:05:06Z"},
	{Manifest: storage.Digest{2}, Time: "2026-02-03T04:05:07Z"},
}

func TestScansExample(t *testing.T) {
	path := filepath.Join("testdata", "scans.json")
	want, err := formatScans(exampleScans)
	check(t, err)
	if *update {
		check(t, os.WriteFile(path, want, 0o666))
	}
	if got := readAll(t, path); !bytes.Equal(got, want) {
		t.Errorf("the example is another one: %s", want)
	}
	if got, err := parseScans(want); err != nil || !slices.Equal(got, exampleScans) {
		t.Errorf("got %v, %v", got, err)
	}
}

// Verdicts that break a rule are not read, and the error says which.
func TestScansRefuses(t *testing.T) {
	many := make([]Scan, feed.SegmentSize+1)
	for i := range many {
		many[i] = Scan{Manifest: storage.Digest{byte(i >> 8), byte(i)}, Time: "2026-02-03T04:05:06Z"}
	}
	for want, scans := range map[string][]Scan{
		"0 packages, want 1 to 256":  {},
		"257 packages":               many,
		"clean[1]: not in the order": {exampleScans[1], exampleScans[0]},
		"or twice":                   {exampleScans[0], exampleScans[0]},
		"byte 0 is not printable":    {{Said: "\x1b[2J", Time: "2026-02-03T04:05:06Z"}},
		"clean[0]: said":             {{Said: strings.Repeat("x", 401), Time: "2026-02-03T04:05:06Z"}},
		"clean[0]: time":             {{Time: "2026-02-03 04:05:06"}},
	} {
		if _, err := formatScans(scans); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for want, raw := range map[string]string{
		"want \"airlock-bundle-scans 1\"": `{"clean":[{"manifest":"` + storage.Digest{1}.String() + `","time":"2026-02-03T04:05:06Z"}],"format":"airlock-bundle-scans 2"}`,
		"bundle scans":                    `{}`,
		"at most 262144 are allowed":      strings.Repeat(" ", maxScans+1),
	} {
		if _, err := parseScans([]byte(raw)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// What is written is read again, and takes no more room than a part may.
func TestScansRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := rapid.SampledFrom([]string{"", "clean", `"quoted" \`, strings.Repeat(`"`, 400), strings.Repeat("ü", 200)})
		var scans []Scan
		for i := range rapid.IntRange(1, feed.SegmentSize).Draw(t, "packages") {
			scans = append(scans, Scan{Manifest: storage.Digest{byte(i)}, Said: said.Draw(t, "said"), Time: "2026-02-03T04:05:06Z"})
		}
		raw, err := formatScans(scans)
		if err != nil || len(raw) > maxScans {
			t.Fatalf("%d bytes, %v", len(raw), err)
		}
		if got, err := parseScans(raw); err != nil || !slices.Equal(got, scans) {
			t.Fatalf("got %v, %v", got, err)
		}
	})
}

func FuzzScans(f *testing.F) {
	raw, err := formatScans(exampleScans)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"clean":[],"format":"airlock-bundle-scans 1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		scans, err := parseScans(b)
		if err != nil {
			return
		}
		if again, err := formatScans(scans); err != nil || !bytes.Equal(again, b) {
			t.Errorf("becomes %s, %v", again, err)
		}
	})
}

// Verdicts travel with what they are about: of packages that are left out, and of
// others, none does.
func TestScansTravel(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.Carry = func(_ feed.ID, r feed.Row) bool { return r.Ref.Name == "motd" }
	o.Scans = func(_ context.Context, _ Feed, rows []feed.Row) ([]Scan, error) {
		all := []Scan{{Manifest: storage.Digest{1}, Time: "2026-02-03T04:05:06Z"}}
		for _, r := range rows {
			all = append(all, Scan{Manifest: r.Manifest, Said: r.Ref.String(), Time: "2026-02-03T04:05:06Z"})
		}
		return all, nil
	}
	dir, _ := s.write(o)
	b := open(t, OpenOptions{}, dir)
	got, err := b.Scans(s.ID)
	check(t, err)
	var said []string
	for _, v := range got {
		said = append(said, v.Said)
	}
	slices.Sort(said)
	if want := []string{"file/motd@1", "file/motd@2"}; !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
	o.Scans = func(context.Context, Feed, []feed.Row) ([]Scan, error) { return nil, context.Canceled }
	if _, err := Prepare(t.Context(), o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

package home

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"airlock/storage"
	"airlock/trust"
)

var scannedManifest = storage.DigestOf([]byte("manifest"))

// exampleScans is what testdata/scans.json says.
var exampleScans = []trust.Scan{
	{Command: `clamscan -r "$AIRLOCK_SCAN_DIR"`, Said: "db.yaml: Eicar-Signature FOUND", Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)},
	{Command: "/usr/local/bin/look", Clean: true, Time: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
}

func TestScansExample(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "scans.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseScans(scannedManifest, b)
	if diff := cmp.Diff(exampleScans, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if again, err := formatScans(scannedManifest, exampleScans); err != nil || !bytes.Equal(again, b) {
		t.Errorf("becomes %s, %v", again, err)
	}
}

// TestScans keeps the newest word of each scanner, of so many, also when the
// clock is put back.
func TestScans(t *testing.T) {
	h := open(t, t.TempDir())
	expect := func(want string) {
		t.Helper()
		all, err := open(t, h.path).Scans(scannedManifest)
		got := ""
		for _, s := range all {
			got += fmt.Sprintf("%s %v %s;", s.Command, s.Clean, s.Time.Format("15:04:05"))
		}
		if err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	noon := time.Date(2026, 3, 4, 12, 0, 0, 500, time.FixedZone("", 3600))
	keep := func(command string, clean bool, at time.Duration) {
		t.Helper()
		if err := h.KeepScan(scannedManifest, trust.Scan{Command: command, Clean: clean, Time: noon.Add(at)}); err != nil {
			t.Fatal(err)
		}
	}
	expect("")
	keep("a", true, 0)
	expect("a true 11:00:00;")
	keep("b", false, time.Second)
	expect("b false 11:00:01;a true 11:00:00;")
	keep("a", false, time.Minute)
	expect("a false 11:01:00;b false 11:00:01;")
	keep("b", true, -time.Hour)
	expect("b true 11:01:00;a false 11:01:00;")
	if other, err := h.Scans(storage.DigestOf([]byte("another"))); err != nil || len(other) != 0 {
		t.Errorf("another manifest: %v, %v", other, err)
	}
	for i := range maxScans {
		keep(fmt.Sprint(i), true, 2*time.Minute)
	}
	expect("7 true 11:02:00;6 true 11:02:00;5 true 11:02:00;4 true 11:02:00;3 true 11:02:00;2 true 11:02:00;1 true 11:02:00;0 true 11:02:00;")
}

// A damaged file, or one of another package, lets nothing in, and says what to do.
func TestScansDamaged(t *testing.T) {
	h := open(t, t.TempDir())
	good, err := formatScans(scannedManifest, exampleScans)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, with string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("%s is not in the file", old)
		}
		return strings.Replace(string(good), old, with, 1)
	}
	for name, file := range map[string]string{
		"cut off":              string(good[:len(good)-2]),
		"another manifest":     swap(scannedManifest.String(), storage.DigestOf([]byte("x")).String()),
		"another format":       swap("airlock-scans 1", "airlock-scans 2"),
		"another verdict":      swap(`"clean"`, `"cleam"`),
		"no verdict":           swap(`,"verdict":"clean"`, ``),
		"command twice":        swap("/usr/local/bin/look", `clamscan -r \"$AIRLOCK_SCAN_DIR\"`),
		"command empty":        swap("/usr/local/bin/look", ""),
		"command of two lines": swap("/usr/local/bin/look", `a\nb`),
		"command too long":     swap("/usr/local/bin/look", strings.Repeat("a", MaxScanner+1)),
		"said too much":        swap("FOUND", strings.Repeat("a", maxSaid)),
		"said, unprintable":    swap("FOUND", `\u001b`),
		"out of order":         swap("2026-03-01", "2026-03-05"),
		"no time":              swap("2026-03-01T00:00:00Z", "yesterday"),
		"another zone":         swap("2026-03-01T00:00:00Z", "2026-03-01T00:00:00+01:00"),
		"unknown member":       swap(`{"command":"/usr`, `{"by":"bob","command":"/usr`),
		"white space":          swap(`,"time"`, `, "time"`),
		"oversized":            string(good) + strings.Repeat(" ", maxScanned),
		"empty list":           `{"format":"airlock-scans 1","manifest":"` + scannedManifest.String() + `","scans":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(h.file("scans"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(h.scansFile(scannedManifest), []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := h.Scans(scannedManifest)
			if err == nil || len(got) > 0 || !strings.Contains(err.Error(), h.scansFile(scannedManifest)) {
				t.Errorf("%v, %v", got, err)
			}
			var damaged *ScansFileError
			if name != "oversized" && (!errors.As(err, &damaged) || damaged.Hint() == "") {
				t.Errorf("%v is no *ScansFileError", err)
			}
			if err := h.KeepScan(scannedManifest, exampleScans[1]); err == nil {
				t.Error("was written over")
			}
		})
	}
}

// What cannot be read again is not kept.
func TestKeepScanRefuses(t *testing.T) {
	h := open(t, t.TempDir())
	for _, s := range []trust.Scan{{}, {Command: " "}, {Command: strings.Repeat("a", MaxScanner+1)}, {Command: "a", Said: strings.Repeat("b", maxSaid+1)}, {Command: "a\x00"}} {
		if err := h.KeepScan(scannedManifest, s); err == nil {
			t.Errorf("%.40q was kept", s)
		}
	}
}

func scansOf() *rapid.Generator[[]trust.Scan] {
	return rapid.Custom(func(t *rapid.T) []trust.Scan {
		commands := rapid.SliceOfNDistinct(rapid.StringMatching(`[!-~é"\\]{1,30}`), 1, maxScans, rapid.ID[string]).Draw(t, "commands")
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var out []trust.Scan
		for _, c := range commands {
			at = at.Add(-time.Duration(rapid.IntRange(0, 1e6).Draw(t, "seconds")) * time.Second)
			out = append(out, trust.Scan{Command: c, Clean: rapid.Bool().Draw(t, "clean"), Said: rapid.StringMatching(`[ -~é]{0,40}`).Draw(t, "said"), Time: at})
		}
		return out
	})
}

func TestScansRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := scansOf().Draw(t, "scans")
		b, err := formatScans(scannedManifest, in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := parseScans(scannedManifest, b)
		if diff := cmp.Diff(in, out); err != nil || diff != "" || len(b) > maxScanned {
			t.Errorf("%s: %v (-want +got):\n%s", b, err, diff)
		}
	})
}

// The largest file is within the bound.
func TestScansBound(t *testing.T) {
	var all []trust.Scan
	for i := range maxScans {
		all = append(all, trust.Scan{Command: strings.Repeat(`"`, MaxScanner-1) + fmt.Sprint(i), Said: strings.Repeat(`\`, maxSaid)})
	}
	if b, err := formatScans(scannedManifest, all); err != nil || len(b) > maxScanned {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func FuzzParseScans(f *testing.F) {
	good, err := formatScans(scannedManifest, exampleScans)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"airlock-scans 1","manifest":"` + scannedManifest.String() + `","scans":[]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		scans, err := parseScans(scannedManifest, b)
		if err != nil {
			return
		}
		if again, err := formatScans(scannedManifest, scans); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q became %q, %v", b, again, err)
		}
	})
}

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/bench/peers"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{100, 1, 1, 1, 1}, 1},
	} {
		before := append([]float64{}, c.values...)
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", before, got, c.want)
		}
		for i := range before {
			if before[i] != c.values[i] {
				t.Errorf("median changed its argument %v to %v", before, c.values)
				break
			}
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing = %v", got)
	}
}

func TestVerdict(t *testing.T) {
	ours := func(v ...float64) side { return side{values: v} }
	peer := &side{values: []float64{10, 20, 30}}
	for _, c := range []struct {
		name   string
		l      line
		target string
		want   string
	}{
		{"fast enough", line{peer: peer, ours: ours(200), target: atLeast(10)}, "at least 10 times", "yes"},
		{"too slow", line{peer: peer, ours: ours(199), target: atLeast(10)}, "at least 10 times", "missed"},
		{"cheap enough", line{peer: peer, ours: ours(26), target: atMost(1.3)}, "at most 1.3 times", "yes"},
		{"too dear", line{peer: peer, ours: ours(26.1), target: atMost(1.3)}, "at most 1.3 times", "missed"},
		{"under the bound", line{unit: "MiB", ours: ours(1, 99, 300), target: below(100)}, "under 100 MiB", "yes"},
		{"at the bound", line{unit: "MiB", ours: ours(100), target: below(100)}, "under 100 MiB", "missed"},
		{"a bound beside a peer", line{unit: "s", peer: peer, ours: ours(1), target: below(2)}, "under 2 s", "yes"},
		{"many enough", line{unit: "entries/s", ours: ours(5000), target: over(5000)}, "at least 5000 entries/s", "yes"},
		{"too few", line{unit: "entries/s", ours: ours(4999), target: over(5000)}, "at least 5000 entries/s", "missed"},
		{"nothing measured", line{peer: peer, target: atLeast(1)}, "at least 1 times", "missed"},
		{"no target", line{ours: ours(1)}, "none", ""},
	} {
		if got := c.l.verdict(); got != c.want {
			t.Errorf("%s: verdict %q, want %q", c.name, got, c.want)
		}
		if got := c.l.target.String(c.l.unit); got != c.target {
			t.Errorf("%s: target %q, want %q", c.name, got, c.target)
		}
	}
}

func TestAddBoth(t *testing.T) {
	var a, b, both side
	a.add(1, 10, 300)
	b.add(2, 20, 200)
	both.addBoth(a, b)
	a.addCost(peers.Cost{WallS: 3, CPUS: 30, PeakKiB: 100 << 10})
	b.addCost(peers.Cost{WallS: 4, CPUS: 40, PeakKiB: 400 << 10})
	both.addBoth(a, b)
	want := side{values: []float64{3, 7}, cpu: []float64{30, 70}, peak: []float64{300, 400}}
	if !reflect.DeepEqual(both, want) {
		t.Errorf("rounds of two sides %v, want %v", both, want)
	}
}

// TestShare checks that as many percent bring a file back as it has of all.
func TestShare(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i, n := range []int{1000, 1000, 500} {
		files = append(files, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(files[i], make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{42, 42, 22} {
		if got, err := share(files, i); err != nil || got != want {
			t.Errorf("share of file %d: %d %% (%v), want %d", i, got, err, want)
		}
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0.12345: "0.123", 1.2345: "1.23", 12.345: "12.3", 123.45: "123", 94056.4: "94056"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
	if got := figure(math.NaN()); got != "" {
		t.Errorf("figure of nothing = %q", got)
	}
}

func TestRender(t *testing.T) {
	peer := side{name: "peer", values: []float64{100, 120, 110}, cpu: []float64{3, 1, 2}, peak: []float64{10, 30, 20}}
	ours := side{name: "airlock", values: []float64{900, 1100, 1210}, cpu: []float64{0.5}, peak: []float64{7}}
	p := page{title: "Benchmarks", machine: "2 cores", own: 31.6, sizes: sizes{rounds: 3}, rows: []row{
		{title: "Publish", lines: []line{{what: "a|b", unit: "/s", peer: &peer, ours: ours, target: atLeast(10)}}, notes: []string{"A note."}},
		{title: "Pull", err: os.ErrNotExist},
	}, profiles: []profile{{"Serving", "flat flat%\n1s 2%"}}}
	text := p.render()
	for _, want := range []string{
		"# Benchmarks\n", "up to 32 MiB.", "Machine: 2 cores.", "median of 3",
		"| Publish: a\\|b | 110 /s | 1100 /s | 10.00 | at least 10 times | yes |",
		"| Pull |  | not measured |  |  | missed |",
		"| a\\|b | peer | /s | 110 | 100 | 120 | 2.00 | 20 |",
		"| a\\|b | airlock | /s | 1100 | 900 | 1210 | 0.50 | 7 |",
		"\nA note.\n", "## Pull\n\nNot measured: file does not exist.", "### Serving\n\n```\nflat flat%\n1s 2%\n```",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if p.profiles = nil; strings.Contains(p.render(), "Profiles") {
		t.Error("a heading for no profiles")
	}
}

func TestCPUModel(t *testing.T) {
	if got := cpuModel("processor\t: 0\nmodel name\t: Fast CPU @ 1 GHz\nmodel name\t: other\n"); got != "Fast CPU @ 1 GHz" {
		t.Errorf("model %q", got)
	}
	if got := cpuModel(""); got == "" {
		t.Error("no model and no architecture")
	}
}

func TestAllVerified(t *testing.T) {
	for out, ok := range map[string]bool{
		`[{"from":0,"to":5}]`:              true,
		`[{"from":0,"to":4}]`:              false,
		`[{"from":1,"to":5}]`:              false,
		`[{"from":0,"to":5,"void":[3]}]`:   false,
		`[]`:                               false,
		`5 entries verified`:               false,
		`[{"from":0,"to":5},{"to":5}]`:     false,
		`[{"from":0,"to":5,"refused":[]}]`: true,
	} {
		if err := allVerified([]byte(out), 5); (err == nil) != ok {
			t.Errorf("%s: %v", out, err)
		}
	}
}

func TestSameFiles(t *testing.T) {
	want, got := t.TempDir(), t.TempDir()
	write := func(dir, name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(want, "a", "one")
	write(want, "b", "two")
	write(got, "x", "two")
	if err := sameFiles(want, got); err == nil || !strings.HasPrefix(err.Error(), "1 files") {
		t.Errorf("a missing file: %v", err)
	}
	write(got, "y", "onf")
	if err := sameFiles(want, got); err == nil {
		t.Error("a changed file passed")
	}
	write(got, "y", "one")
	write(got, "index", "more")
	if err := sameFiles(want, got); err != nil {
		t.Errorf("the same files and an index: %v", err)
	}
}

func TestOnlyTable(t *testing.T) {
	got := onlyTable("File: bench\nType: cpu\n      flat  flat%   sum%        cum   cum%\n     1s 10% 10% 2s 20%  main.main\n")
	if want := "      flat  flat%   sum%        cum   cum%\n     1s 10% 10% 2s 20%  main.main"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
}

// TestBuild grows a real feed and reads it back: what the large rows stand on.
func TestBuild(t *testing.T) {
	airlock := os.Getenv("AIRLOCK_BIN")
	if airlock == "" {
		t.Skip("AIRLOCK_BIN does not name the program; make bench tests this too")
	}
	s, err := newSite(t.Context(), airlock, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), s, 2345, os.Stderr); err != nil {
		t.Fatal(err)
	}
	h, err := s.serverHere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	got, err := h.Local().Checkpoint(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	if head, err := feed.OpenCheckpoint(got.Note, s.id.Origin(1), h.logKey); err != nil || head.Size != 2345 {
		t.Errorf("feed of %d entries (%v), want 2345", head.Size, err)
	}
}

// TestSpread checks that all is done, each at its time, and that the time passes.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var mu sync.Mutex
		at := make([]time.Duration, 5)
		err := spread(t.Context(), len(at), 10*time.Second, func(_ context.Context, i int) error {
			mu.Lock()
			defer mu.Unlock()
			at[i] = time.Since(begin)
			return nil
		})
		want := []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second}
		if took := time.Since(begin); err != nil || took != 10*time.Second || !slices.Equal(at, want) {
			t.Errorf("done at %v, in %v (%v), want %v in 10s", at, took, err, want)
		}
		if err := spread(t.Context(), 2, time.Second, func(context.Context, int) error { return os.ErrInvalid }); err != os.ErrInvalid {
			t.Errorf("a failure came out as %v", err)
		}
	})
}

// TestSpaces makes a few Spaces and asks with one's token for another's feeds.
func TestSpaces(t *testing.T) {
	airlock := os.Getenv("AIRLOCK_BIN")
	if airlock == "" {
		t.Skip("AIRLOCK_BIN does not name the program; make bench tests this too")
	}
	s, err := newSite(t.Context(), airlock, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := buildSpaces(t.Context(), s, 2, os.Stderr); err != nil {
		t.Fatal(err)
	}
	p, err := openPopulation(airlock, s.dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.serverHere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for i, token := range p.tokens {
		who, err := h.Identify(t.Context(), feedhttp.Credentials{Token: token})
		if err != nil || who.Space != populated(i) {
			t.Fatalf("token %d is of %s (%v)", i, who.Space, err)
		}
		for _, name := range populationFeeds {
			got, err := h.Head(t.Context(), who, feed.ID{Space: populated(1 - i), Name: name}, 0)
			if err != nil || got.Size != 3 {
				t.Errorf("feed %s of Space %d has %d entries (%v), want 3", name, 1-i, got.Size, err)
			}
		}
	}
}

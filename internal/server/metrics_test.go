package server_test

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
)

// dashboard is what Grafana shows operators.
const dashboard = "../../docs/grafana/airlock.json"

// TestDashboard holds that every metric which a panel names is one that a server
// shows, with the labels that it goes by, and that every metric of ours is in a panel.
func TestDashboard(t *testing.T) {
	shown := shownMetrics(t)
	inPanels := map[string]bool{}
	for _, expr := range expressions(t) {
		for _, name := range metricName.FindAllString(expr, -1) {
			inPanels[family(name)] = true
			lines := shown[name]
			if len(lines) == 0 {
				t.Errorf("%s: no server shows %s", expr, name)
			}
			for _, label := range labelsOf(expr) {
				if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, label) }) {
					t.Errorf("%s: %s has no label %s", expr, name, label)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		if strings.HasPrefix(name, "airlock_") && !inPanels[family(name)] {
			t.Errorf("%s is in no panel", name)
		}
	}
}

var (
	metricName = regexp.MustCompile(`\b(?:airlock|go|process)_[a-z_]+`)
	grouping   = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	selector   = regexp.MustCompile(`\b[a-z]+="[^"]+"`)
)

// family is the name of a metric without what a histogram adds.
func family(name string) string {
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		name = strings.TrimSuffix(name, part)
	}
	return name
}

// labelsOf returns what the lines of an expression's metrics must hold; instance and
// job Prometheus adds.
func labelsOf(expr string) (out []string) {
	for _, by := range grouping.FindAllStringSubmatch(expr, -1) {
		for name := range strings.SplitSeq(by[1], ", ") {
			if name != "instance" && name != "job" {
				out = append(out, name+`="`)
			}
		}
	}
	return append(out, selector.FindAllString(expr, -1)...)
}

// shownMetrics returns what a server shows after some traffic: lines by metric.
func shownMetrics(t *testing.T) map[string][]string {
	t.Helper()
	w := newWorld(t, storage.NewMem())
	srv := w.server(server.Config{Cache: storage.NewCache(1 << 20), Deltas: true})
	registry := prometheus.NewRegistry()
	if err := srv.Register(registry); err != nil {
		t.Fatal(err)
	}
	h, err := feedhttp.New(feedhttp.Config{Reader: srv, Writer: srv, Callers: srv, Registry: registry, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	w.mustSend(w.Opening()...)
	get := func(path string) string {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "127.0.0.1:1"
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		return out.Body.String()
	}
	get("/v1/feeds/acme/dev-qa/shared/segment/000.p/1")
	get("/v1/feeds/acme/dev-qa/nothing/checkpoint") // is refused
	shown := map[string][]string{}
	for line := range strings.Lines(get("/metrics")) {
		if name, _, ok := strings.Cut(strings.ReplaceAll(line, "{", " "), " "); ok && !strings.HasPrefix(line, "#") {
			shown[name] = append(shown[name], line)
		}
	}
	return shown
}

// expressions returns those of the dashboard's panels.
func expressions(t *testing.T) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
		SchemaVersion int
	}
	if err := json.Unmarshal(raw, &d); err != nil || d.SchemaVersion == 0 {
		t.Fatalf("%s: %v", dashboard, err)
	}
	for _, p := range d.Panels {
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	return out
}

// TestStats holds that what is committed and looked up is counted.
func TestStats(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	srv := w.server(server.Config{Cache: storage.NewCache(1 << 20)})
	opening := w.Opening()
	for _, statements := range [][]feedtest.Signed{opening, {w.Author.Publish("file/a@1")}} {
		if _, err := srv.Publish(t.Context(), reader, batch(w.ID, statements...)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, err := srv.Part(t.Context(), reader, w.ID, feedhttp.Part{Kind: segment, Width: 1}); err != nil {
			t.Fatal(err)
		}
	}
	// Of the part itself one miss, and two hits; behind it the log found the statement
	// that it had written, and asked the store for the identity document.
	checkFigures(t, srv, map[string]float64{
		"airlock_log_commits_total": 2, "airlock_log_batches_total": 2, "airlock_log_entries_total": float64(len(opening) + 1),
		"airlock_log_conflicts_total": 0, "airlock_cache_hits_total": 3, "airlock_cache_misses_total": 2,
	})
}

// checkFigures compares metrics of a server, by name and the values of their labels.
func checkFigures(t *testing.T, srv *server.Server, want map[string]float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := srv.Register(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s is %v, want %v", name, got[name], n)
		}
	}
}

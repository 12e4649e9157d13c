package feedhttp

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges are metrics whose values are looked up when they are asked for: of one
// thing, which a label names.
type gauges struct {
	descs []*prometheus.Desc
	types []prometheus.ValueType
}

// add adds a metric of the thing that the label of has; spaces become "_".
func (g *gauges) add(t prometheus.ValueType, name, help, of string) {
	label := prometheus.Labels{"of": strings.ReplaceAll(of, " ", "_")}
	g.descs = append(g.descs, prometheus.NewDesc(name, help, nil, label))
	g.types = append(g.types, t)
}

func (g *gauges) describe(ch chan<- *prometheus.Desc) {
	for _, d := range g.descs {
		ch <- d
	}
}

func (g *gauges) collect(ch chan<- prometheus.Metric, values ...int64) {
	for i, v := range values {
		ch <- prometheus.MustNewConstMetric(g.descs[i], g.types[i], float64(v))
	}
}

func shareGauges(of string) (g gauges) {
	g.add(prometheus.GaugeValue, "airlock_shared_used", "What Spaces have of what they share.", of)
	g.add(prometheus.GaugeValue, "airlock_shared_limit", "What Spaces share.", of)
	g.add(prometheus.CounterValue, "airlock_share_refusals_total", refusalsHelp, of)
	return g
}

const refusalsHelp = "How often a Space had its share already."

func queueGauges(of string) (g gauges) {
	g.add(prometheus.GaugeValue, "airlock_queue_working", "Pieces of work at work.", of)
	g.add(prometheus.GaugeValue, "airlock_queue_waiting", "Pieces of work that wait for their turn.", of)
	g.add(prometheus.CounterValue, "airlock_share_refusals_total", refusalsHelp, of)
	return g
}

var (
	_ prometheus.Collector = (*Queue)(nil)
	_ prometheus.Collector = (*shares)(nil)
)

// Describe implements prometheus.Collector.
func (q *Queue) Describe(ch chan<- *prometheus.Desc) { q.metrics.describe(ch) }

// Collect implements prometheus.Collector.
func (q *Queue) Collect(ch chan<- prometheus.Metric) {
	q.mu.Lock()
	busy, waiting, refused := int64(q.busy), int64(q.waiting), q.refused
	q.mu.Unlock()
	q.metrics.collect(ch, busy, waiting, refused)
}

// Describe implements prometheus.Collector.
func (s *shares) Describe(ch chan<- *prometheus.Desc) { s.metrics.describe(ch) }

// Collect implements prometheus.Collector.
func (s *shares) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	now, most, refused := s.now, s.max, s.refused
	s.mu.Unlock()
	s.metrics.collect(ch, now, most, refused)
}

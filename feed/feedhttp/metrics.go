package feedhttp

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts requests. What each request touches is an atomic of its own;
// labels are resolved once.
type metrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	seconds  []prometheus.Observer // by route
	sent     prometheus.Counter
	taken    prometheus.Counter
	problems *prometheus.CounterVec

	mu     sync.Mutex // for making a counter
	routes []*route
	counts [][]atomic.Pointer[prometheus.Counter] // by route and status - 100
}

func newMetrics(registry *prometheus.Registry, h *Handler) (*metrics, error) {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	m := &metrics{
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "airlock_http_requests_total", Help: "Requests answered."}, []string{"route", "code"}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "airlock_http_sent_bytes_total", Help: "Bytes of bodies sent."}),
		taken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "airlock_http_received_bytes_total", Help: "Bytes of uploads received."}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "airlock_http_problems_total", Help: "Refusals by problem type."}, []string{"problem"}),
		routes: h.routes.all,
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "airlock_http_request_seconds", Help: "Time from the request's header to the end of the answer.",
		Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}}, []string{"route"})
	for _, c := range []prometheus.Collector{
		m.requests, m.sent, m.taken, m.problems, seconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "airlock_build_info", Help: "1; the version is in the label.",
			ConstLabels: prometheus.Labels{"version": h.config.Version}}, func() float64 { return 1 }),
		h.appends, h.uploads, h.waiters, h.waited, h.memory, h.work,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	for _, rt := range m.routes {
		m.seconds = append(m.seconds, seconds.WithLabelValues(rt.name))
		m.counts = append(m.counts, make([]atomic.Pointer[prometheus.Counter], 500))
	}
	return m, nil
}

// count notes one answered request.
func (m *metrics) count(rt *route, status int, sent int64, took time.Duration) {
	m.counter(rt, status).Inc()
	m.seconds[rt.index].Observe(took.Seconds())
	if sent > 0 {
		m.sent.Add(float64(sent))
	}
}

func (m *metrics) counter(rt *route, status int) prometheus.Counter {
	slot := &m.counts[rt.index][status-100]
	if c := slot.Load(); c != nil {
		return *c
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.requests.WithLabelValues(rt.name, strconv.Itoa(status))
	slot.Store(&c)
	return c
}

func (m *metrics) refused(problem string) { m.problems.WithLabelValues(problem).Inc() }

func (m *metrics) received(n int64) { m.taken.Add(float64(n)) }

func getMetrics(h *Handler, _ *call) (answer, error) {
	return answer{direct: h.metrics.handler}, nil
}

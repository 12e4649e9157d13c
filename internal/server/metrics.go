package server

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of a batch that was passed on to another server.
const (
	forwardTaken   = "taken"
	forwardRefused = "refused"
	forwardFailed  = "failed" // so it was committed here
)

func newForwards() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "airlock_forwards_total", Help: "Batches passed on to the server that committed to the feed last."}, []string{"outcome"})
	for _, outcome := range []string{forwardTaken, forwardRefused, forwardFailed} {
		v.WithLabelValues(outcome) // shown from the beginning
	}
	return v
}

// Register adds the metrics of a server to a registry: what its logs, its cache, its
// queues and the other servers do, and what it pushes.
func (s *Server) Register(r prometheus.Registerer) error {
	errs := []error{r.Register(s.forwards), r.Register(s.verifying), r.Register(s.storing)}
	counter := func(name, help string, value func() int64) {
		errs = append(errs, r.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) })))
	}
	gauge := func(name, help string, value func() int64) {
		errs = append(errs, r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })))
	}
	counter("airlock_log_commits_total", "Commits: groups of batches that became entries by one swap.", func() int64 { return s.logs.Stats().Commits })
	counter("airlock_log_batches_total", "Batches that were committed.", func() int64 { return s.logs.Stats().Batches })
	counter("airlock_log_entries_total", "Entries that were committed.", func() int64 { return s.logs.Stats().Entries })
	counter("airlock_log_conflicts_total", "Swaps that were tried again: another writer was faster, or the answer was lost.", func() int64 { return s.logs.Stats().Conflicts })
	if c := s.config.Cache; c != nil {
		counter("airlock_cache_hits_total", "What was found in memory.", func() int64 { return c.Stats().Hits })
		counter("airlock_cache_misses_total", "What the store was asked for.", func() int64 { return c.Stats().Misses })
		counter("airlock_cache_evictions_total", "What had to make room in memory.", func() int64 { return c.Stats().Evicted })
		gauge("airlock_cache_bytes", "Memory that is used, of --cache.", func() int64 { return c.Stats().Bytes })
	}
	gauge("airlock_peers", "Other servers of the store that answer.", func() int64 { return s.peers.count() })
	for _, state := range []string{Untried, Pushed, Retrying, Failed} {
		errs = append(errs, r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "airlock_pushes", Help: "Pushes that this server is at.",
			ConstLabels: prometheus.Labels{"state": state}}, func() float64 { return float64(s.pusher.count(state)) })))
	}
	if s.deltas != nil {
		errs = append(errs, r.Register(s.deltas.turns))
	}
	return errors.Join(errs...)
}

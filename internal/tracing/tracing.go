// Package tracing sends OpenTelemetry spans of requests to a collector, by OTLP over
// HTTP. It alone knows the SDK: others make spans by the interface of
// go.opentelemetry.io/otel/trace, and where nobody asked for traces they make none.
//
// Nothing waits for a collector. Spans wait in a queue for one that is slow; what has
// no room there is dropped, and counted in a line of the log, at most one a minute.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	maxWaiting  = 2048            // spans that wait for the collector, or are on their way
	sendTimeout = 5 * time.Second // for one batch of them
	lastTimeout = 3 * time.Second // for all that wait when the program ends
	sayEvery    = time.Minute
)

// Config is what traces are made with.
type Config struct {
	// Endpoint is the URL of the collector; spans are posted to v1/traces below it.
	Endpoint string
	// Sample is the share of requests that are traced, of those for which no other
	// server of the store decided: 0 to 1.
	Sample float64
	// Server and Version are who sends.
	Server, Version string
	Logger          *slog.Logger
	Now             func() time.Time
}

// Provider makes a tracer, and sends its spans. Nil makes none.
type Provider struct {
	sdk  *sdktrace.TracerProvider
	said *report
}

// Start begins to send spans, which Close ends. It returns nil where there is no
// endpoint.
func Start(ctx context.Context, c Config) (*Provider, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	exporter, err := otlptrace.New(ctx, newCollector(c.Endpoint))
	if err != nil {
		return nil, err
	}
	return start(c, exporter), nil
}

func start(c Config, to sdktrace.SpanExporter) *Provider {
	said := &report{logger: c.Logger, now: c.Now, endpoint: c.Endpoint}
	otel.SetErrorHandler(said) // the SDK has no other way to say that spans did not arrive
	waiting := new(atomic.Int64)
	// The queue has room for all that may wait, so it drops nothing unseen.
	sending := sdktrace.NewBatchSpanProcessor(&counted{to, waiting}, sdktrace.WithMaxQueueSize(maxWaiting), sdktrace.WithExportTimeout(sendTimeout))
	return &Provider{said: said, sdk: sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
		sdktrace.WithSpanProcessor(&bounded{sending, waiting, said}),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "airlock"),
			attribute.String("service.version", c.Version), attribute.String("service.instance.id", c.Server))),
	)}
}

// scope names this program as what made a span.
const scope = "airlock"

// Tracer returns what makes spans; nil for none.
func (p *Provider) Tracer() trace.Tracer {
	if p == nil {
		return nil
	}
	return p.sdk.Tracer(scope)
}

// Close sends what waits, within a few seconds.
func (p *Provider) Close() {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
	defer cancel()
	if err := p.sdk.Shutdown(ctx); err != nil {
		p.said.Handle(err)
	}
}

// bounded takes ended spans while there is room for them.
type bounded struct {
	sdktrace.SpanProcessor
	waiting *atomic.Int64
	said    *report
}

// OnEnd implements sdktrace.SpanProcessor.
func (b *bounded) OnEnd(s sdktrace.ReadOnlySpan) {
	if b.waiting.Add(1) > maxWaiting {
		b.waiting.Add(-1)
		b.said.drop()
		return
	}
	b.SpanProcessor.OnEnd(s)
}

// counted makes room for others when spans have been sent, or were not.
type counted struct {
	sdktrace.SpanExporter
	waiting *atomic.Int64
}

// ExportSpans implements sdktrace.SpanExporter.
func (c *counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer c.waiting.Add(-int64(len(spans)))
	return c.SpanExporter.ExportSpans(ctx, spans)
}

// report says in the log that spans do not arrive, in one line for all that happened
// since the last one.
type report struct {
	logger   *slog.Logger
	now      func() time.Time
	endpoint string

	mu      sync.Mutex // guards what follows
	last    time.Time  // zero before the first line
	failed  int
	dropped int
}

func (r *report) drop() {
	r.add(0, 1, fmt.Errorf("the collector is slower than the requests: %d spans wait", maxWaiting))
}

// Handle implements otel.ErrorHandler.
func (r *report) Handle(err error) { r.add(1, 0, err) }

func (r *report) add(failed, dropped int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed, r.dropped = r.failed+failed, r.dropped+dropped
	if now := r.now(); r.last.IsZero() || now.Sub(r.last) >= sayEvery {
		r.logger.Warn("traces are not complete", "collector", r.endpoint, "failures", r.failed, "dropped", r.dropped, "error", err)
		r.last, r.failed, r.dropped = now, 0, 0
	}
}

package feedhttp

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceField is the header field traceparent and what belongs to it (W3C Trace
// Context).
var traceField propagation.TraceContext

// trace begins the span of a request, once it is known who asks.
//
// Only another server of the store and the operator say which trace a request belongs
// to, and whether it is traced: each trace costs, here and at the collector, and who
// was admitted is not trusted for that. Others find their requests by the request's id.
func (h *Handler) trace(c *call) {
	if h.config.Tracer == nil || c.route.untraced {
		return
	}
	ctx := c.r.Context()
	if c.caller.Role == Peer || c.caller.Role == Administrator {
		ctx = traceField.Extract(ctx, propagation.HeaderCarrier(c.r.Header))
	}
	method := c.r.Method
	if !slices.Contains(methods, method) {
		method = "_OTHER" // anybody can make up methods
	}
	name, known := method, []attribute.KeyValue{attribute.String("http.request.method", method), attribute.String("airlock.request", c.caller.Request)}
	if c.route.path != "" {
		name += " " + c.route.path
		known = append(known, attribute.String("http.route", c.route.path))
	}
	if c.caller.Role == Enrolled {
		known = append(known, attribute.String("airlock.space", c.caller.Space.String()))
	}
	ctx, c.span = h.config.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(c.started), trace.WithAttributes(known...))
	c.r = c.r.WithContext(ctx)
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch}

// traceID names the trace of a request, "" where there is none to look at.
func (c *call) traceID() string {
	if c.span == nil || !c.span.SpanContext().IsSampled() {
		return ""
	}
	return c.span.SpanContext().TraceID().String()
}

// endTrace ends the span of a request.
func (c *call) endTrace(status int, took time.Duration) {
	if c.span == nil {
		return
	}
	c.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		c.span.SetStatus(codes.Error, "")
	}
	c.span.End(trace.WithTimestamp(c.started.Add(took)))
}

// tracedLogger names the trace of a request, where there is one.
func (h *Handler) tracedLogger(c *call) *slog.Logger {
	if id := c.traceID(); id != "" {
		return h.logger.With("trace", id)
	}
	return h.logger
}

// traceForward begins the span of a request to another server of the store, in the
// trace that ctx belongs to, and returns what tells that one of it: nothing where ctx
// belongs to none.
func (c *Client) traceForward(ctx context.Context) (context.Context, trace.Span, [][2]string) {
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer("airlock").Start(ctx, "forward",
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("server.address", c.server().Base.Host)))
	fields := propagation.MapCarrier{}
	traceField.Inject(ctx, fields)
	var header [][2]string
	for name, value := range fields {
		header = append(header, [2]string{name, value})
	}
	return ctx, span, header
}

// endForward ends it. The error's words are for the log of the one that answered.
func endForward(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

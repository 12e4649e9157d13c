package feedhttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/trust"
)

const (
	peerToken     = "another-server-of-the-store"
	operatorToken = "the-operator-s-own-token"
	foreignTrace  = "0af7651916cd43dd8448eb211c80319c"
)

// tracers returns a tracer of a share of requests, and what it made.
func tracers(share float64) (trace.Tracer, *tracetest.InMemoryExporter) {
	made := tracetest.NewInMemoryExporter()
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(made), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(share))))
	return p.Tracer(""), made
}

// TestTraceparent: other servers of the store and the operator say what is traced, and
// nobody else does.
func TestTraceparent(t *testing.T) {
	callers := tokens{spaceToken: {Role: feedhttp.Enrolled}, peerToken: {Role: feedhttp.Peer}, operatorToken: {Role: feedhttp.Administrator}}
	for _, c := range []struct {
		name, token, sampled string
		share                float64
		traced, followed     bool
	}{
		{"nobody wants one", "", "01", 0, false, false},
		{"nobody wants none", "", "00", 1, true, false},
		{"a Space wants one", spaceToken, "01", 0, false, false},
		{"a Space wants none", spaceToken, "00", 1, true, false},
		{"a peer wants one", peerToken, "01", 0, true, true},
		{"a peer wants none", peerToken, "00", 1, false, true},
		{"the operator wants one", operatorToken, "01", 0, true, true},
	} {
		tracer, made := tracers(c.share)
		h := handler(t, newBackend(t), func(to *feedhttp.Config) { to.Tracer, to.Callers = tracer, callers })
		header := []string{"Traceparent: 00-" + foreignTrace + "-b7ad6b7169203331-" + c.sampled}
		if c.token != "" {
			header = append(header, "Authorization: Bearer "+c.token)
		}
		ask(h, "GET", "/v1/feeds", "", header...)
		spans := made.GetSpans()
		if len(spans) > 0 != c.traced || len(spans) > 0 && (spans[0].SpanContext.TraceID().String() == foreignTrace) != c.followed {
			t.Errorf("%s: %v", c.name, spans)
		}
	}
}

// TestUntraced: what watches the servers fills no collector.
func TestUntraced(t *testing.T) {
	tracer, made := tracers(1)
	h := handler(t, newBackend(t), func(to *feedhttp.Config) { to.Tracer = tracer })
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		ask(h, "GET", path, "")
	}
	if spans := made.GetSpans(); len(spans) > 0 {
		t.Errorf("%d spans, first of %s", len(spans), spans[0].Name)
	}
	if ask(h, "GET", "/v1/", ""); len(made.GetSpans()) != 1 {
		t.Errorf("%d spans of a request", len(made.GetSpans()))
	}
}

// TestSpan: a span names the request as the log does, and holds nothing that a client
// made up or that only it may know.
func TestSpan(t *testing.T) {
	var out lockedBuilder
	tracer, made := tracers(1)
	b := newBackend(t)
	h := handler(t, b, func(c *feedhttp.Config) {
		c.Tracer, c.AccessLog = tracer, &out
		c.Callers = tokens{spaceToken: {Role: feedhttp.Enrolled, Space: trust.Space{Organisation: "acme", Name: "dev-qa"}}}
	})
	ask(h, "GET", shared+"/object/"+noObject+"", "", "Authorization: Bearer "+spaceToken, "X-Request-Id: from-the-proxy-1")
	ask(h, "SECRET", "/v1/secret", "")
	ask(h, "GET", shared+"/checkpoint", "", "Authorization: Bearer secret-secret-secret")
	b.refuse = func(string) error { return storage.ErrAway }
	ask(h, "GET", "/v1/feeds", "")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	lines := strings.Split(out.String(), "\n")
	for i, span := range made.GetSpans() {
		line := span.Name
		for _, a := range span.Attributes {
			if a.Key != "airlock.request" || i == 0 {
				line += " " + string(a.Key) + "=" + a.Value.String()
			}
		}
		if span.Status.Code == codes.Error {
			line += " Error"
		}
		if got = append(got, line); span.Status.Description != "" || len(span.Events) > 0 {
			t.Errorf("%s: %v %v", line, span.Status, span.Events)
		}
		if id := span.SpanContext.TraceID().String(); !strings.Contains(lines[i], `","trace":"`+id+`","method"`) {
			t.Errorf("trace %s is not in %s", id, lines[i])
		}
	}
	const feedRoute = "/v1/feeds/{organisation}/{space}/{feed}/"
	want := []string{
		"GET " + feedRoute + "object/{rest} http.request.method=GET airlock.request=from-the-proxy-1 http.route=" + feedRoute + "object/{rest} airlock.space=acme/dev-qa http.response.status_code=404",
		"_OTHER http.request.method=_OTHER http.response.status_code=404",
		"GET " + feedRoute + "checkpoint http.request.method=GET http.route=" + feedRoute + "checkpoint http.response.status_code=401",
		"GET /v1/feeds http.request.method=GET http.route=/v1/feeds http.response.status_code=503 Error",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestForwardTraceparent: a batch that is passed on tells of its trace, and of none
// where there is none.
func TestForwardTraceparent(t *testing.T) {
	var got []string
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, strings.Join(r.Header["Traceparent"], ","))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer peer.Close()
	base, err := url.Parse(peer.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: base, Retry: feedhttp.Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	batch := feed.Batch{Feed: feedtest.NewAuthor(t, "acme/dev-qa/shared").ID, Epoch: 1}
	pass := func(ctx context.Context) {
		if _, err := client.Forward(ctx, batch, "request1"); err == nil {
			t.Error("a teapot took a batch")
		}
	}
	pass(t.Context())
	tracer, made := tracers(1)
	ctx, request := tracer.Start(t.Context(), "request")
	pass(ctx)
	tracer, _ = tracers(0)
	ctx, untraced := tracer.Start(t.Context(), "request")
	pass(ctx)
	spans := made.GetSpans()
	if len(spans) != 1 || spans[0].Name != "forward" || spans[0].Parent.SpanID() != request.SpanContext().SpanID() || spans[0].Status.Code != codes.Error {
		t.Fatalf("spans %v", spans)
	}
	forward := spans[0].SpanContext
	if len(got) != 3 || got[0] != "" || got[1] != "00-"+forward.TraceID().String()+"-"+forward.SpanID().String()+"-01" ||
		!strings.HasPrefix(got[2], "00-"+untraced.SpanContext().TraceID().String()) || !strings.HasSuffix(got[2], "-00") {
		t.Errorf("traceparent %q", got)
	}
}

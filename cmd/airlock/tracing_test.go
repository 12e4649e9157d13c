package main

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes traces as an OpenTelemetry collector does.
type collector struct {
	mu    sync.Mutex
	spans []*tracepb.Span
	wrong []string // what it was sent that is no trace
}

type collectorKey struct{}

// startCollector runs "collector VAR": its URL goes into $VAR.
func startCollector(ts *testscript.TestScript, _ bool, args []string) {
	c := ts.Value(collectorKey{}).(*collector)
	s := httptest.NewServer(c)
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent tracepb.TracesData
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || r.Method != "POST" || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.wrong = append(c.wrong, fmt.Sprintf("%s %s %v: %v", r.Method, r.URL, r.Header, err))
	}
	for _, from := range sent.ResourceSpans {
		for _, scope := range from.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// traceOf runs "trace-of LOG ROUTE TREE": the trace of the last request in an access
// log that was to a route goes into TREE, each span under the one that it is part of.
// "! trace-of LOG ROUTE" wants such requests to name no trace.
func traceOf(ts *testscript.TestScript, neg bool, args []string) {
	var found []string
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var request struct{ Route, Trace string }
		ts.Check(json.Unmarshal([]byte(line), &request))
		if request.Route == args[1] {
			found = append(found, request.Trace)
		}
	}
	if len(found) == 0 || neg != (strings.Join(found, "") == "") {
		ts.Fatalf("%s has requests to %s with the traces %q", args[0], args[1], found)
	}
	c := ts.Value(collectorKey{}).(*collector)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrong) > 0 {
		ts.Fatalf("sent to the collector: %q", c.wrong)
	}
	if neg {
		return
	}
	var of []*tracepb.Span
	for _, span := range c.spans {
		if hex.EncodeToString(span.TraceId) == found[len(found)-1] {
			of = append(of, span)
		}
	}
	slices.SortFunc(of, func(a, b *tracepb.Span) int { return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
	var tree strings.Builder
	writeSpans(&tree, "", nil, of)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(tree.String()), 0o600))
}

// writeSpans writes the spans that are part of one, and what is part of them.
func writeSpans(b *strings.Builder, indent string, parent []byte, all []*tracepb.Span) {
	for _, span := range all {
		if string(span.ParentSpanId) != string(parent) {
			continue
		}
		b.WriteString(indent + strings.ToLower(strings.TrimPrefix(span.Kind.String(), "SPAN_KIND_")) + " " + span.Name)
		for _, a := range span.Attributes {
			value := a.Value.GetStringValue()
			if n := a.Value.GetIntValue(); n != 0 {
				value = fmt.Sprint(n)
			}
			b.WriteString(" " + a.Key + "=" + value)
		}
		b.WriteString("\n")
		writeSpans(b, indent+"  ", span.SpanId, all)
	}
}

package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"airlock/storage"
)

func TestNoEndpoint(t *testing.T) {
	p, err := Start(t.Context(), Config{Sample: 1})
	if p != nil || err != nil || p.Tracer() != nil {
		t.Errorf("%v %v", p, err)
	}
	p.Close()
}

// stuck is a collector that takes spans and never answers.
type stuck struct{ sdktrace.SpanExporter }

func (stuck) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestStuckCollector: spans end at once whatever the collector does, and the log says
// once a minute what became of them.
func TestStuckCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := start(Config{Sample: 1, Logger: slog.New(slog.NewJSONHandler(&log, nil)), Now: time.Now}, stuck{tracetest.NewNoopExporter()})
		began := time.Now()
		for range 3 * maxWaiting {
			_, span := p.Tracer().Start(t.Context(), "request")
			span.End()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("a collector that does not answer held spans up for %v", took)
		}
		time.Sleep(sayEvery + 2*sendTimeout)
		_, span := p.Tracer().Start(t.Context(), "request")
		span.End()
		time.Sleep(2 * sendTimeout)
		began = time.Now()
		p.Close()
		if took := time.Since(began); took > lastTimeout {
			t.Errorf("closed after %v", took)
		}
		lines, dropped, failures := 0, 0, 0
		for in := json.NewDecoder(&log); ; lines++ {
			var line struct{ Dropped, Failures int }
			if err := in.Decode(&line); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			dropped, failures = dropped+line.Dropped, failures+line.Failures
		}
		if lines != 2 || dropped != 2*maxWaiting || failures < 4 {
			t.Errorf("%d lines of %d spans that were dropped and %d batches that failed, want 2 and %d, and 4 or more", lines, dropped, failures, 2*maxWaiting)
		}
		time.Sleep(sendTimeout) // for the last batch to be given up
	})
}

// TestCollectorRefuses: what a collector answers is said, where spans went elsewhere is
// not followed.
func TestCollectorRefuses(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("spans went elsewhere") }))
	defer elsewhere.Close()
	for status, want := range map[int]string{200: "", 307: "/v1/traces answers 307", 503: "/v1/traces answers 503"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
		}))
		err := newCollector(s.URL+"/").UploadTraces(t.Context(), nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", status, err)
		}
		s.Close()
	}
}

// TestStore: what is done for a traced request has a span each, and nothing of it says
// where things lie.
func TestStore(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	s := Store(storage.NewMem())
	do := func(ctx context.Context) {
		data := []byte("content")
		ref := storage.RefOf(data)
		o := s.Objects("acme/dev-qa")
		_, err := o.Get(ctx, ref.Digest, 0)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("get: %v", err)
		}
		_, err = storage.PutStream(ctx, o, func(w io.Writer) error { _, err := w.Write(data); return err })
		for _, err := range []error{err, o.Put(ctx, ref, bytes.NewReader(data)), storage.PutAll(ctx, o, []storage.Item{{Ref: ref, Data: data}}), s.Files.Create(ctx, "secret/a", data)} {
			if err != nil {
				t.Error(err)
			}
		}
		if _, err := o.Stat(ctx, ref.Digest); err != nil {
			t.Error(err)
		}
		if _, err := s.Files.Get(ctx, "secret/a"); err != nil {
			t.Error(err)
		}
		for key, err := range s.Files.List(ctx, "secret/", "") {
			if key != "secret/a" || err != nil {
				t.Error(key, err)
			}
		}
		if _, _, err := s.Cells.Load(ctx, "secret/c"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if _, err := s.Cells.Swap(ctx, "secret/c", "no such tag", data); !errors.Is(err, storage.ErrConflict) {
			t.Error(err)
		}
	}
	ctx, request := p.Tracer("").Start(t.Context(), "request")
	do(ctx)
	request.End()
	var got []string
	for _, span := range spans.GetSpans() {
		line := span.Name
		if span.Status.Code != 0 {
			line += " " + span.Status.Code.String()
		}
		got = append(got, line)
		if len(span.Attributes) > 0 || span.Status.Description != "" || span.SpanContext.TraceID() != request.SpanContext().TraceID() {
			t.Errorf("%s: %v %+v", span.Name, span.Attributes, span.Status)
		}
	}
	want := []string{"store objects.get", "store objects.putStream", "store objects.put", "store objects.putBatch", "store files.create", "store objects.stat",
		"store files.get", "store files.list", "store cells.load", "store cells.swap Error", "request"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	spans.Reset()
	s = Store(storage.NewMem())
	do(t.Context()) // for nobody
	ctx, ended := p.Tracer("").Start(t.Context(), "ended")
	ended.End()
	s = Store(storage.NewMem())
	do(ctx)
	if n := len(spans.GetSpans()); n != 1 {
		t.Errorf("%d spans of what nobody waits for, and the one that ended", n)
	}
}

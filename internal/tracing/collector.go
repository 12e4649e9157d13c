package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxAnswer bounds what is read of an answer, in bytes, so that its connection can be
// used again.
const maxAnswer = 64 << 10

// collector posts spans to an OpenTelemetry collector, in OTLP's binary form. The
// client that OpenTelemetry has for HTTP brings all of gRPC along, for the definition of
// one message.
type collector struct {
	url  string
	http *http.Client
}

var _ otlptrace.Client = (*collector)(nil)

func newCollector(endpoint string) *collector {
	return &collector{strings.TrimRight(endpoint, "/") + "/v1/traces", &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		// Spans go where the settings say.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Start implements otlptrace.Client.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. What fails is not tried again: the spans
// that come meanwhile would be dropped instead.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData is the message ExportTraceServiceRequest under another name
	// (opentelemetry/proto/trace/v1/trace.proto).
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	got, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if _, err := io.CopyN(io.Discard, got.Body, maxAnswer); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", c.url, got.Status)
	}
	return nil
}

package tracing

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"airlock/storage"
)

// Store returns s with a span for each operation that is done for a request which is
// traced: what the server does on its own has none. What is done for several requests
// at once, such as a commit, stands in the trace of one of them. Keys stay out of
// spans: a server's files are named after what its callers hold.
//
// It belongs right above the place that keeps things, where its time goes.
func Store(s *storage.Store) *storage.Store {
	out := *s
	out.Objects = func(space string) storage.Objects { return &objects{s.Objects(space)} }
	out.Files = &files{s.Files}
	out.Cells = &cells{s.Cells}
	return &out
}

// begin begins the span of an operation, where one is wanted.
func begin(ctx context.Context, operation string) (context.Context, trace.Span) {
	of := trace.SpanFromContext(ctx)
	if !of.IsRecording() {
		return ctx, noop.Span{}
	}
	return of.TracerProvider().Tracer(scope).Start(ctx, "store "+operation, trace.WithSpanKind(trace.SpanKindClient))
}

// end ends it. That there is nothing is an answer like any other; what else an error
// says may name what lies there.
func end(span trace.Span, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

type objects struct{ below storage.Objects }

var (
	_ storage.Batcher  = (*objects)(nil)
	_ storage.Streamer = (*objects)(nil)
)

// Get has a span until the object begins to come.
func (o *objects) Get(ctx context.Context, d storage.Digest, off int64) (body io.ReadCloser, err error) {
	ctx, span := begin(ctx, "objects.get")
	defer func() { end(span, err) }()
	return o.below.Get(ctx, d, off)
}

func (o *objects) Put(ctx context.Context, ref storage.Ref, r io.Reader) (err error) {
	ctx, span := begin(ctx, "objects.put")
	defer func() { end(span, err) }()
	return o.below.Put(ctx, ref, r)
}

func (o *objects) Stat(ctx context.Context, d storage.Digest) (info storage.Info, err error) {
	ctx, span := begin(ctx, "objects.stat")
	defer func() { end(span, err) }()
	return o.below.Stat(ctx, d)
}

func (o *objects) PutBatch(ctx context.Context, items []storage.Item) (err error) {
	ctx, span := begin(ctx, "objects.putBatch")
	defer func() { end(span, err) }()
	return storage.PutAll(ctx, o.below, items)
}

func (o *objects) PutStream(ctx context.Context, fill func(w io.Writer) error) (ref storage.Ref, err error) {
	ctx, span := begin(ctx, "objects.putStream")
	defer func() { end(span, err) }()
	return storage.PutStream(ctx, o.below, fill)
}

type files struct{ below storage.Files }

func (f *files) Get(ctx context.Context, key string) (value []byte, err error) {
	ctx, span := begin(ctx, "files.get")
	defer func() { end(span, err) }()
	return f.below.Get(ctx, key)
}

func (f *files) Create(ctx context.Context, key string, value []byte) (err error) {
	ctx, span := begin(ctx, "files.create")
	defer func() { end(span, err) }()
	return f.below.Create(ctx, key, value)
}

// List has a span until the last key was used.
func (f *files) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, span := begin(ctx, "files.list")
		var failed error
		defer func() { end(span, failed) }()
		f.below.List(ctx, prefix, after)(func(key string, err error) bool {
			failed = err
			return yield(key, err)
		})
	}
}

type cells struct{ below storage.Cells }

func (c *cells) Load(ctx context.Context, key string) (value []byte, tag string, err error) {
	ctx, span := begin(ctx, "cells.load")
	defer func() { end(span, err) }()
	return c.below.Load(ctx, key)
}

func (c *cells) Swap(ctx context.Context, key, tag string, value []byte) (newTag string, err error) {
	ctx, span := begin(ctx, "cells.swap")
	defer func() { end(span, err) }()
	return c.below.Swap(ctx, key, tag, value)
}

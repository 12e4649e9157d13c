package feedhttp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"airlock/feed"
	"airlock/storage"
)

// Config is what a Handler works with.
type Config struct {
	Reader    Reader
	Writer    Writer    // nil for a server that only reads
	Peers     Peers     // nil for a server that is told nothing by others
	Audiences Audiences // nil where nobody may say who reads what
	Boards    Boards    // nil where agents of a Space have none
	// Callers knows who asks; without it everybody is Nobody, and a credential
	// that is shown counts for nothing.
	Callers Callers
	// Enroller lets Spaces in; nil where nobody is.
	Enroller Enroller
	// Inbox takes what is pushed: then the handler serves nothing else, and needs no
	// Reader.
	Inbox Inbox
	// Ready reports whether the store answers, within seconds; nil for a handler
	// that is ready as long as it runs.
	Ready  func(context.Context) error
	Limits Limits
	// Logger gets failures of the server; nil drops them.
	Logger *slog.Logger
	// AccessLog gets one line of JSON a request; nil for none. Lines are
	// written in blocks, at the latest after a second.
	AccessLog io.Writer
	// Registry gets the metrics; nil makes one.
	Registry *prometheus.Registry
	// Tracer makes a span of each request; nil for none.
	Tracer trace.Tracer
	// Version is shown to clients.
	Version string
	Now     func() time.Time
}

// Handler serves feeds. It may be used by any number of goroutines.
type Handler struct {
	config  Config
	bounds  atomic.Pointer[Limits]
	logger  *slog.Logger
	now     func() time.Time
	router  *mux.Router
	routes  *routes
	access  *accessLog
	metrics *metrics
	ids     requestIDs
	heads   headLines
	zstd    *compressor

	appends, uploads *shares
	waiters, waited  *shares // long polls, and the feeds that they wait for
	memory           *shares // bytes of bodies held
	work             *Queue
	turns            turns

	draining context.Context // ended by Drain
	drain    context.CancelFunc
}

// New returns a handler. Close it when it is no longer served.
func New(c Config) (*Handler, error) {
	if c.Reader == nil && c.Inbox == nil {
		return nil, errors.New("feedhttp: a handler needs a reader or an inbox")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{config: c, logger: c.Logger, now: c.Now}
	h.draining, h.drain = context.WithCancel(context.Background())
	h.share(c.Limits.withDefaults())
	h.ids.seed()
	h.routes = newRoutes()
	if c.Inbox != nil {
		h.routes = inboxRoutes()
	}
	h.router = h.routes.router()
	var err error
	if h.zstd, err = newCompressor(c.Now); err != nil {
		return nil, err
	}
	if h.metrics, err = newMetrics(c.Registry, h); err != nil {
		return nil, err
	}
	if c.AccessLog != nil {
		h.access = newAccessLog(c.AccessLog, c.Logger)
	}
	return h, nil
}

// share sets up what Spaces share.
func (h *Handler) share(l Limits) {
	h.bounds.Store(&l)
	h.appends, h.uploads = newShares("batches", int64(l.Appends)), newShares("uploads", int64(l.Uploads))
	h.waiters, h.waited = newShares("long polls", int64(l.Waiters)), newShares("feeds of long polls", int64(l.Waited))
	h.memory = newShares("bytes of bodies", l.BatchMemory)
	h.work = NewQueue("requests", l.Requests, l.Line, l.Lines)
}

// Drain wakes long polls and lets readiness fail, so that a server can end.
func (h *Handler) Drain() { h.drain() }

// Close drains and writes what the access log still holds.
func (h *Handler) Close() error {
	h.Drain()
	if h.access != nil {
		return h.access.close()
	}
	return nil
}

// call is one request on its way through the handler.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	caller  Caller
	echo    []string // the request id as a header value
	id      feed.ID  // where the path names a feed, or its Space alone
	rest    string   // of the path
	route   *route
	body    *pacedBody // nil where none was read
	span    trace.Span // nil where requests are not traced
	started time.Time
}

// ServeHTTP answers one request: find the route, look who asks, let the
// endpoint answer, send that, write it down, and see that it arrives.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := call{w: w, r: r, started: h.now()}
	c.echo = h.ids.of(r)
	c.caller = Caller{Address: r.RemoteAddr, Request: c.echo[0]}
	a, err := h.answer(&c)
	status, sent, err := h.send(&c, a, err)
	h.finish(&c, status, sent, err)
	h.linger(&c)
}

// answer runs the endpoint of a request.
func (h *Handler) answer(c *call) (a answer, err error) {
	do, err := h.find(c)
	if err == nil {
		err = h.admit(c)
	}
	h.trace(c)
	if err != nil {
		return answer{}, err
	}
	defer func() {
		if p := recover(); p != nil {
			h.logger.Error("panic", "request", c.caller.Request, "path", c.r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			a.close()
			a, err = answer{}, errInternal
		}
	}()
	if c.route.access == callers && (c.r.Method == http.MethodGet || c.r.Method == http.MethodHead) {
		// Others take their turn once their bodies are here.
		leave, err := h.work.Enter(c.r.Context(), c.sharer(), 1)
		if err != nil {
			return answer{}, err
		}
		defer leave()
	}
	return do(h, c)
}

// finish writes a request down.
func (h *Handler) finish(c *call, status int, sent int64, err error) {
	took := h.now().Sub(c.started)
	h.metrics.count(c.route, status, sent, took)
	c.endTrace(status, took)
	if h.access != nil {
		h.access.write(c, status, sent, took)
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	level := slog.LevelDebug // the client's affair
	switch _, quota := errors.AsType[*QuotaError](err); {
	case quota, errors.Is(err, ErrClosing):
		level = slog.LevelInfo // a server's status, and as it should be
	case errors.Is(err, ErrBusy), errors.Is(err, storage.ErrConflict):
		level = slog.LevelWarn // too much at once is no fault
	case status >= http.StatusInternalServerError, status < http.StatusMultipleChoices && damaged(err):
		level = slog.LevelError
	}
	h.tracedLogger(c).Log(c.r.Context(), level, "request failed", "request", c.caller.Request, "method", c.r.Method, "path", c.r.URL.Path, "status", status, "error", err)
}

// extendWrite gives the client Grace to take the next bytes.
func (h *Handler) extendWrite(c *call) {
	err := http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(h.limits().Grace))
	if ignoreUnsupported(err) != nil {
		h.logger.Debug("no write deadline", "request", c.caller.Request, "error", err)
	}
}

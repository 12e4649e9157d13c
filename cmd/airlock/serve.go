package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/internal/settings"
	"airlock/internal/tracing"
	"airlock/storage"
)

type serveOptions struct {
	settings.Server
	config  string // the file that says more of them
	signing bool   // with the operator's log key
	serving bool   // take large objects too, push, and know other servers
	open    bool   // who shows no credential reads
	to      access // reading makes nothing, and no audit line
}

func (a *app) serveCommand() *cobra.Command {
	o := serveOptions{Server: settings.Default()}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the feeds of a store over HTTP",
		Long: `Serve the feeds of a store. Without --store the store is a folder of the home.

With --access open who shows no credential reads what every admitted Space may,
and brings what a Space signed: the default on a loopback address, and refused on
others. With --access credentials, the default there, every reader and publisher
needs one: see airlock server token and invite. Say it on loopback too where a
proxy on this machine lets others in. Whose statements count is decided by
signatures either way: see airlock server admit.

With --tls self it speaks TLS with a key made out of the operator's log key, so all
servers of an operator show the same one. Spaces that joined (airlock server
invite) pin it, and are known by their own certificates; others show tokens.

One server of a store pushes to the inboxes of Spaces (airlock server push): to
public addresses, and those that --push-to names.

All settings may stand in a file, --config: airlock config example prints one, with
more of them than are listed here. SIGHUP has it read again, and certificates too,
and log files opened anew.`,
		Example: `  airlock serve
  airlock serve --store /srv/airlock --listen 127.0.0.1:7070
  airlock serve --listen :7070 --tls self
  airlock serve --config server.yaml
  airlock serve --store s3://bucket/airlock --listen :7070 --tls-cert c.pem --tls-key k.pem`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serve(cmd.Context(), o, a.louder(cmd.Flags()))
		},
	}
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "file with settings; flags and environment beat it")
	settingFlags(f, o.Server.Fields())
	return c
}

const listenHint = "is another server running there? say --listen 127.0.0.1:PORT"

// serveGC is the share of the live heap, in percent, that a server lets grow
// anew before it collects; GOGC in the environment says otherwise. Most of what
// a server holds are index pages and cached objects, which are kept and hold no
// pointers: looking at them costs little, and room for as much again is wasted.
const serveGC = 25

// serveProcessors is how many of the runtime's processors a server has for each core;
// GOMAXPROCS in the environment says otherwise. Where goroutines that hash or verify
// keep all of them busy, the runtime looks for what came over the network once in 10 ms
// (runtime.sysmon), and each step of a request waits for that.
const serveProcessors = 3

func tuneRuntime(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(serveGC)
	}
	if getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(serveProcessors * storage.Workers())
	}
}

func (a *app) serve(ctx context.Context, o serveOptions, louder func(flag string) bool) (err error) {
	said := saidSettings{a, o.config, o.Server, louder}
	said.base.Store = a.store
	if o.Server, err = said.read(); err != nil {
		return err
	}
	a.store = o.Store
	again := reloads{saidSettings: said, current: o.Server}
	addr, err := net.ResolveTCPAddr("tcp", o.Listen)
	if err != nil {
		return hinted(err, err.Error(), listenHint)
	}
	o.open = o.Access == settings.Open || o.Access == "" && isLoopback(addr)
	listener, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return hinted(err, err.Error(), listenHint)
	}
	defer listener.Close()
	tuneRuntime(a.getenv)
	if o.Advertise == "" && isLoopback(listener.Addr()) {
		o.Advertise = scheme(o.TLS) + "://" + listener.Addr().String()
	}
	o.signing, o.serving, o.to = true, true, publishing
	k, err := a.keep(ctx, o)
	if err != nil {
		return err
	}
	defer k.close()
	access, err := a.openLog("logs.access", o.Logs.Access)
	if err != nil {
		return err
	}
	defer access.Close()
	traces, err := tracing.Start(ctx, tracing.Config{Endpoint: o.Tracing.Endpoint, Sample: o.Tracing.Sample, Server: k.id, Version: version, Logger: a.logger(slog.LevelInfo), Now: a.now})
	if err != nil {
		return err
	}
	defer traces.Close()
	metrics := prometheus.NewRegistry()
	if err := k.server.Register(metrics); err != nil {
		return err
	}
	handler, err := feedhttp.New(feedhttp.Config{Registry: metrics, Tracer: traces.Tracer(), Reader: k.server, Writer: k.server, Enroller: k.server, Audiences: k.server, Boards: k.server, Callers: k.server, Peers: k.server,
		Ready: k.server.Ready, Limits: o.Limits, Logger: a.logger(slog.LevelInfo), AccessLog: access.writer(), Version: version, Now: a.now})
	if err != nil {
		return err
	}
	defer handler.Close()
	if err := k.server.Join(ctx); err != nil {
		return err
	}
	s := feedhttp.Server(handler)
	s.TLSConfig = k.shown.config()
	again.handler, again.shown, again.logs = handler, k.shown, []*logFile{access, k.audit}
	defer again.onHangup(ctx)()
	a.noteServing(ctx, k, o.TLS, listener)
	return a.listen(ctx, s, listener, func() {
		handler.Drain()
		s.SetKeepAlivesEnabled(false) // who comes back goes to another server
		sleep(context.WithoutCancel(ctx), o.Drain)
	})
}

// listen serves until ctx ends, calls drain, and then lets running requests finish.
func (a *app) listen(ctx context.Context, s *http.Server, l net.Listener, drain func()) error {
	failed := make(chan error, 1)
	go func() {
		if s.TLSConfig != nil {
			failed <- s.ServeTLS(l, "", "")
		} else {
			failed <- s.Serve(l)
		}
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	a.note("stopping: waiting for running requests")
	drain()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return s.Shutdown(grace)
}

// keeper is a store with the server on it.
type keeper struct {
	id     string // of this server among others of the store; "" for who only administers
	store  *storage.Store
	server *server.Server
	key    feed.LogKey       // zero for who administers without
	shown  *shownCertificate // nil for without TLS
	floor  *home.Floor
	spool  *storage.Spool
	audit  *logFile // nil for none
}

// close ends what was opened, in the order in which it uses each other.
func (k *keeper) close() error {
	var errs []error
	if k.server != nil {
		errs = append(errs, k.server.Close())
	}
	if k.floor != nil {
		k.floor.Close()
	}
	if k.spool != nil {
		errs = append(errs, k.spool.Close())
	}
	return errors.Join(append(errs, k.audit.Close(), k.store.Close())...)
}

// keep opens the store as its operator.
func (a *app) keep(ctx context.Context, o serveOptions) (*keeper, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	store, err := a.openPlace(ctx, a.storePath(h), o.to)
	if err != nil {
		return nil, a.keptElsewhere(err)
	}
	if o.Tracing.Endpoint != "" {
		store = tracing.Store(store)
	}
	return a.keepStore(ctx, h, storage.Chunked(store), o)
}

// keepStore is keep for a store that is open; it closes it on error.
func (a *app) keepStore(ctx context.Context, h *home.Home, store *storage.Store, o serveOptions) (*keeper, error) {
	if store.Exclusive != "" {
		a.note("this must be the only server on %s: %s", store.Name, store.Exclusive)
	}
	if store.Untried != "" {
		a.note("whether several servers may write to %s is not known: %s", store.Name, store.Untried)
	}
	k := &keeper{store: store}
	var err error
	if o.signing {
		if k.key, err = a.storeKey(ctx, h, store, o.to); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	if o.serving {
		if k.shown, err = a.shows(k.key, o.TLS); err != nil {
			return nil, errors.Join(err, k.close())
		}
		if k.spool, err = a.openSpool(h); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	switch {
	case o.to == reading:
		o.Logs.Audit = "none"
	case o.Logs.Audit == "":
		o.Logs.Audit = cmp.Or(a.acts, filepath.Join(h.Path(), "audit.log"))
	}
	if k.audit, err = a.openLog("logs.audit", o.Logs.Audit); err != nil {
		return nil, errors.Join(err, k.close())
	}
	logger := a.logger(slog.LevelInfo)
	if k.floor, err = h.NewFloor(ctx, logger); err != nil {
		return nil, errors.Join(err, k.close())
	}
	c := server.Config{Store: store, LogKey: k.key, Floor: k.floor, Cache: storage.NewCache(max(o.Cache, 1<<20)),
		Window: o.CommitWindow, Deltas: o.serving, Open: o.open, Watch: o.serving, Fresh: 200 * time.Millisecond, Logger: logger, Now: a.now}
	if k.audit != nil {
		c.Audit = slog.New(slog.NewJSONHandler(k.audit, nil))
	}
	if k.spool != nil {
		c.Spool = k.spool
	}
	if o.serving && store.Exclusive == "" {
		if c.Peering, err = o.peering(h, k.shown); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	if o.serving {
		if k.id, err = h.ServerID(); err != nil {
			return nil, errors.Join(err, k.close())
		}
		c.Pushing = server.Pushing{On: true, Self: newSelf(0), To: o.Push.To, GiveUp: o.Push.GiveUp, Version: version}
		c.Pushing.Self.ID = k.id
	}
	k.server = server.New(c)
	return k, nil
}

// peering is how other servers of the store know this one. Where it shows a key of
// its own at an https address, they hold it to that.
func (o serveOptions) peering(h *home.Home, shown *shownCertificate) (server.Peering, error) {
	p := server.Peering{Address: o.Advertise, Version: version}
	if shown != nil && strings.HasPrefix(o.Advertise, "https:") {
		p.Pin = shown.pin
	}
	id, err := h.ServerID()
	p.ID = id
	return p, err
}

// spoolBytes bounds uploads that are not complete.
const spoolBytes = 64 << 30

// openSpool opens the folder of uploads that are not complete. One that was
// cut off is kept for a day.
func (a *app) openSpool(h *home.Home) (*storage.Spool, error) {
	s, err := storage.OpenSpool(filepath.Join(h.Path(), "spool"), spoolBytes)
	if err != nil {
		return nil, err
	}
	if _, err := s.Sweep(a.now().AddDate(0, 0, -1)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// storePath is --store, or a folder of the operator's home.
func (a *app) storePath(h *home.Home) string {
	if a.store != "" {
		return a.store
	}
	return filepath.Join(h.Path(), "store")
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

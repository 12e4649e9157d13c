package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
)

type serveOptions struct {
	listen, access, accessLog, auditLog string
	advertise                           string // where other servers of the store reach this one
	tls                                 tlsOptions
	cacheMiB                            int64
	serving                             bool   // sign checkpoints and take large objects
	open                                bool   // who shows no credential reads
	to                                  access // reading makes nothing, and no audit line
	window, drain                       time.Duration
}

func (a *app) serveCommand() *cobra.Command {
	var o serveOptions
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
invite) pin it, and are known by their own certificates; others show tokens.`,
		Example: `  airlock serve
  airlock serve --store /srv/airlock --listen 127.0.0.1:7070
  airlock serve --listen :7070 --tls self
  airlock serve --store s3://bucket/airlock --listen :7070 --tls-cert c.pem --tls-key k.pem`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:7070", "address to listen on; port 0 chooses a free one")
	f.StringVar(&o.advertise, "advertise", "", "URL at which other servers of the store reach this one (default that of --listen on loopback)")
	f.StringVar(&o.access, "access", "", "who may ask: open or credentials (default open on loopback, credentials elsewhere)")
	f.StringVar(&o.accessLog, "access-log", "-", "file for the access log; - for standard error, none for nowhere")
	f.StringVar(&o.auditLog, "audit-log", "", "file for the audit log (default audit.log in the home)")
	o.tls.flags(f)
	f.StringVar(&o.tls.key, "tls-key", "", "private key in PEM")
	f.Int64Var(&o.cacheMiB, "cache-mib", 64, "memory for cached objects, in MiB")
	f.DurationVar(&o.drain, "drain", 0, "how long it goes on answering when it is stopped, while /readyz says so: for a proxy to notice")
	f.DurationVar(&o.window, "commit-window", 0, "how long a commit waits for more; 20ms suits distant stores")
	return c
}

const listenHint = "is another server running there? say --listen 127.0.0.1:PORT"

// serveGC is the share of the live heap, in percent, that a server lets grow
// anew before it collects; GOGC in the environment says otherwise. Most of what
// a server holds are index pages and cached objects, which are kept and hold no
// pointers: looking at them costs little, and room for as much again is wasted.
const serveGC = 25

func (a *app) serve(ctx context.Context, o serveOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	addr, err := net.ResolveTCPAddr("tcp", o.listen)
	if err != nil {
		return hinted(err, err.Error(), listenHint)
	}
	if o.open, err = o.isOpen(addr); err != nil {
		return err
	}
	listener, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return hinted(err, err.Error(), listenHint)
	}
	defer listener.Close()
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(serveGC)
	}
	if o.advertise == "" && isLoopback(listener.Addr()) {
		o.advertise = o.tls.scheme() + "://" + listener.Addr().String()
	}
	o.serving, o.to = true, publishing
	k, err := a.keep(ctx, o)
	if err != nil {
		return err
	}
	defer k.close()
	access, closeAccess, err := a.logFile(o.accessLog)
	if err != nil {
		return err
	}
	defer closeAccess()
	metrics := prometheus.NewRegistry()
	if err := k.server.Register(metrics); err != nil {
		return err
	}
	handler, err := feedhttp.New(feedhttp.Config{Registry: metrics, Reader: k.server, Writer: k.server, Enroller: k.server, Audiences: k.server, Boards: k.server, Callers: k.server, Peers: k.server,
		Logger: a.logger(slog.LevelInfo), AccessLog: access, Version: version, Now: a.now})
	if err != nil {
		return err
	}
	defer handler.Close()
	if err := k.server.Join(); err != nil {
		return err
	}
	s := feedhttp.Server(handler)
	if s.TLSConfig, err = a.serverTLS(k.key, o.tls); err != nil {
		return err
	}
	a.noteServing(k.store, o.tls, s, listener)
	return a.listen(ctx, s, listener, func() {
		handler.Drain()
		s.SetKeepAlivesEnabled(false) // who comes back goes to another server
		sleep(context.WithoutCancel(ctx), o.drain)
	})
}

// check refuses what would only fail once the server listens.
func (o serveOptions) check() error {
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return usage("--listen %.200q is no address with a port", "say --listen 127.0.0.1:PORT", o.listen)
	}
	return o.tls.check()
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
	store  *storage.Store
	server *server.Server
	key    feed.LogKey // zero for who administers without
	floor  *home.Floor
	spool  *storage.Spool
	audit  func() error
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
	if k.audit != nil {
		errs = append(errs, k.audit())
	}
	return errors.Join(append(errs, k.store.Close())...)
}

// keep opens the store as its operator.
func (a *app) keep(ctx context.Context, o serveOptions) (*keeper, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	store, err := a.openStorage(ctx, a.storePath(h), o.to)
	if err != nil {
		return nil, err
	}
	return a.keepStore(ctx, h, store, o)
}

// keepStore is keep for a store that is open; it closes it on error.
func (a *app) keepStore(ctx context.Context, h *home.Home, store *storage.Store, o serveOptions) (*keeper, error) {
	if store.Exclusive != "" {
		a.note("this must be the only server on %s: %s", store.Name, store.Exclusive)
	}
	k := &keeper{store: store}
	var err error
	if o.serving {
		if k.key, err = a.newLogKey(h); err != nil {
			return nil, errors.Join(err, k.close())
		}
		if k.spool, err = a.openSpool(h); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	switch {
	case o.to == reading:
		o.auditLog = "none"
	case o.auditLog == "":
		o.auditLog = filepath.Join(h.Path(), "audit.log")
	}
	audit, closeAudit, err := a.logFile(o.auditLog)
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	k.audit = closeAudit
	logger := a.logger(slog.LevelInfo)
	if k.floor, err = h.NewFloor(ctx, logger); err != nil {
		return nil, errors.Join(err, k.close())
	}
	c := server.Config{Store: store, LogKey: k.key, Floor: k.floor, Cache: storage.NewCache(max(o.cacheMiB, 1) << 20),
		Window: o.window, Deltas: o.serving, Open: o.open, Watch: o.serving, Fresh: 200 * time.Millisecond, Logger: logger, Audit: slog.New(slog.NewJSONHandler(audit, nil)), Now: a.now}
	if k.spool != nil {
		c.Spool = k.spool
	}
	if o.serving && store.Exclusive == "" {
		if c.Peering, err = o.peering(h, k.key); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	k.server = server.New(c)
	return k, nil
}

// peering is how other servers of the store know this one. Where it shows a key of
// its own at an https address, they hold it to that.
func (o serveOptions) peering(h *home.Home, logKey feed.LogKey) (server.Peering, error) {
	p := server.Peering{Address: o.advertise, Version: version}
	id, err := h.ServerID()
	if p.ID = id; err == nil && o.tls.scheme() == "https" && strings.HasPrefix(o.advertise, "https:") {
		p.Pin, err = o.tls.pin(logKey)
	}
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

// logFile opens a log: "-" is standard error, "none" and "" nowhere.
func (a *app) logFile(path string) (io.Writer, func() error, error) {
	nothing := func() error { return nil }
	switch path {
	case "-":
		return a.err, nothing, nil
	case "none", "":
		return nil, nothing, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

// isOpen reports whether who shows no credential may read.
func (o serveOptions) isOpen(addr *net.TCPAddr) (bool, error) {
	switch o.access {
	case "":
		return isLoopback(addr), nil
	case accessOpen:
		if !isLoopback(addr) {
			return false, usage("%s is not a loopback address, and readers would need no credential", "say --access credentials, or listen on 127.0.0.1", o.listen)
		}
		return true, nil
	case accessCredentials:
		return false, nil
	}
	return false, usage("--access %.40q is neither open nor credentials", "say --access open or --access credentials", o.access)
}

// What --access may say.
const (
	accessOpen        = "open"
	accessCredentials = "credentials"
)

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
)

// here is a site's server inside this process: to fill a store without a
// program for each batch, and to see what the processors do.
type here struct {
	*server.Server
	logKey []byte
	close  []func() error // in order
}

// serverHere opens the site's store as its operator does, with warnings on
// standard error.
func (s *site) serverHere(ctx context.Context) (*here, error) {
	op, err := home.Open(s.path("op"))
	if err != nil {
		return nil, err
	}
	key, _, err := op.EnsureLogKey()
	if err != nil {
		return nil, err
	}
	store, err := storage.Open(ctx, s.storePath(), os.Getenv)
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	floor, err := op.NewFloor(ctx, logger)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	spool, err := storage.OpenSpool(s.path("op", "spool"), 16<<30)
	if err != nil {
		floor.Close()
		return nil, errors.Join(err, store.Close())
	}
	h := &here{logKey: key.Public(), Server: server.New(server.Config{Store: store, LogKey: key, Floor: floor, Spool: spool,
		Cache: storage.NewCache(64 << 20), Fresh: 200 * time.Millisecond, Logger: logger, Now: time.Now})}
	h.close = []func() error{h.Server.Close, spool.Close, func() error { floor.Close(); return nil }, store.Close}
	return h, nil
}

// listeningHere is serverHere for a server that answers over HTTP at addr.
func (s *site) listeningHere(ctx context.Context) (h *here, addr string, err error) {
	if h, err = s.serverHere(ctx); err != nil {
		return nil, "", err
	}
	if addr, err = h.listen(s); err != nil {
		return nil, "", errors.Join(err, h.Close())
	}
	return h, addr, nil
}

// Close ends the server and what it stands on.
func (h *here) Close() error {
	var errs []error
	for _, end := range h.close {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// listen serves over HTTP on a free port, with an access log in a file.
func (h *here) listen(s *site) (addr string, err error) {
	access, err := os.Create(s.path("access.log"))
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", errors.Join(err, access.Close())
	}
	handler, err := feedhttp.New(feedhttp.Config{Reader: h.Server, Writer: h.Server, Callers: h.Server, AccessLog: access, Version: "bench", Now: time.Now})
	if err != nil {
		return "", errors.Join(err, access.Close(), l.Close())
	}
	web := feedhttp.Server(handler)
	go web.Serve(l) // ends with web.Close
	h.close = append([]func() error{web.Close, func() error { handler.Close(); return access.Close() }}, h.close...)
	return l.Addr().String(), nil
}

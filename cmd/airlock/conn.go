package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
)

const defaultServer = "http://127.0.0.1:7070"

// place is where feeds are read from and published to.
type place interface {
	feed.Source
	feed.Packs
	feed.Tiles
	feed.Waiter
	feed.Publisher
	Feeds(ctx context.Context) ([]feed.ID, error)
}

// conn is an open place. Close it.
type conn struct {
	place
	name  string
	close func() error // nil once closed
}

// Close ends the connection; for a store it waits for what is being written.
// Closing again does nothing.
func (c *conn) Close() error {
	if c.close == nil {
		return nil
	}
	end := c.close
	c.close = nil
	return end()
}

// connect opens --server or --store. A command that publishes into a store
// acts as its operator: it makes a log key where there is none.
func (a *app) connect(ctx context.Context, publishing bool) (*conn, error) {
	if a.store != "" {
		return a.openStore(ctx, a.store, publishing)
	}
	base := a.server
	if base == "" {
		base = defaultServer
	}
	return a.dial(base)
}

// from opens what --from names: a URL, a bucket or a folder. Empty stands for
// --server or --store.
func (a *app) from(ctx context.Context, where string) (*conn, error) {
	switch {
	case where == "":
		return a.connect(ctx, false)
	case strings.HasPrefix(where, "http://"), strings.HasPrefix(where, "https://"):
		return a.dial(where)
	}
	if !strings.HasPrefix(where, "s3://") {
		if _, err := os.Stat(where); err != nil {
			return nil, usage("--from %s: %v", "name a server's URL, a store's folder or s3://bucket/prefix", where, err)
		}
	}
	return a.openStore(ctx, where, false)
}

func (a *app) dial(base string) (*conn, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, usage("server %.200q is not a URL", "say --server http://HOST:PORT", base)
	}
	token := ""
	if a.tokenFile != "" {
		if token, err = readSecretFile(a.tokenFile); err != nil {
			return nil, err
		}
	}
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: u, Token: token, UserAgent: "airlock/" + version})
	if err != nil {
		return nil, err
	}
	return &conn{place: c, name: base, close: func() error { return nil }}, nil
}

// openStore runs the server's own code in this process.
func (a *app) openStore(ctx context.Context, where string, publishing bool) (*conn, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	key, err := a.logKey(h, publishing)
	if err != nil {
		return nil, err
	}
	store, err := storage.Open(ctx, where, a.getenv)
	if err != nil {
		return nil, err
	}
	logger := a.logger(slog.LevelWarn)
	floor, err := h.NewFloor(ctx, logger)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	srv := server.New(server.Config{Store: store, LogKey: key, Floor: floor, Logger: logger, Fresh: 200 * time.Millisecond, Now: a.now})
	c := &conn{place: srv.Local(), name: store.Name, close: func() error {
		err := srv.Close()
		floor.Close()
		return errors.Join(err, store.Close())
	}}
	if publishing {
		if err := a.admitSelf(ctx, srv, h); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func (a *app) logKey(h *home.Home, publishing bool) (feed.LogKey, error) {
	if !publishing {
		key, err := h.LogKey()
		if errors.Is(err, fs.ErrNotExist) {
			return feed.LogKey{}, nil // reading needs none
		}
		return key, err
	}
	key, created, err := h.EnsureLogKey()
	if created {
		a.note("made a log key in %s: back it up, the store is only written with it", h.Path())
	}
	return key, err
}

// admitSelf admits the home's own Space: who holds the operator's key and the
// Space's key needs nobody's leave.
func (a *app) admitSelf(ctx context.Context, srv *server.Server, h *home.Home) error {
	own, err := h.Identity()
	if err != nil {
		return err
	}
	return srv.AdmitSelf(ctx, own)
}

func (a *app) logger(level slog.Level) *slog.Logger {
	if a.quiet {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/trust"
)

const defaultServer = "http://127.0.0.1:7070"

// place is where feeds are read from and published to.
type place interface {
	feed.Source
	feed.Packs
	feed.Chunks
	feed.Deltas
	feed.Tiles
	feed.Waiter
	feed.Publisher
	Feeds(ctx context.Context, of ...trust.Space) ([]feed.ID, error) // of all where no Space is named
}

// ofSpaces leaves of feeds those of some Spaces, or where none is named all.
func ofSpaces(ids []feed.ID, of []trust.Space) []feed.ID {
	return slices.DeleteFunc(ids, func(id feed.ID) bool { return len(of) > 0 && !slices.Contains(of, id.Space) })
}

// conn is an open place. Close it.
type conn struct {
	place
	name  string
	close func() error // nil once closed
	// received tells how many bytes came over the line; nil where there is none.
	received func() int64
	stick    *stick // nil for a server or a store
	late     bool   // a medium, or what was pushed, may be older than what came another way; see feed.Follower.Late
}

// feedsAmong returns the feeds of some Spaces, and for none nothing: to Feeds that
// would mean all.
func (c *conn) feedsAmong(ctx context.Context, spaces []trust.Space) ([]feed.ID, error) {
	if len(spaces) == 0 {
		return nil, nil
	}
	return c.Feeds(ctx, spaces...)
}

// medium is what --from names for a medium, and empty for a server or a store.
func (c *conn) medium() string {
	if c.stick == nil {
		return ""
	}
	return strings.Join(c.stick.paths, ",")
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

// bytes returns how many came over the line so far; 0 where there is none.
func (c *conn) bytes() int64 {
	if c.received == nil {
		return 0
	}
	return c.received()
}

// connect opens --server or --store. A command that publishes into a store
// acts as its operator.
func (a *app) connect(ctx context.Context, to access) (*conn, error) {
	if a.store != "" {
		return a.openStore(ctx, a.store, to)
	}
	base := a.server
	if base == "" {
		base = defaultServer
	}
	return a.dial(base)
}

// from opens what --from names: a URL, a bucket, a store's folder, or a medium
// with bundles. Empty stands for --server or --store.
func (a *app) from(ctx context.Context, where string) (*conn, error) {
	return a.at(ctx, where, reading)
}

// at opens a place that is named as --from names them.
func (a *app) at(ctx context.Context, where string, to access) (*conn, error) {
	switch {
	case where == "":
		return a.connect(ctx, to)
	case strings.HasPrefix(where, "http://"), strings.HasPrefix(where, "https://"):
		return a.dial(where)
	}
	if paths := stickPaths(where); paths != nil && to == reading {
		return a.openStick(ctx, paths...)
	}
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	if to == reading && h.IsInbox(where) {
		return a.openPushed(ctx, h)
	}
	c, err := a.openStore(ctx, where, to)
	if to == reading && errors.Is(err, storage.ErrNoStore) {
		return nil, usage("there is neither a bundle nor a store in %s", "name the folder in which the volumes ("+bundle.Extension+") lie, or a store; is the medium mounted?", where)
	}
	return c, err
}

// dial opens a server, or several of one store with commas between: one is asked
// until it fails, then the next.
func (a *app) dial(named string) (*conn, error) {
	c, err := a.client(named)
	if err != nil {
		return nil, err
	}
	return &conn{place: c, name: named, close: func() error { return nil }, received: c.Received}, nil
}

// client returns the client of servers that are named as for dial, with what the
// home and the flags have for each: token, pin and certificate.
func (a *app) client(named string) (*feedhttp.Client, error) {
	var servers []feedhttp.Endpoint
	for base := range strings.SplitSeq(named, ",") {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, usage("server %.200q is no https URL", "say --server https://HOST:PORT, or http://127.0.0.1:PORT on this machine; a folder or bucket is --store DIR or --store s3://bucket/prefix", base)
		}
		token, err := a.tokenOf(u)
		if err != nil {
			return nil, err
		}
		e := feedhttp.Endpoint{Base: u, Token: token}
		if s, ok, err := a.joined(u); err != nil {
			return nil, err
		} else if ok {
			e.Pin, e.Certificate = s.Pin, a.certificate
		}
		servers = append(servers, e)
	}
	first := servers[0]
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: first.Base, Token: first.Token, Pin: first.Pin, Certificate: first.Certificate,
		Others: servers[1:], UserAgent: "airlock/" + version})
	if err != nil && a.tokenFile != "" && !as[*feedhttp.BaseError](err) {
		return nil, a.noToken(err)
	}
	return c, err
}

// certificate returns what this home shows to servers that it joined: nothing
// where it has no key for that any more.
func (a *app) certificate() (*tls.Certificate, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	c, err := h.Certificate()
	if errors.Is(err, fs.ErrNotExist) || as[*home.UnlistedError](err) {
		return &tls.Certificate{}, nil
	}
	return c, err
}

// tokenOf returns the token for a server, "" where --token-file has none.
func (a *app) tokenOf(u *url.URL) (string, error) {
	if a.tokenFile == "" {
		return "", nil
	}
	text, err := readSecretFile(a.tokenFile)
	if err != nil {
		if !as[*fs.PathError](err) { // its form, not the file
			err = a.noToken(err)
		}
		return "", err
	}
	token, err := tokenFor(text, u)
	if err != nil {
		return "", a.noToken(err)
	}
	return token, nil
}

func (a *app) noToken(err error) error {
	return usage("--token-file %s: %v", "name the file that holds the token which the operator gave, or for each server a line with its URL and its token", a.tokenFile, err)
}

func (a *app) logger(level slog.Level) *slog.Logger {
	if a.quiet {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

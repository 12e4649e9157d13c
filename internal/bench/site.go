package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/bench/peers"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// spaceName and feedName are whose feed is measured.
const (
	spaceName = "acme/bench"
	feedName  = "shared"
)

// A site is a publishing Space and the operator of a server, each with a home
// in the folder: "dev" and "op".
type site struct {
	airlock, dir string
	store        string // of the server; empty for a folder in "op"
	token        string // of an administrator
	id           feed.ID
	own          *trust.History
	signer       *signing.Signer
	pin          storage.Digest // of the servers' TLS key; zero where they speak none
}

// newSite makes the Space and admits it. Its feed does not exist yet.
func newSite(ctx context.Context, airlock, dir string) (*site, error) {
	return newSiteOn(ctx, airlock, dir, "")
}

// newSiteOn is newSite with a store elsewhere.
func newSiteOn(ctx context.Context, airlock, dir, store string) (*site, error) {
	s := &site{airlock: airlock, dir: dir, store: store}
	for _, args := range [][]string{
		{"--home", s.path("dev"), "init", spaceName, "--plain-keys", "--person", "Bench"},
		{"--home", s.path("dev"), "identity", "export", "-o", s.path("dev.id")},
		{"--home", s.path("op"), "--store", s.storePath(), "server", "admit", s.path("dev.id")},
		{"--home", s.path("op"), "--store", s.storePath(), "server", "token", "add", "--administrator", "--for", "3650d", "-o", s.path("token")},
	} {
		if _, _, err := peers.Run(ctx, airlock, args...); err != nil {
			return nil, err
		}
	}
	return s, s.openDev()
}

// openSite returns a site that was made before.
func openSite(airlock, dir string) (*site, error) {
	s := &site{airlock: airlock, dir: dir}
	return s, s.openDev()
}

func (s *site) openDev() error {
	if err := s.open(s.path("dev")); err != nil {
		return err
	}
	token, err := os.ReadFile(s.path("token"))
	s.token = strings.TrimSpace(string(token))
	s.id = feed.ID{Space: s.own.Space(), Name: feedName}
	return err
}

// open has the Space of a home publish.
func (s *site) open(dir string) error {
	h, err := home.Open(dir)
	if err != nil {
		return err
	}
	s.own, s.signer, err = plainKeys(h)
	return err
}

// plainKeys returns whose a home is, and what signs for it. Its keys have no
// passphrase.
func plainKeys(h *home.Home) (*trust.History, *signing.Signer, error) {
	own, err := h.Identity()
	if err != nil {
		return nil, nil, err
	}
	signer, err := h.Publisher(func() (string, error) { return "", errors.New("the key is plain") })
	return own, signer, err
}

func (s *site) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *site) storePath() string {
	if s.store != "" {
		return s.store
	}
	return s.path("op", "store")
}

// serve starts the server with its access log in a file. Stop it.
func (s *site) serve(ctx context.Context) (*peers.Server, error) { return s.serveAs(ctx, "op") }

// serveAs is serve with another home of the operator.
func (s *site) serveAs(ctx context.Context, home string) (*peers.Server, error) {
	addr, err := peers.FreeAddr()
	if err != nil {
		return nil, err
	}
	args := []string{"--home", s.path(home), "--store", s.storePath(), "serve", "--listen", addr,
		"--access-log", s.path(home + ".access.log"), "--access", "credentials"}
	if !s.pin.IsZero() {
		args = append(args, "--tls", "self")
	}
	return peers.Start(ctx, addr, s.airlock, args...)
}

// speakTLS has servers that start from here on, and their clients, speak TLS.
func (s *site) speakTLS() error {
	op, err := home.Open(s.path("op"))
	if err != nil {
		return err
	}
	key, err := op.LogKey()
	if err != nil {
		return err
	}
	s.pin, err = server.CertificatePin(key)
	return err
}

// receiver makes a new home that trusts the Space.
func (s *site) receiver(ctx context.Context, dir string) error {
	return s.trust(ctx, dir, s.path("dev.id"), feedName, s.own)
}

// trust has a home trust what a Space publishes in a feed.
func (s *site) trust(ctx context.Context, dir, file, feed string, whose *trust.History) error {
	_, _, err := peers.Run(ctx, s.airlock, "--home", dir, "trust", "add", file, "--feed", feed,
		"--until", "2099-12-31", "--thumbprint", whose.Lineage().String())
	return err
}

// client returns a client of the server at addr.
func (s *site) client(addr string, change func(*feedhttp.ClientConfig)) (*feedhttp.Client, error) {
	c := feedhttp.ClientConfig{Base: &url.URL{Scheme: "http", Host: addr}, Token: s.token, Pin: s.pin, UserAgent: "airlock/bench"}
	if !s.pin.IsZero() {
		c.Base.Scheme = "https"
	}
	if change != nil {
		change(&c)
	}
	return feedhttp.NewClient(c)
}

// feedURL is the address of a part of the feed.
func (s *site) feedURL(addr, part string) string {
	return fmt.Sprintf("http://%s/v1/feeds/%s/%s", addr, s.id, part)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/internal/tsa"
)

func (a *app) tsaCommand() *cobra.Command {
	return group("tsa", "Run a time stamping authority (RFC 3161)", a.tsaServeCommand(), a.tsaCertCommand())
}

func (a *app) tsaServeCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer time stamp requests over HTTP",
		Long: `Answer requests for time stamps (RFC 3161 over HTTP) with this home's authority,
which is made where there is none: a key and its certificates, in keys/tsa.pem.
A token says that a signature was there at a time, by the word of whoever runs
the authority. So it is worth most where somebody else runs it than who makes
receipts. Anybody who reaches the address gets tokens; it learns only digests.`,
		Example: `  airlock tsa serve --listen 127.0.0.1:3161
  airlock tsa cert -o tsa-root.pem
  airlock receipt send --tsa http://127.0.0.1:3161 --tsa-certs tsa-root.pem`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.tsaServe(cmd.Context(), listen) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:3161", "address to listen on")
	return c
}

func (a *app) tsaServe(ctx context.Context, listen string) error {
	id, err := a.timeAuthority()
	if err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(listen); err != nil {
		return usage("--listen %.200q is no address with a port", "say --listen 127.0.0.1:PORT", listen)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return hinted(err, err.Error(), listenHint)
	}
	defer l.Close()
	server := &http.Server{Handler: tsa.Handler(tsa.New(id, a.now), a.logger(slog.LevelInfo)), ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	a.note("serving time stamps of %s on http://%s", id.Leaf.Subject.CommonName, l.Addr())
	return a.listen(ctx, server, l, func() {})
}

// timeAuthority returns the home's authority and makes it where there is none,
// by the name of its Space.
func (a *app) timeAuthority() (*tsa.Identity, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	name := "airlock"
	own, err := h.Identity()
	switch {
	case err == nil:
		name = own.Space().String()
	case !errors.Is(err, home.ErrNoSpace):
		return nil, err
	}
	return h.EnsureTimeAuthority(name, a.now())
}

func (a *app) tsaCertCommand() *cobra.Command {
	var out string
	var chain bool
	c := &cobra.Command{
		Use:   "cert",
		Short: "Write the certificate by which this home's time authority is believed",
		Long: `Write the root certificate of this home's time authority in PEM: what openssl ts
-verify takes as -CAfile, and airlock as --tsa-certs. With --chain the
authority's own certificate comes before it, as cosign trusted-root create takes
it.`,
		Example: `  airlock tsa cert -o tsa-root.pem
  airlock tsa cert --chain -o tsa-chain.pem`,
		Args: exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			id, err := h.TimeAuthority()
			if errors.Is(err, fs.ErrNotExist) {
				return hinted(err, "this home has no time authority yet", "airlock tsa serve makes one, and so does the first receipt")
			}
			if err != nil {
				return err
			}
			if chain {
				return a.writeOutput(out, bytes.NewReader(id.Chain()))
			}
			return a.writeOutput(out, bytes.NewReader(id.RootPEM()))
		},
	}
	c.Flags().BoolVar(&chain, "chain", false, "write the authority's own certificate too")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	return c
}

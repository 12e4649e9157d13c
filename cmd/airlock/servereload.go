package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"airlock/feed/feedhttp"
	"airlock/internal/settings"
	"airlock/signing"
	"airlock/storage"
)

// reloads are what a server takes up while it runs: limits, certificates, and log
// files that were begun anew.
type reloads struct {
	saidSettings
	current settings.Server
	handler *feedhttp.Handler
	shown   *shownCertificate // nil for without TLS
	logs    []*logFile
}

// onHangup reads the settings again at each SIGHUP, until stop.
func (r *reloads) onHangup(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangup, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer close(done)
		for {
			select {
			case <-hangup:
				r.reopen()
				if err := r.reload(); err != nil {
					r.app.note("airlock: warning: nothing was reloaded: %s", oneLine(err.Error()))
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		cancel()
		<-done
	}
}

// reopen opens the log files anew, whatever is wrong with the settings: who renamed
// them waits for that.
func (r *reloads) reopen() {
	for _, l := range r.logs {
		if err := l.reopen(); err != nil {
			r.app.note("airlock: warning: a log goes on where it was: %v", err)
		}
	}
}

// errTLS reports a change that connections could not follow.
var errTLS = errors.New("tls is turned on or off, or of another mode: restart the server for that")

// otherKeyError reports a certificate of another key than the one that is shown.
type otherKeyError struct {
	file    string
	was, is storage.Digest
}

func (e *otherKeyError) Error() string {
	return fmt.Sprintf("%s is of another key: Spaces that joined pinned %s and would refuse %s; renew it for the same key, or restart the server to show it all the same", e.file, e.was, e.is)
}

// reload takes up what may change. Where anything is wrong it changes nothing.
func (r *reloads) reload() error {
	next, err := r.read()
	if err != nil {
		return err
	}
	if next.TLS.Mode != r.current.TLS.Mode || scheme(next.TLS) != scheme(r.current.TLS) {
		return errTLS
	}
	same := true
	if next.TLS.Cert != "" {
		c, err := tls.LoadX509KeyPair(next.TLS.Cert, next.TLS.Key)
		if err != nil {
			return err
		}
		// Spaces that joined go by the key: what would lock them out takes more than a
		// program that renews certificates and signals.
		if is := signing.KeyThumbprint(c.Leaf); is != r.shown.pin() {
			return &otherKeyError{next.TLS.Cert, r.shown.pin(), is}
		}
		if same = bytes.Equal(c.Leaf.Raw, r.shown.Load().Leaf.Raw); !same {
			r.shown.Store(&c)
			r.app.note("reloaded: its TLS key is %s, with a certificate until %s", r.shown.pin(), day(c.Leaf.NotAfter))
		}
	}
	changes := r.current.Take(next)
	r.handler.SetLimits(r.current.Limits)
	for _, c := range changes {
		if c.Live {
			r.app.note("reloaded: %s is %s, was %s", c.Path, c.New, c.Old)
		} else {
			r.app.note("airlock: warning: %s stays %s until the server is restarted; it is to be %s", c.Path, dash(c.Old), dash(c.New))
		}
	}
	if same && len(changes) == 0 {
		r.app.note("reloaded: nothing has changed")
	}
	return nil
}

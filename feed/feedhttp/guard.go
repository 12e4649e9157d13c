package feedhttp

import (
	"context"
	"errors"
	"io"
	"time"
)

// errStalled reports a server from which nothing comes any more.
var errStalled = errors.New("the server does not answer")

// guard ends an exchange in which no byte has moved for too long.
type guard struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
}

// watch returns a context that ends with parent, or when the guard's patience
// does. stop must be called.
func watch(parent context.Context, patience time.Duration) (context.Context, *guard) {
	ctx, cancel := context.WithCancelCause(parent)
	g := &guard{ctx: ctx, cancel: cancel, patience: patience}
	g.timer = time.AfterFunc(patience, func() { cancel(errStalled) })
	return ctx, g
}

// moved gives the exchange its whole patience again.
func (g *guard) moved() {
	if g.timer.Stop() { // not where stop was called, or it fired
		g.timer.Reset(g.patience)
	}
}

func (g *guard) stop() {
	g.timer.Stop()
	g.cancel(nil)
}

// explain puts the guard's own reason in the place of "context canceled".
func (g *guard) explain(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(g.ctx), errStalled) {
		return errStalled
	}
	return err
}

// guardedBody is a body, of either direction, whose bytes the guard sees.
type guardedBody struct {
	body  io.ReadCloser
	guard *guard
	ends  bool // closing it ends the exchange
}

func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if n > 0 {
		b.guard.moved()
	}
	return n, b.guard.explain(err)
}

func (b *guardedBody) Close() error {
	err := b.body.Close()
	if b.ends {
		b.guard.stop()
	}
	return err
}

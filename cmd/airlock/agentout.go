package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// apart returns an app of the same home that works at the same time as others:
// what it writes comes whole.
func (f *fleet) apart(name string) *app {
	b := &app{commonFlags: f.commonFlags, getenv: f.getenv, now: f.now, open: f.home}
	b.streams = streams{in: f.in, out: &whole{to: f.out, mu: &f.writing}, err: &lines{name: name, to: f.app.err, mu: &f.writing}}
	return b
}

// sleep waits, and reports false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// whole keeps what is written until it is flushed.
type whole struct {
	to  io.Writer
	mu  *sync.Mutex
	buf []byte
}

func (w *whole) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

func (w *whole) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.to.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// lines writes for people, in the name of a subscription.
type lines struct {
	name string
	to   io.Writer
	mu   *sync.Mutex
}

func (w *lines) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := fmt.Fprintf(w.to, "%s: %s", w.name, p)
	return len(p), err
}

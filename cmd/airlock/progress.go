package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"airlock/feed"
)

// bar shows how far long work has come, on a terminal only.
type bar struct {
	a     *app
	label string

	mu          sync.Mutex
	done, total int64
	form        func(int64) string
	bytes       int64 // read meanwhile, where done and total count something else
	drawn       time.Time
	shown       bool
}

// progress returns a bar; it draws nothing where nobody would see it.
func (a *app) progress(label string) *bar { return &bar{a: a, label: label} }

// set says how much is done.
func (b *bar) set(done, total int64) {
	b.note(done, total, func(n int64) string { return fmt.Sprint(n) })
}

// setBytes says how many bytes are done.
func (b *bar) setBytes(done, total int64) { b.note(done, total, size) }

// reading begins a bar of total steps that may take long each, 0 where nobody
// knows how many, and returns what tells it of bytes that are read meanwhile; nil
// where nobody would see it.
func (b *bar) reading(total int) func(n int) {
	if !b.visible() {
		return nil
	}
	b.set(0, int64(total))
	return func(n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.bytes += int64(n)
		b.draw(false)
	}
}

// fetch gets the packages of rows with a bar, in their order.
func (a *app) fetch(ctx context.Context, label string, f *feed.Follower, s *feed.State, rows []feed.Row, each func(*feed.Package) error) error {
	bar := a.progress(label)
	defer bar.end()
	f.Reading = bar.reading(len(rows))
	defer func() { f.Reading = nil }() // an ended bar would come back
	var done int64
	return f.Fetch(ctx, s, rows, func(p *feed.Package) error {
		err := each(p)
		done++
		bar.set(done, int64(len(rows)))
		return err
	})
}

// visible reports whether anybody would see the bar.
func (b *bar) visible() bool { return !b.a.quiet && !b.a.noProgress && b.a.onTerminal() }

func (b *bar) note(done, total int64, form func(int64) string) {
	if !b.visible() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done, b.total, b.form = done, total, form
	b.draw(done >= total)
}

// draw draws the bar ten times a second, and at the end. The caller holds b.mu.
func (b *bar) draw(last bool) {
	now := b.a.now()
	if now.Sub(b.drawn) < 100*time.Millisecond && !last {
		return
	}
	b.drawn, b.shown = now, true
	line := b.label
	if b.total > 0 {
		const width = 30
		filled := strings.Repeat("=", int(min(width*b.done/b.total, width)))
		line += fmt.Sprintf(" [%-*s] %s of %s", width, filled, b.form(b.done), b.form(b.total))
	}
	if b.bytes > 0 {
		line += ", " + size(b.bytes)
	}
	fmt.Fprint(b.a.err, "\r\x1b[K", line)
	b.a.drawn.Store(b)
}

// clearBar takes away the bar that is shown, before a line is written.
func (a *app) clearBar() {
	if b := a.drawn.Load(); b != nil {
		b.end()
	}
}

// end takes the bar away. Who draws on brings it back.
func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.a.err, "\r\x1b[K")
		b.shown = false
	}
}

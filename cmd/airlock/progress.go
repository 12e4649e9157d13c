package main

import (
	"fmt"
	"sync"
	"time"
)

// bar shows how far long work has come, on a terminal only.
type bar struct {
	a     *app
	label string

	mu    sync.Mutex
	drawn time.Time
	shown bool
}

// progress returns a bar; it draws nothing where nobody would see it.
func (a *app) progress(label string) *bar { return &bar{a: a, label: label} }

// set says how much is done.
func (b *bar) set(done, total int64) {
	b.draw(done, total, func(n int64) string { return fmt.Sprint(n) })
}

// setBytes says how many bytes are done.
func (b *bar) setBytes(done, total int64) { b.draw(done, total, size) }

func (b *bar) draw(done, total int64, form func(int64) string) {
	if b.a.quiet || b.a.noProgress || !b.a.onTerminal() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.a.now()
	if now.Sub(b.drawn) < 100*time.Millisecond && done < total {
		return
	}
	b.drawn, b.shown = now, true
	const width = 30
	filled := int(width * done / max(total, 1))
	fmt.Fprintf(b.a.err, "\r\x1b[K%s [%-*s] %s of %s", b.label, width, "=============================="[:min(filled, width)], form(done), form(total))
}

// end takes the bar away.
func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.a.err, "\r\x1b[K")
		b.shown = false
	}
}

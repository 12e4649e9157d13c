package log_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"airlock/feed/log"
)

// gate holds one kind of operation on the feed's cell until it is opened.
type gate struct {
	mu   sync.Mutex
	op   string
	wait chan struct{}
	held chan struct{}
}

func newGate() *gate { return &gate{held: make(chan struct{}, 64)} }

func (g *gate) close(op string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.op, g.wait = op, make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.op = ""
	close(g.wait)
}

// waitUntilHeld returns once an operation waits at the gate.
func (g *gate) waitUntilHeld() { <-g.held }

func (g *gate) fault(ctx context.Context, op, key string) (error, error) {
	g.mu.Lock()
	wait := g.wait
	here := g.op == op && key == "log/acme/dev-qa/shared"
	g.mu.Unlock()
	if !here {
		return nil, nil
	}
	g.held <- struct{}{}
	select {
	case <-wait:
		return nil, nil
	case <-ctx.Done():
		return ctx.Err(), nil
	}
}

func appendAsync(ctx context.Context, l *log.Log, epoch uint64, subs []log.Submission) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := l.Append(ctx, epoch, subs)
		done <- err
	}()
	return done
}

// waitQueued returns once n requests wait for the committer.
func waitQueued(t testing.TB, l *log.Log, n int) {
	for l.Queued() < n {
		if t.Context().Err() != nil {
			t.Fatal("the requests were never queued")
		}
		runtime.Gosched()
	}
}

package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"airlock/storage"
)

// TestTuneRuntime: a server has processors to spare for what comes, unless the
// environment says how many.
func TestTuneRuntime(t *testing.T) {
	procs, gc := runtime.GOMAXPROCS(0), debug.SetGCPercent(100)
	t.Cleanup(func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(gc)
	})
	for _, c := range []struct {
		env               string
		wantProcs, wantGC int
	}{{"7", 1, 100}, {"", 3 * storage.Workers(), 25}} {
		runtime.GOMAXPROCS(1)
		debug.SetGCPercent(100)
		tuneRuntime(func(string) string { return c.env })
		if got := runtime.GOMAXPROCS(0); got != c.wantProcs {
			t.Errorf("environment %q: %d processors, want %d", c.env, got, c.wantProcs)
		}
		if got := debug.SetGCPercent(100); got != c.wantGC {
			t.Errorf("environment %q: collects at %d percent, want %d", c.env, got, c.wantGC)
		}
	}
}

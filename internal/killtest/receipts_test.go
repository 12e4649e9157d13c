package killtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

const pulledPackages = 40

// Whatever pulls were killed, two at a time in one home: everything that lies in
// a folder has its receipt, and no number was given out twice or is missing.
func TestReceiptsKilled(t *testing.T) {
	w := newWorld(t, "", nil)
	must(t, os.Mkdir(w.file("files"), 0o700))
	for i := range pulledPackages {
		must(t, os.WriteFile(filepath.Join(w.file("files"), fmt.Sprintf("p%d", i)), []byte{byte(i)}, 0o600))
	}
	w.must("publish", "shared", w.file("files"), "--kind", "file", "--version", "1", "--store", w.store)
	pull := func(ctx context.Context, target string) error {
		return w.command(ctx, w.home(0), "pull", "shared", "--store", w.store, "--into", w.file(target), "--target", target).Run()
	}
	var mu sync.Mutex
	var targets []string
	killed := 0
	var wg sync.WaitGroup
	for n := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				mu.Lock()
				enough := killed >= killCount()/2
				target := fmt.Sprintf("conf-%d-%d", n, i/3) // some are pulled into again
				if !enough && i%3 == 0 {
					targets = append(targets, target)
				}
				mu.Unlock()
				if enough {
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond+rand.N(300*time.Millisecond))
				_ = pull(ctx, target) // the killed and the warned are looked at in the end
				mu.Lock()
				if ctx.Err() != nil {
					killed++
				}
				mu.Unlock()
				cancel()
			}
		})
	}
	wg.Wait()
	for _, target := range targets {
		if err := pull(t.Context(), target); err != nil {
			t.Errorf("pull into %s: %v", target, err)
		}
	}
	w.must("receipt", "send", "--store", w.store)
	w.checkReceipts(targets)
}

// must runs a command to its end.
func (w *world) must(args ...string) {
	w.t.Helper()
	if out, err := w.command(w.t.Context(), w.home(0), args...).CombinedOutput(); err != nil {
		w.t.Fatalf("airlock %v: %v\n%s", args, err, out)
	}
}

func (w *world) checkReceipts(targets []string) {
	h, err := home.Open(w.home(0))
	must(w.t, err)
	key, err := h.LogKey()
	must(w.t, err)
	srv := server.New(server.Config{Store: w.openStore(), LogKey: key})
	defer srv.Close()
	view, err := trust.NewView(w.own, nil)
	must(w.t, err)
	f := &feed.Follower{Source: srv.Local(), View: view, State: storage.NewMem(), Now: time.Now}
	state, report, err := f.Sync(w.t.Context(), feed.ID{Space: w.feed.Space, Name: receipts.Feed})
	must(w.t, err)
	if len(report.Void) > 0 {
		w.t.Errorf("void: %v", report.Void)
	}
	ledger, said := receipts.NewLedger(), map[string]map[signing.ID]bool{}
	must(w.t, ledger.Read(w.t.Context(), f, state, func(e receipts.Entry, a signing.Attestation) error {
		for _, target := range e.Targets {
			if said[target] == nil {
				said[target] = map[signing.ID]bool{}
			}
			said[target][e.Publication.Statement] = true
		}
		if a.Timestamp() == nil {
			w.t.Errorf("%s has no time stamp", e.Place)
		}
		return nil
	}))
	for _, finding := range ledger.Findings() {
		w.t.Error(finding)
	}
	for _, target := range targets {
		if n := len(said[target]); n != pulledPackages {
			w.t.Errorf("%s: receipts of %d packages, want %d", target, n, pulledPackages)
		}
	}
	w.t.Logf("%d receipts of %d folders", state.Edge.Size()-2, len(targets))
}

package killtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/built"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

const (
	clients     = 8
	kills       = 50
	lostAnswers = 0.03
)

func killCount() int {
	if testing.Short() {
		return 5
	}
	return kills
}

// What was acknowledged is there exactly once, whatever was killed: the server
// while eight clients publish to it (C9, B29).
func TestServerKilled(t *testing.T) {
	t.Run("directory", func(t *testing.T) { newWorld(t, "", nil).killServer() })
	t.Run("s3 losing answers", func(t *testing.T) { s3World(t).killServer() })
}

// The same for commands that work on the store without any server: eight of
// them at a time, of which one in a few is killed.
func TestCommandKilled(t *testing.T) {
	t.Run("directory", func(t *testing.T) { newWorld(t, "", nil).killCommands() })
	t.Run("s3 losing answers", func(t *testing.T) { s3World(t).killCommands() })
}

func (w *world) killServer() {
	if out, err := w.command(w.t.Context(), w.home(0), "server", "admit", w.file("space.id"), "--store", w.store).CombinedOutput(); err != nil {
		w.t.Fatalf("admit: %v\n%s", err, out)
	}
	address := built.FreeAddress(w.t)
	running := w.serve(address)
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.publish(ctx, n, fmt.Sprintf("c%d-%d", n, i), "--server", "http://"+address)
			}
		})
	}
	wg.Go(func() { w.watchHead(ctx, address) })
	for range killCount() {
		w.waitForMore(running)
		time.Sleep(rand.N(40 * time.Millisecond))
		running.Kill()
		running = w.serve(address)
	}
	w.waitForMore(running)
	stop()
	wg.Wait()
	running.Kill()
	w.checkAll()
}

// waitForMore waits until something more was acknowledged: a kill proves
// nothing while nothing happens.
func (w *world) waitForMore(s *built.Process) {
	before := w.ackCount()
	deadline := time.Now().Add(30 * time.Second)
	for w.ackCount() == before {
		if time.Now().After(deadline) {
			w.t.Fatalf("nothing was acknowledged for 30 s\n%s", s.Said)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) ackCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

func (w *world) killCommands() {
	var killed atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := 0; killed.Load() < int64(killCount()); i++ {
				ctx, cancel := context.WithCancel(w.t.Context())
				if rand.N(3) == 0 {
					ctx, cancel = context.WithTimeout(w.t.Context(), 20*time.Millisecond+rand.N(200*time.Millisecond))
				}
				w.publish(ctx, n, fmt.Sprintf("c%d-%d", n, i), "--store", w.store)
				if ctx.Err() != nil {
					killed.Add(1)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	w.checkAll()
}

// publish runs one publish command, killed when ctx ends, and records what it
// acknowledged.
func (w *world) publish(ctx context.Context, n int, name string, where ...string) {
	file := filepath.Join(w.t.TempDir(), name)
	must(w.t, os.WriteFile(file, []byte("payload of "+name), 0o600))
	args := append([]string{"publish", "shared", file, "--kind", "file", "--name", name, "--version", "1", "-f", "json"}, where...)
	out, err := w.command(ctx, w.home(n), args...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil && exit.ExitCode() != 1 {
			w.t.Errorf("publish %s: %v\n%s", name, err, exit.Stderr)
		}
		return
	}
	w.note(name, out)
}

// note records what the program says that it published.
func (w *world) note(name string, out []byte) {
	var docs []struct {
		Entry     int64
		Statement string
	}
	if err := json.Unmarshal(out, &docs); err != nil || len(docs) != 1 {
		w.t.Errorf("publish %s: %v in %s", name, err, out)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = append(w.acked, ack{name, docs[0].Entry, docs[0].Statement})
}

// watchHead reads checkpoints all the time: none may be smaller than one
// before, and no size may have two roots.
func (w *world) watchHead(ctx context.Context, address string) {
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: &url.URL{Scheme: "http", Host: address}, Retry: feedhttp.Retry{Attempts: 1}})
	if err != nil {
		w.t.Error(err)
		return
	}
	roots := map[int64]tlog.Hash{}
	var highest int64
	for ctx.Err() == nil {
		head, err := c.Checkpoint(ctx, w.feed)
		if err != nil {
			continue // the server is being killed
		}
		if head.Size < highest {
			w.t.Errorf("the log went back from %d to %d", highest, head.Size)
		}
		if root, ok := roots[head.Size]; ok && root != head.Root {
			w.t.Errorf("two roots at size %d", head.Size)
		}
		highest, roots[head.Size] = head.Size, head.Root
	}
}

// checkAll reads the store as a newcomer does and compares: every
// acknowledged entry at its index, once; nothing void; root computed again.
func (w *world) checkAll() {
	store := w.openStore()
	h, err := home.Open(w.home(0))
	must(w.t, err)
	key, err := h.LogKey()
	must(w.t, err)
	srv := server.New(server.Config{Store: store, LogKey: key})
	defer srv.Close()
	view, err := trust.NewView(w.own, nil)
	must(w.t, err)
	f := feed.Follower{Source: srv.Local(), View: view, State: storage.NewMem(), Now: time.Now}
	state, report, err := f.Sync(w.t.Context(), w.feed)
	if errors.Is(err, fs.ErrNotExist) && len(w.acked) == 0 {
		w.t.Fatal("nothing was ever acknowledged")
	}
	must(w.t, err)
	for i, why := range report.Void {
		w.t.Errorf("entry %d is void: %v", i, why)
	}
	entries, names := map[string][]int64{}, map[string]int{}
	for row := range state.Index.Rows(0) {
		entries[row.ID.String()] = append(entries[row.ID.String()], row.Index)
		names[row.Ref.Name]++
	}
	for _, a := range w.acked {
		if got := entries[a.id]; len(got) != 1 || got[0] != a.entry || names[a.name] != 1 {
			w.t.Errorf("%s was acknowledged as entry %d and is at %v, %d times by its name", a.name, a.entry, got, names[a.name])
		}
	}
	w.t.Logf("%d acknowledged, %d entries", len(w.acked), state.Edge.Size())
}

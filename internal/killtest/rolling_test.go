package killtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/built"
	"airlock/storage/storetest"
)

// Two servers of one store are restarted in turn while four clients publish and
// one reads, all of whom know both: no error reaches any of them, and the reader
// never sees the log go back (B33).
func TestRollingRestart(t *testing.T) {
	t.Run("directory", func(t *testing.T) { newWorld(t, "", nil).rollServers() })
	t.Run("s3", func(t *testing.T) {
		cfg := storetest.VersityGW(t)
		newWorld(t, "s3://"+cfg.Bucket+"/rolling", s3Env(cfg)).rollServers()
	})
}

func rollCount() int {
	if testing.Short() {
		return 2
	}
	return 4
}

func (w *world) rollServers() {
	if out, err := w.command(w.t.Context(), w.home(0), "server", "admit", w.file("space.id"), "--store", w.store).CombinedOutput(); err != nil {
		w.t.Fatalf("admit: %v\n%s", err, out)
	}
	addresses := []string{built.FreeAddress(w.t), built.FreeAddress(w.t)}
	running := []*built.Process{w.serveFrom(0, addresses[0]), w.serveFrom(1, addresses[1])}
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.mustPublish(2+n, fmt.Sprintf("c%d-%d", n, i), "http://"+addresses[n%2]+",http://"+addresses[1-n%2])
			}
		})
	}
	wg.Go(func() { w.followHeads(ctx, addresses) })
	for i := range rollCount() {
		for n := range running {
			w.waitForMore(running[n])
			if err := running[n].Stop(); err != nil {
				w.t.Errorf("round %d: server %d ended with %v\n%s", i, n, err, running[n].Said)
			}
			running[n] = w.serveFrom(n, addresses[n])
		}
	}
	w.waitForMore(running[0])
	stop()
	wg.Wait()
	for n := range running {
		running[n].Kill()
	}
	w.checkAll()
}

// mustPublish publishes one file, which nothing may keep from working, and
// records what was acknowledged.
func (w *world) mustPublish(n int, name, servers string) {
	file := w.file(name)
	if err := os.WriteFile(file, []byte("payload of "+name), 0o600); err != nil {
		w.t.Error(err)
		return
	}
	c := w.command(context.Background(), w.home(n), "publish", "shared", file, "--kind", "file", "--name", name, "--version", "1", "-f", "json", "--server", servers)
	out, err := c.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		w.t.Errorf("publish %s: %v\n%s", name, err, exit.Stderr)
		return
	}
	w.note(name, out)
}

// followHeads waits for news with one client that knows both servers.
func (w *world) followHeads(ctx context.Context, addresses []string) {
	c, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: &url.URL{Scheme: "http", Host: addresses[0]},
		Others: []feedhttp.Endpoint{{Base: &url.URL{Scheme: "http", Host: addresses[1]}}}})
	if err != nil {
		w.t.Error(err)
		return
	}
	known := map[feed.ID]int64{w.feed: 0}
	for ctx.Err() == nil {
		heads, err := c.Heads(ctx, known, 10*time.Second)
		if err != nil {
			w.t.Errorf("waiting: %v", err)
			return
		}
		if head, ok := heads[w.feed]; ok {
			if head.Size < known[w.feed] {
				w.t.Errorf("the log went back from %d to %d", known[w.feed], head.Size)
			}
			known[w.feed] = head.Size
		}
	}
}

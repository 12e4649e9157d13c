package killtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"airlock/internal/built"
)

// Whatever is killed while packages are pushed, the server that sends or the agent
// that takes them in: in the end the Space has all that was acknowledged, each file
// whole, and the server says so (B23).
func TestPushKilled(t *testing.T) {
	t.Run("directory", func(t *testing.T) { newWorld(t, "", nil).killPush() })
	t.Run("s3 losing answers", func(t *testing.T) { s3World(t).killPush() })
}

// pushTo makes a Space whose agent follows what is pushed to an address.
func (w *world) pushTo(inbox string) (homeDir string) {
	w.t.Helper()
	w.must("server", "admit", w.file("space.id"), "--store", w.store)
	homeDir = w.receiver("production", "https://feeds.acme.example")
	w.must("server", "push", "add", "acme/production", "http://"+inbox, "--feed", "acme/dev-qa/shared", "--store", w.store)
	w.must("--home", homeDir, "subscription", "add", "conf", "--feed", w.feed.String(), "--from", "inbox", "--into", w.file("conf"), "--every", "1s")
	return homeDir
}

func (w *world) killPush() {
	address, inbox := built.FreeAddress(w.t), built.FreeAddress(w.t)
	receiver := w.pushTo(inbox)
	serve := func() *built.Process { return w.serveFrom(0, address, "--push-to", "127.0.0.0/8") }
	follow := func() *built.Process {
		return w.start("inbox: taking in", receiver, "agent", "--inbox", "http://"+inbox, "--receipts", "off")
	}
	server, agent := serve(), follow()
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			w.publish(ctx, 0, fmt.Sprintf("p%d", i), "--server", "http://"+address)
		}
	})
	for range killCount() {
		time.Sleep(rand.N(400 * time.Millisecond))
		switch rand.N(3) {
		case 0:
			server.Kill()
			server = serve()
		default:
			agent.Kill()
			agent = follow()
		}
	}
	stop()
	wg.Wait()
	w.comesToBe("all that was acknowledged, in the folder", func() bool {
		for _, a := range w.acked {
			got, err := os.ReadFile(filepath.Join(w.file("conf"), "file", a.name, a.name))
			if err != nil || string(got) != "payload of "+a.name {
				return false
			}
		}
		return true
	})
	w.comesToBe("the server's word", func() bool {
		out, err := w.command(w.t.Context(), w.home(0), "server", "push", "list", "--store", w.store, "-f", "json").Output()
		var docs []struct {
			State string
			Taken map[string]int64
		}
		return err == nil && json.Unmarshal(out, &docs) == nil && len(docs) == 1 && docs[0].State == "pushed" && docs[0].Taken[w.feed.String()] >= int64(len(w.acked))
	})
	must(w.t, agent.Stop())
	must(w.t, server.Stop())
	if out, err := w.command(w.t.Context(), receiver, "verify", w.feed.String(), "--from", filepath.Join(receiver, "inbox")).CombinedOutput(); err != nil {
		w.t.Errorf("the inbox: %v\n%s", err, out)
	}
	if left, err := os.ReadDir(filepath.Join(receiver, "inbox.part")); err == nil && len(left) > 0 {
		w.t.Errorf("%d files of streams are left", len(left))
	}
	if len(w.acked) == 0 {
		w.t.Error("nothing was published")
	}
	w.t.Logf("%d packages", len(w.acked))
}

// comesToBe waits for something.
func (w *world) comesToBe(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s did not come to be", what)
		}
	}
}

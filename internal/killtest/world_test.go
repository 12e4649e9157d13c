package killtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/feed"
	"airlock/internal/built"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// world is a built program, a Space, and a store for both to work on.
type world struct {
	t       *testing.T
	program string
	dir     string
	store   string // as --store takes it
	env     []string
	own     *trust.History
	feed    feed.ID

	mu    sync.Mutex
	acked []ack
}

// ack is a publication that the program said is in.
type ack struct {
	name  string
	entry int64
	id    string
}

func newWorld(t *testing.T, store string, env []string) *world {
	w := &world{t: t, program: built.Airlock(t), dir: t.TempDir(), store: store, env: env}
	if w.store == "" {
		w.store = filepath.Join(w.dir, "store")
	}
	space := trust.Space{Organisation: "acme", Name: "dev-qa"}
	w.feed = feed.ID{Space: space, Name: "shared"}
	h, err := home.Open(w.home(0))
	must(t, err)
	w.own, err = h.Init(t.Context(), home.NewSpace{Space: space, Issuer: "https://acme.example", Person: "Killed", Now: time.Now()})
	must(t, err)
	_, _, err = h.EnsureLogKey()
	must(t, err)
	must(t, os.WriteFile(w.file("space.id"), trust.FormatFile(w.own), 0o600))
	for n := 1; n < clients; n++ {
		w.copyHome(n)
	}
	return w
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }
func (w *world) home(n int) string       { return w.file(fmt.Sprintf("home-%d", n)) }

// copyHome gives a client its own home with the same keys: several machines of
// one Space.
func (w *world) copyHome(n int) {
	must(w.t, os.CopyFS(w.home(n), os.DirFS(w.home(0))))
	for _, key := range []string{"root-1.key", "root-2.key", "publisher-1.key", "log.key"} {
		must(w.t, os.Chmod(filepath.Join(w.home(n), "keys", key), 0o600))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command returns a run of the program with the environment of the world only.
func (w *world) command(ctx context.Context, homeDir string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, w.program, append([]string{"--home", homeDir}, args...)...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH")}, w.env...)
	return c
}

// serve starts the server on an address and waits until it listens.
func (w *world) serve(address string) *built.Process { return w.serveFrom(0, address) }

// serveFrom is serve with the home of another client.
func (w *world) serveFrom(n int, address string, more ...string) *built.Process {
	w.t.Helper()
	return w.start("serving ", w.home(n), append([]string{"serve", "--store", w.store, "--listen", address, "--access-log", "none"}, more...)...)
}

// start starts the program, and waits until it says something.
func (w *world) start(says, homeDir string, args ...string) *built.Process {
	w.t.Helper()
	p, err := built.Start(w.command(context.Background(), homeDir, args...), says, io.Discard)
	must(w.t, err)
	return p
}

// s3World is a world on a real S3 server behind a proxy that loses answers.
func s3World(t *testing.T) *world {
	cfg := storetest.VersityGW(t)
	_, lossy := storetest.NewLossyProxy(t, cfg, storetest.LoseShare(1, lostAnswers))
	return newWorld(t, "s3://"+lossy.Bucket+"/killtest", s3Env(lossy))
}

// s3Env is what the program finds in its environment about an S3 server.
func s3Env(cfg storage.S3Config) []string {
	return []string{"AIRLOCK_S3_ENDPOINT=" + cfg.Endpoint, "AIRLOCK_S3_ACCESS_KEY=" + cfg.AccessKey,
		"AIRLOCK_S3_SECRET_KEY=" + cfg.SecretKey, "AIRLOCK_S3_REGION=" + cfg.Region}
}

// openStore opens the world's store in this process.
func (w *world) openStore() *storage.Store {
	s, err := storage.Open(w.t.Context(), w.store, func(name string) string {
		for _, e := range w.env {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	})
	must(w.t, err)
	w.t.Cleanup(func() { s.Close() })
	return s
}

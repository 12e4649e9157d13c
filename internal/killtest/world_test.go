package killtest

import (
	"context"
	"fmt"
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
	"airlock/internal/server"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// networkFiles is where ip-netns(8) keeps the namespaces that have names.
const networkFiles = "/run/netns/"

// world is a built program, a Space, and a store for both to work on.
type world struct {
	t       *testing.T
	program string
	dir     string
	store   string // as --store takes it
	env     []string
	own     *trust.History
	feed    feed.ID
	// networks has the network namespaces of homes whose commands run in one.
	networks map[string]string

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
	return newWorldOf(t, built.Airlock(t), store, env)
}

// newWorldOf is newWorld of a program that was built before.
func newWorldOf(t *testing.T, program, store string, env []string) *world {
	w := &world{t: t, program: program, dir: t.TempDir(), store: store, env: env}
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
	keys, err := filepath.Glob(filepath.Join(w.home(n), "keys", "*.key"))
	must(w.t, err)
	for _, key := range keys {
		must(w.t, os.Chmod(key, 0o600))
	}
}

// join lets a home know servers, as joining them does.
func (w *world) join(homeDir string, urls ...string) {
	operator, err := home.Open(w.home(0))
	must(w.t, err)
	key, err := operator.LogKey()
	must(w.t, err)
	pin, err := server.CertificatePin(key)
	must(w.t, err)
	h, err := home.Open(homeDir)
	must(w.t, err)
	for _, url := range urls {
		must(w.t, h.Remember(home.Server{LogKey: key.Public(), Pin: pin, URL: url}))
	}
}

// receiver makes a Space that trusts the world's, joined servers, and is admitted.
func (w *world) receiver(name string, urls ...string) (homeDir string) {
	homeDir = w.file(name)
	h, err := home.Open(homeDir)
	must(w.t, err)
	own, err := h.Init(w.t.Context(), home.NewSpace{Space: trust.Space{Organisation: "acme", Name: name}, Issuer: "https://acme.example", Person: "Bob", Now: time.Now()})
	must(w.t, err)
	w.join(homeDir, urls...)
	must(w.t, os.WriteFile(w.file(name+".id"), trust.FormatFile(own), 0o600))
	w.must("server", "admit", w.file(name+".id"), "--store", w.store)
	w.must("--home", homeDir, "trust", "add", w.file("space.id"), "--feed", "shared", "--thumbprint", w.own.Lineage().String())
	return homeDir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command returns a run of the program with the environment of the world only.
func (w *world) command(ctx context.Context, homeDir string, args ...string) *exec.Cmd {
	run := append([]string{w.program, "--home", homeDir}, args...)
	if network, ok := w.networks[homeDir]; ok {
		run = append([]string{"nsenter", "--net=" + networkFiles + network}, run...)
	}
	c := exec.CommandContext(ctx, run[0], run[1:]...)
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

// start starts the program, and waits until it says something. What it says is kept.
func (w *world) start(says, homeDir string, args ...string) *built.Process {
	w.t.Helper()
	log, err := os.OpenFile(w.file("said.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(w.t, err)
	w.t.Cleanup(func() { _ = log.Close() })
	p, err := built.Start(w.command(context.Background(), homeDir, args...), says, log)
	must(w.t, err)
	return p
}

// said returns what the programs said that were started.
func (w *world) said() []byte {
	b, err := os.ReadFile(w.file("said.log"))
	must(w.t, err)
	return b
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

package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"airlock/feed/feedhttp"
	"airlock/internal/built"
	"airlock/internal/server"
	"airlock/storage"
)

// node is a server that is killed and started again, in a home of its own.
type node struct {
	s       *soak
	name    string
	address string
	door    *door
	way     storage.S3Config
	log     *os.File

	mu  sync.Mutex
	end context.CancelFunc // kills it
}

const storePath = "s3://airlock/soak"

// command returns a run of the program on the store, over a way to it.
func (s *soak) command(ctx context.Context, home string, way storage.S3Config, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, s.program, append(args, "--home", home, "--store", storePath)...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "AIRLOCK_S3_ENDPOINT=" + way.Endpoint, "AIRLOCK_S3_ACCESS_KEY=" + way.AccessKey,
		"AIRLOCK_S3_SECRET_KEY=" + way.SecretKey, "AIRLOCK_S3_REGION=" + way.Region}
	return c
}

func (s *soak) newNode(n int) *node {
	out := &node{s: s, name: fmt.Sprintf("server-%d", n), address: built.FreeAddress(s.t), way: s.weather.ways[n%2], end: func() {}}
	out.door = s.weather.newDoor(out.address)
	must(s.t, os.CopyFS(s.path(out.name), os.DirFS(s.path("home"))))
	must(s.t, os.Chmod(filepath.Join(s.path(out.name), "keys", "log.key"), 0o600))
	var err error
	out.log, err = os.Create(s.path(out.name + ".log"))
	must(s.t, err)
	s.t.Cleanup(func() { _ = out.log.Close() })
	return out
}

// run keeps the server running, whatever ends it, until ctx does.
func (n *node) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		n.mu.Lock()
		n.end = end
		n.mu.Unlock()
		c := n.s.command(life, n.s.path(n.name), n.way, "serve", "--listen", n.address, "--advertise", n.door.url(), "--access-log", "none", "--audit-log", "none", "--push-to", "127.0.0.0/8")
		running, err := built.Serve(c, n.log)
		if err == nil {
			n.s.tally.add("servers: started")
			if strings.Contains(running.Said, "must be the only server") {
				n.s.broken(fmt.Errorf("%s takes the store for one that ignores conditions: %s", n.name, running.Said))
			}
			if strings.Contains(running.Said, "is not known") {
				n.s.tally.add("servers: started on a store that could not be tried")
			}
			<-running.Ended()
			running.Kill()
		}
		switch {
		case life.Err() != nil:
		case err == nil:
			n.s.broken(fmt.Errorf("%s ended by itself", n.name))
		default:
			n.s.tally.add("servers: not started") // the store is gone
			sleep(life, 200*time.Millisecond)
		}
		end()
	}
}

func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.end()
}

// oddClock is a server in this process whose clock is wrong. It is not killed.
type oddClock struct{ address string }

func (s *soak) newOddClock(n int, off time.Duration) *oddClock {
	cfg := s.weather.ways[n%2]
	cfg.Prefix = strings.TrimPrefix(storePath, "s3://airlock/")
	store, err := storage.OpenS3(s.t.Context(), cfg)
	must(s.t, err)
	log, err := os.Create(s.path(fmt.Sprintf("clock-%d.log", n)))
	must(s.t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	now := func() time.Time { return time.Now().Add(off) }
	logger := slog.New(slog.NewTextHandler(log, nil))
	srv := server.New(server.Config{Store: store, LogKey: s.key, Cache: storage.NewCache(16 << 20), Open: true, Watch: true, Fresh: 200 * time.Millisecond, Logger: logger, Now: now,
		Peering: server.Peering{ID: strings.Repeat(fmt.Sprint(n), 32), Address: s.weather.newDoor(l.Addr().String()).url(), Version: "soak"}})
	h, err := feedhttp.New(feedhttp.Config{Reader: srv, Writer: srv, Callers: srv, Peers: srv, Audiences: srv, Boards: srv, Logger: logger, Now: now})
	must(s.t, err)
	web := feedhttp.Server(h)
	go web.Serve(l) // ends with web.Close
	must(s.t, srv.Join(s.t.Context()))
	s.t.Cleanup(func() {
		if err := errors.Join(web.Close(), h.Close(), srv.Close(), store.Close(), log.Close()); err != nil {
			s.t.Error(err)
		}
	})
	return &oddClock{l.Addr().String()}
}

// addresses returns where all servers are, in an order drawn anew.
func (s *soak) addresses(random *rand.Rand) []*url.URL {
	var out []*url.URL
	for _, n := range s.nodes {
		out = append(out, &url.URL{Scheme: "http", Host: n.address})
	}
	for _, o := range s.odd {
		out = append(out, &url.URL{Scheme: "http", Host: o.address})
	}
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// client returns one that knows all servers.
func (s *soak) client(random *rand.Rand) *feedhttp.Client {
	at := s.addresses(random)
	cfg := feedhttp.ClientConfig{Base: at[0], Patience: 5 * time.Second, Retry: feedhttp.Retry{Attempts: 5, First: 50 * time.Millisecond, Max: time.Second, Total: 5 * time.Second}}
	for _, u := range at[1:] {
		cfg.Others = append(cfg.Others, feedhttp.Endpoint{Base: u})
	}
	c, err := feedhttp.NewClient(cfg)
	if err != nil {
		panic(err) // of addresses that are good
	}
	return c
}

// grave are words that no server says, whatever fails around it.
var grave = []string{"panic", "DATA RACE", "lost a part of the log", "holds an older or another log", "damaged", "fatal error"}

// complaints looks for them in what the servers said.
func (s *soak) complaints() error {
	logs, err := filepath.Glob(s.path("*.log"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			for _, word := range grave {
				if bytes.Contains(line, []byte(word)) {
					return fmt.Errorf("%s says: %s", filepath.Base(name), line)
				}
			}
		}
	}
	return nil
}

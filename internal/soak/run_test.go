package soak

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"airlock/feed"
	"airlock/internal/built"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust/trusttest"
)

var (
	soakFor  = flag.Duration("soak", 0, "how long TestSoak runs; without it a short form")
	soakSeed = flag.Uint64("seed", 0, "what the faults and the clients' choices are drawn from; without it the time")
)

func TestMain(m *testing.M) { os.Exit(built.Main(m)) }

// sizes are how much of everything there is.
type sizes struct {
	lasts, window                       time.Duration
	servers, feeds, publishers, readers int // the latter two for each feed
	silent, slow                        int // connections
}

var (
	short = sizes{lasts: 20 * time.Second, window: 6 * time.Second, servers: 3, feeds: 2, publishers: 4, readers: 2, silent: 100, slow: 4}
	full  = sizes{lasts: 10 * time.Minute, window: 20 * time.Second, servers: 8, feeds: 8, publishers: 8, readers: 2, silent: 10000, slow: 32}
)

// killEvery is how often a server is killed.
const killEvery = time.Second

// soak is a run.
type soak struct {
	sizes
	t       *testing.T
	seed    uint64
	began   time.Time
	dir     string // homes and logs
	program string
	space   *trusttest.Space
	key     feed.LogKey
	direct  storage.S3Config // without faults
	weather *weather
	nodes   []*node
	odd     []*oddClock
	tracks  []*track
	polling *follower
	pushed  *follower
	tally   tally
	fail    context.CancelFunc // ends the run

	mu      sync.Mutex
	trouble error // the first
}

// TestSoak lets servers of one bucket be killed while the store fails, publishers
// publish and readers read, and holds what everybody saw against a model (see the
// package's documentation).
func TestSoak(t *testing.T) {
	s := &soak{sizes: short, t: t, seed: *soakSeed, program: built.Airlock(t), tally: tally{counts: map[string]int{}}}
	if *soakFor > 0 {
		s.sizes, s.lasts = full, *soakFor
	} else if testing.Short() {
		s.lasts /= 2
	}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", s.seed)
	s.prepare()
	err := s.run()
	t.Log(s.tally.String())
	if err == nil {
		err = s.complaints()
	}
	if err == nil {
		err = s.idle()
	}
	if err != nil {
		t.Fatalf("%v\nseed %d, logs in %s", err, s.seed, s.dir)
	}
	must(t, os.RemoveAll(s.dir))
}

// idle reports a run that proves little: one in which hardly anything was done.
func (s *soak) idle() error {
	for what, least := range map[string]int{"servers: started": 1, "publish: acknowledged": 10, "read: head": 1, "read: waited": 1, "read: followed": 1, "store: answer lost": 10,
		"agents: killed": 2, "agents: restored from a backup": 1, "agents: updates handed over": 1} {
		if s.tally.of(what) < least {
			return fmt.Errorf("the run proves little: %s: %d", what, s.tally.of(what))
		}
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// random returns a source of randomness for one purpose.
func (s *soak) random(purpose string) *rand.Rand {
	d := storage.DigestOf([]byte(purpose))
	return rand.New(rand.NewPCG(s.seed, uint64(d[0])<<56|uint64(d[1])<<48|uint64(d[2])<<40|uint64(d[3])))
}

// now is the time since the run began, by the monotonic clock.
func (s *soak) now() time.Duration { return time.Since(s.began) }

// prepare starts everything, in fine weather.
func (s *soak) prepare() {
	var err error
	s.dir, err = os.MkdirTemp("", "airlock-soak-")
	must(s.t, err)
	s.direct = storetest.VersityGW(s.t)
	s.weather = newWeather(s)
	s.space = trusttest.New(s.t, "acme/dev-qa")
	h, err := home.Open(s.path("home"))
	must(s.t, err)
	s.key, _, err = h.EnsureLogKey()
	must(s.t, err)
	must(s.t, os.WriteFile(s.path("space.id"), s.space.File(), 0o600))
	s.must(s.path("home"), "server", "admit", s.path("space.id"))
	s.began = time.Now()
	for n := range s.servers {
		s.nodes = append(s.nodes, s.newNode(n))
	}
	for n, off := range []time.Duration{time.Hour, -time.Hour} {
		s.odd = append(s.odd, s.newOddClock(n, off))
	}
	for n := range s.feeds {
		s.tracks = append(s.tracks, s.newTrack(n))
	}
	s.polling, s.pushed = s.newPolling(), s.newPushed()
}

func (s *soak) path(name string) string { return filepath.Join(s.dir, name) }

// run lets everything go on until its time is over or something is wrong.
func (s *soak) run() error {
	var ctx context.Context
	ctx, s.fail = context.WithTimeout(s.t.Context(), s.lasts)
	defer s.fail()
	var all, nodes, agents sync.WaitGroup
	running, end := context.WithCancel(s.t.Context())
	for _, n := range s.nodes {
		nodes.Go(func() { n.run(running) })
	}
	defer nodes.Wait()
	defer end()
	following, leave := context.WithCancel(s.t.Context())
	for _, f := range s.followers() {
		for _, a := range f.agents {
			agents.Go(func() { a.run(following) })
		}
	}
	defer agents.Wait()
	defer leave()
	defer s.weather.fine() // or what ends would wait for the store
	all.Go(func() { s.weather.run(ctx) })
	all.Go(func() { s.killAll(ctx) })
	all.Go(func() { s.killAgents(ctx) })
	all.Go(func() { s.crowd(ctx) })
	for _, track := range s.tracks {
		for n := range s.publishers {
			all.Go(func() { newPublisher(track, n).run(ctx) })
		}
		for n := range s.readers {
			all.Go(func() { newReader(track, n).run(ctx) })
		}
		all.Go(func() { track.run(ctx) })
	}
	all.Wait()
	s.weather.fine()
	for _, track := range s.tracks {
		newcomer := newReader(track, s.readers)
		for patience := s.now() + time.Minute; newcomer.seen == 0 && s.first() == nil && s.now() < patience; {
			newcomer.ask(s.t.Context(), newcomer.follow)
		}
		if newcomer.seen == 0 {
			s.broken(fmt.Errorf("feed %s: a newcomer cannot read it, with nothing in its way", track.id))
		}
		s.broken(track.end())
	}
	if s.first() == nil {
		s.broken(s.settle())
	}
	return s.first()
}

// broken ends the run, where something is wrong.
func (s *soak) broken(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == nil {
		s.trouble = err
		s.fail()
	}
}

func (s *soak) first() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// killAll kills a server each second.
func (s *soak) killAll(ctx context.Context) {
	random := s.random("kills")
	for sleep(ctx, killEvery) {
		s.nodes[random.IntN(len(s.nodes))].kill()
		s.tally.add("kills")
	}
}

// sleep reports whether ctx still runs after d.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// tally counts what happened.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(what string) { t.addN(what, 1) }

func (t *tally) addN(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] += n
}

func (t *tally) max(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] = max(t.counts[what], n)
}

func (t *tally) of(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[what]
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := ""
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		out += fmt.Sprintf("%s: %d\n", what, t.counts[what])
	}
	return out
}

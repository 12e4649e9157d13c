package soak

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"airlock/storage"
	"airlock/storage/storetest"
)

// Shares of requests to the store, in any weather.
const (
	lostShare   = 0.03  // carried out, and the answer lost
	failedShare = 0.10  // answered with a failure, of which a third was carried out
	slowShare   = 0.10  // kept for up to slowest
	lateShare   = 0.002 // of writes: carried out when their server waits no longer
	slowest     = 300 * time.Millisecond
)

// spell is what the weather is like for a while.
type spell int

const (
	usual    spell = iota // the shares above
	gone                  // the store answers nobody
	noRoom                // the store takes nothing in
	parted                // what one network sends to the store is lost
	cutApart              // no server reaches another
	sluggish              // each request takes up to a second more
	spells
)

func (s spell) String() string {
	return [...]string{"usual", "gone", "no room", "parted", "cut apart", "sluggish"}[s]
}

// weather makes all the trouble between servers and store, and between servers.
// There are two networks, each with a way of its own to the store.
type weather struct {
	s     *soak
	now   atomic.Int64
	ways  [2]storage.S3Config
	doors []*door
}

func newWeather(s *soak) *weather {
	w := &weather{s: s}
	for n := range w.ways {
		random := s.random("store " + string(rune('0'+n)))
		w.now.Store(-1)
		_, w.ways[n] = storetest.NewLossyProxy(s.t, s.direct, func(r *http.Request) storetest.Trouble { return w.trouble(random, n, r.Method) })
	}
	return w
}

// fine ends all trouble.
func (w *weather) fine() { w.set(-1) }

func (w *weather) set(to spell) {
	w.now.Store(int64(to))
	for _, d := range w.doors {
		d.shut(to == cutApart)
	}
}

// run changes the weather until ctx ends. In the middle of the run the store is
// gone for a sixth of it, ten minutes at most.
func (w *weather) run(ctx context.Context) {
	random := w.s.random("weather")
	longest := min(max(w.s.lasts/30, 2*time.Second), time.Minute)
	wentAt, away := w.s.now()+w.s.lasts*2/5, min(w.s.lasts/6, 10*time.Minute)
	next := usual
	for ctx.Err() == nil {
		lasts := longest/2 + time.Duration(random.Int64N(int64(longest)/2))
		if w.s.now() > wentAt && away > 0 {
			next, lasts, away = gone, away, 0
		}
		w.s.t.Logf("%s: %s for %s", w.s.now().Round(time.Millisecond), next, lasts.Round(time.Millisecond))
		w.set(next)
		sleep(ctx, lasts)
		if next != usual {
			next = usual
		} else {
			next = 1 + spell(random.IntN(int(spells)-1))
		}
	}
}

// trouble is drawn for a request to the store over one of the ways.
func (w *weather) trouble(random *rand.Rand, way int, method string) (out storetest.Trouble) {
	now := spell(w.now.Load())
	writes := method == http.MethodPut || method == http.MethodPost
	if now == sluggish || now >= usual && random.Float64() < slowShare {
		out.Wait = time.Duration(random.Int64N(int64(slowest)))
	}
	switch lot := random.Float64(); {
	case now < usual:
		return storetest.Trouble{}
	case now == gone:
		w.s.tally.add("store: gone")
		return storetest.Trouble{Drop: true}
	case now == parted && way == 1:
		w.s.tally.add("store: cut off")
		return storetest.Trouble{Hang: true}
	case now == noRoom && writes:
		w.s.tally.add("store: no room")
		out.Status = http.StatusInsufficientStorage
	case lot < lostShare:
		w.s.tally.add("store: answer lost")
		out.Lose = true
	case lot < lostShare+failedShare/3:
		w.s.tally.add("store: failed after it was done")
		out.StatusAfter = http.StatusInternalServerError
	case lot < lostShare+failedShare:
		w.s.tally.add("store: failed")
		out.Status = http.StatusServiceUnavailable
	case lot < lostShare+failedShare+lateShare && writes:
		w.s.tally.add("store: late")
		out.Late = true
	default:
		w.s.tally.add("store: answered")
	}
	return out
}

// door is where other servers reach one. While it is shut it takes connections, and
// nothing comes through, as where packets are lost.
type door struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func (w *weather) newDoor(to string) *door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.s.t, err)
	d := &door{listener: l, to: to, open: map[net.Conn]bool{}}
	w.doors = append(w.doors, d)
	w.s.t.Cleanup(func() { _ = l.Close(); d.drop() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.pass(c)
		}
	}()
	return d
}

func (d *door) url() string { return "http://" + d.listener.Addr().String() }

func (d *door) shut(shut bool) {
	d.mu.Lock()
	was := d.closed
	d.closed = shut
	d.mu.Unlock()
	if was != shut {
		d.drop() // what was held up before is gone
	}
}

// drop closes all connections.
func (d *door) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.open {
		_ = c.Close()
		delete(d.open, c)
	}
}

// keep notes a connection, and reports whether the door is open.
func (d *door) keep(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[c] = true
	return !d.closed
}

func (d *door) leave(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = c.Close()
	delete(d.open, c)
}

func (d *door) pass(c net.Conn) {
	defer d.leave(c)
	if !d.keep(c) {
		_, _ = io.Copy(io.Discard, c) // until it is dropped
		return
	}
	to, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	d.keep(to)
	defer d.leave(to)
	go func() {
		_, _ = io.Copy(to, c)
		d.leave(to)
	}()
	_, _ = io.Copy(c, to)
}

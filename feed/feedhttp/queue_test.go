package feedhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/trust"
)

// work is a piece of work in a queue.
type work struct {
	space  trust.Space
	cost   int
	cancel context.CancelFunc
	leave  func() // once it has begun
	err    error  // of what was not let in, or gave up
	ended  bool
	// passed counts what others began while it was the first of a Space that has
	// nothing at work.
	passed map[trust.Space]int
}

func (w *work) waits() bool  { return w.leave == nil && w.err == nil }
func (w *work) atWork() bool { return w.leave != nil && !w.ended }
func (w *work) end()         { w.ended = true; w.leave() }

// step is what happens to a queue: work comes, or one of that which is there ends
// or gives up.
type step struct{ kind, which, space, cost int }

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	return step{rapid.IntRange(0, 5).Draw(t, "kind"), rapid.IntRange(0, 9).Draw(t, "which"),
		rapid.IntRange(0, 3).Draw(t, "space"), rapid.SampledFrom([]int{1, 1, 1, 2, 5}).Draw(t, "cost")}
}), 1, 60)

// TestQueueInTurn holds that of a queue nobody is passed over: whatever comes, ends
// and gives up, a Space with nothing at work finds a place at once where there is
// one, and else waits for no more of each other Space than its own work costs.
func TestQueueInTurn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		places, todo := rapid.IntRange(1, 5).Draw(rt, "places"), steps.Draw(rt, "steps")
		var err error
		synctest.Test(t, func(*testing.T) { err = playQueue(places, todo) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func playQueue(places int, todo []step) error {
	q := feedhttp.NewQueue("things", places, 4, 9)
	var all []*work
	for _, s := range todo {
		noteStarts(&all, func() { s.take(q, &all) })
		if err := checkQueue(all, places); err != nil {
			return err
		}
	}
	for range all { // and everything gets its turn
		for _, w := range all {
			if w.atWork() {
				noteStarts(&all, w.end)
			}
		}
	}
	for _, w := range all {
		w.cancel()
		if w.waits() {
			return fmt.Errorf("work of %s that costs %d never begins", w.space, w.cost)
		}
	}
	return nil
}

func (s step) take(q *feedhttp.Queue, all *[]*work) {
	var waiting, busy []*work
	for _, w := range *all {
		if w.waits() {
			waiting = append(waiting, w)
		} else if w.atWork() {
			busy = append(busy, w)
		}
	}
	switch {
	case s.kind == 0 && len(waiting) > 0:
		waiting[s.which%len(waiting)].cancel()
		if s.space == 0 && len(busy) > 0 { // at the same moment
			busy[s.which%len(busy)].end()
		}
	case s.kind < 3 && len(busy) > 0:
		busy[s.which%len(busy)].end()
	default:
		w := &work{space: trust.Space{Organisation: "acme", Name: string(rune('a' + s.space))}, cost: s.cost, passed: map[trust.Space]int{}}
		var ctx context.Context
		ctx, w.cancel = context.WithCancel(context.Background())
		go func() { w.leave, w.err = q.Enter(ctx, w.space, w.cost) }()
		*all = append(*all, w)
	}
}

// noteStarts does something, lets all begin that can then, and counts whom that
// passed over.
func noteStarts(all *[]*work, do func()) {
	before := map[*work]bool{}
	for _, w := range *all {
		before[w] = w.leave != nil
	}
	first := firstOf(*all)
	do()
	synctest.Wait()
	for _, w := range *all {
		if before[w] || w.leave == nil {
			continue
		}
		for space, f := range first {
			if space != w.space && f.waits() {
				f.passed[w.space]++
			}
		}
	}
}

// firstOf returns the work that waits first in each Space that has none at work.
func firstOf(all []*work) map[trust.Space]*work {
	first, busy := map[trust.Space]*work{}, map[trust.Space]bool{}
	for _, w := range all {
		busy[w.space] = busy[w.space] || w.atWork()
		if w.waits() && first[w.space] == nil {
			first[w.space] = w
		}
	}
	for space := range first {
		if busy[space] {
			delete(first, space)
		}
	}
	return first
}

func checkQueue(all []*work, places int) error {
	busy, waiting := map[trust.Space]int{}, map[trust.Space]int{}
	atWork, waitAll := 0, 0
	for _, w := range all {
		if w.atWork() {
			busy[w.space]++
			atWork++
		}
		if w.waits() {
			waiting[w.space]++
			waitAll++
		}
		if _, share := errors.AsType[*feedhttp.ShareError](w.err); w.err != nil && !share && !errors.Is(w.err, feedhttp.ErrBusy) && !errors.Is(w.err, context.Canceled) {
			return w.err
		}
	}
	if atWork > places || waitAll > 9 {
		return fmt.Errorf("%d at work in %d places, and %d wait", atWork, places, waitAll)
	}
	for space, n := range waiting {
		if n > 4 || busy[space] == 0 && atWork < places {
			return fmt.Errorf("%d of %s wait, of which %d are at work, in all %d of %d", n, space, busy[space], atWork, places)
		}
	}
	for space, n := range busy {
		if 2*n > places+1 {
			return fmt.Errorf("%s has %d of %d places", space, n, places)
		}
	}
	for space, f := range firstOf(all) {
		for other, n := range f.passed {
			if n > f.cost {
				return fmt.Errorf("while work of %s that costs %d waited, %s began %d times", space, f.cost, other, n)
			}
		}
	}
	return nil
}

// TestQueueShare holds that a Space leaves as many places as it has, and that who
// comes then need not wait.
func TestQueueShare(t *testing.T) {
	q := feedhttp.NewQueue("things", 4, 1, 10)
	big, small := trust.Space{Organisation: "acme", Name: "big"}, trust.Space{Organisation: "acme", Name: "small"}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 3 {
		if _, err := q.Enter(ended, big, 1); (err == nil) != (i < 2) {
			t.Fatalf("%d of 4 places: %v", i+1, err)
		}
	}
	if _, err := q.Enter(ended, small, 1); err != nil {
		t.Errorf("another Space: %v", err)
	}
	var none *feedhttp.Queue
	if leave, err := none.Enter(t.Context(), big, 1); err != nil {
		t.Error(err)
	} else {
		leave()
	}
}

// TestQueueBounds holds that a Space that has its share is told so, and that where
// too much waits in all everybody is.
func TestQueueBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := feedhttp.NewQueue("things", 1, 2, 3)
		ctx, cancel := context.WithCancel(t.Context())
		enter := func(name string) error {
			_, err := q.Enter(ctx, trust.Space{Organisation: "acme", Name: name}, 1)
			return err
		}
		for _, name := range []string{"big", "big", "big", "small"} {
			go enter(name)
			synctest.Wait()
		}
		if _, ok := errors.AsType[*feedhttp.ShareError](enter("big")); !ok {
			t.Error("a third of a Space waits")
		}
		if err := enter("small"); !errors.Is(err, feedhttp.ErrBusy) {
			t.Errorf("a fourth in all: %v", err)
		}
		cancel()
	})
}

// slowBackend answers a request once it is told to, and says for whom it begins.
type slowBackend struct {
	*backend
	began chan string
	goOn  chan struct{}
}

func (b *slowBackend) Head(ctx context.Context, c feedhttp.Caller, id feed.ID, least int64) (feed.Checkpoint, error) {
	b.began <- id.Space.Name
	<-b.goOn
	return b.backend.Head(ctx, c, id, least)
}

func (b *slowBackend) Publish(ctx context.Context, c feedhttp.Caller, batch feed.Batch) (feed.Accepted, error) {
	b.began <- batch.Feed.Space.Name
	<-b.goOn
	return b.backend.Publish(ctx, c, batch)
}

// awaitMetric waits until a metric has a value.
func awaitMetric(t *testing.T, h http.Handler, name, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); metric(t, h, name) != want; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s is %s, want %s", name, metric(t, h, name), want)
		}
	}
}

// TestTurnsOverHTTP lets one Space ask and publish all that it can, over real
// connections, and counts how many of its requests begin before the first of another
// Space: not how long that takes.
func TestTurnsOverHTTP(t *testing.T) {
	b := &slowBackend{newBackend(t), make(chan string, 20), make(chan struct{}, 20)}
	big, small := feedtest.NewAuthor(t, "acme/big/shared"), feedtest.NewAuthor(t, "acme/small/shared")
	b.fill(t, big, 1)
	b.fill(t, small, 1)
	h := handler(t, b.backend, func(c *feedhttp.Config) {
		c.Reader, c.Writer, c.Limits = b, b, feedhttp.Limits{Requests: 1}
	})
	base := serve(t, h)
	var asked sync.WaitGroup
	number := 0
	ask := func(a *feedtest.Author) {
		number++
		publish, batch := number%2 == 0, batchOf(a, a.Publish(fmt.Sprintf("file/more-%d@1", number)))
		c := client(t, base, nil)
		asked.Go(func() {
			var err error
			if publish {
				_, err = c.Publish(t.Context(), batch)
			} else {
				_, err = c.Checkpoint(t.Context(), a.ID)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range 9 { // one begins, and the others wait
		ask(big)
	}
	order := []string{<-b.began}
	awaitMetric(t, h, `airlock_queue_waiting{of="requests"}`, "8")
	ask(small)
	awaitMetric(t, h, `airlock_queue_waiting{of="requests"}`, "9")
	for range 9 {
		b.goOn <- struct{}{}
		order = append(order, <-b.began)
	}
	b.goOn <- struct{}{}
	asked.Wait()
	if turn := slices.Index(order, "small"); turn > 2 {
		t.Errorf("the other Space has its turn after %d others: %v", turn, order)
	}
}

// TestQueueByCost holds that a Space whose work costs four times as much has its turn
// a fourth as often.
func TestQueueByCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := feedhttp.NewQueue("things", 1, 100, 200)
		first, err := q.Enter(t.Context(), trust.Space{Organisation: "acme", Name: "first"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		began := map[string]int{}
		for i := range 80 {
			name, cost := "cheap", 1
			if i%2 == 0 {
				name, cost = "costly", 4
			}
			go func() {
				leave, err := q.Enter(t.Context(), trust.Space{Organisation: "acme", Name: name}, cost)
				if began[name]++; err != nil {
					t.Error(err)
				}
				if began["cheap"] == 20 {
					if n := began["costly"]; n < 4 || n > 6 {
						t.Errorf("%d that cost 4 beside 20 that cost 1", n)
					}
				}
				leave()
			}()
			synctest.Wait()
		}
		first()
		synctest.Wait()
	})
}

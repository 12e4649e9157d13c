package log_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

// TestWatch tells who watches feeds that one grew: at once where this process
// added to it, and at the next look where another did.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewMem()
		config := log.Config{Store: store, Key: feedtest.Key(1), Recheck: 3 * time.Second}
		here, elsewhere := process(t, config), process(t, config)
		l, a := opened(t, store, here)
		b := feedtest.AuthorOf(t, a.Space, "second")
		_, err := feedtest.Append(t.Context(), store, here.Feed(b.ID), b.ID, b.Opening()...)
		must(t, err)
		wake := make(chan struct{}, 1)
		stop := here.Watch([]feed.ID{a.ID, b.ID, {Space: a.ID.Space, Name: "none"}}, wake)
		for i, c := range []struct {
			author *feedtest.Author
			at     *log.Log
			within time.Duration
		}{{a, l, 0}, {b, here.Feed(b.ID), 0}, {b, elsewhere.Feed(b.ID), 3 * time.Second}} {
			start := time.Now()
			_, err := feedtest.Append(t.Context(), store, c.at, c.author.ID, c.author.Publish([]string{"file/a@1", "file/b@1", "file/b@2"}[i]))
			must(t, err)
			<-wake
			if took := time.Since(start); took > c.within {
				t.Errorf("%d: told after %s, want %s", i, took, c.within)
			}
		}
		stop()
		_, err = feedtest.Append(t.Context(), store, l, a.ID, a.Publish("file/a@2"))
		must(t, err)
		synctest.Wait()
		select {
		case <-wake:
			t.Error("told after it stopped watching")
		default:
		}
	})
}

// TestGrown tells who watches a feed at once of what another process says, whatever
// is wrong with another feed of which it speaks.
func TestGrown(t *testing.T) {
	store := storage.NewMem()
	l, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	b := feedtest.AuthorOf(t, a.Space, "second")
	var failing atomic.Bool
	here := process(t, log.Config{Key: feedtest.Key(1), Fresh: time.Hour, Recheck: time.Hour,
		Store: broken(store, func(_ context.Context, op, key string) (error, error) {
			if failing.Load() && strings.HasSuffix(key, "/second") {
				return errors.New("the store lost it"), nil
			}
			return nil, nil
		})})
	_, err := feedtest.Append(t.Context(), store, here.Feed(b.ID), b.ID, b.Opening()...)
	must(t, err)
	_, err = here.Feed(a.ID).Head(t.Context(), 0)
	must(t, err)
	failing.Store(true)
	accepted, err := feedtest.Append(t.Context(), store, l, a.ID, a.Publish("file/a@1"))
	must(t, err)
	wake := make(chan struct{}, 1)
	defer here.Watch([]feed.ID{a.ID, b.ID}, wake)()
	here.Grown(t.Context(), map[feed.ID]int64{a.ID: accepted.Checkpoint.Size, b.ID: 99})
	select {
	case <-wake:
	default:
		t.Error("who watches was not told")
	}
	if h, err := here.Feed(a.ID).Head(t.Context(), 0); err != nil || h.Checkpoint.Size != accepted.Checkpoint.Size {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestWatchLooksOnce holds that looking costs by the feed, however many watch it.
func TestWatchLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, loads := storage.NewMem(), &counter{}
		_, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
		reader := process(t, log.Config{Key: feedtest.Key(1), Recheck: time.Second,
			Store: broken(store, func(_ context.Context, op, key string) (error, error) {
				if op == "load" && key == cellKey {
					loads.add("n")
				}
				return nil, nil
			})})
		_, err := reader.Feed(a.ID).Head(t.Context(), 0)
		must(t, err)
		for range 100 {
			defer reader.Watch([]feed.ID{a.ID}, make(chan struct{}, 1))()
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if loads.of("n") != 11 {
			t.Errorf("%d reads in 10 s, want the first and one a second", loads.of("n"))
		}
	})
}

// TestWatchMany holds that looking at many feeds costs no more than so much a
// second, and that none of them is forgotten.
func TestWatchMany(t *testing.T) {
	const feeds = 700
	synctest.Test(t, func(t *testing.T) {
		store, loads := storage.NewMem(), &counter{}
		writer := process(t, log.Config{Store: store, Key: feedtest.Key(1)})
		_, a := opened(t, store, writer)
		reader := process(t, log.Config{Key: feedtest.Key(1), Recheck: 100 * time.Millisecond,
			Store: broken(store, func(_ context.Context, op, key string) (error, error) {
				if op == "load" && strings.HasPrefix(key, "log/") {
					loads.add(key)
					loads.add("n")
				}
				return nil, nil
			})})
		ids := make([]feed.ID, feeds)
		for i := range ids {
			b := feedtest.AuthorOf(t, a.Space, fmt.Sprint("feed-", i))
			ids[i] = b.ID
			_, err := feedtest.Append(t.Context(), store, writer.Feed(b.ID), b.ID, b.Opening()...)
			must(t, err)
			_, err = reader.Feed(b.ID).Head(t.Context(), 0)
			must(t, err)
		}
		defer reader.Watch(ids, make(chan struct{}, 1))()
		time.Sleep(10 * time.Second)
		if n := loads.of("n") - feeds; n < 4500 || n > 5200 {
			t.Errorf("%d looks in 10 s, want 512 a second", n)
		}
		for _, id := range ids {
			if n := loads.of("log/" + id.String()); n < 1+5 {
				t.Errorf("%s was looked at %d times", id, n)
			}
		}
	})
}

// TestHeadLeast reads a head again for who knows of more than is at hand, and
// once for all who ask at the same time.
func TestHeadLeast(t *testing.T) {
	store, g := storage.NewMem(), newGate()
	loads := &counter{}
	writer, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	reader := process(t, log.Config{Key: feedtest.Key(1), Fresh: time.Hour, Store: broken(store, func(ctx context.Context, op, key string) (error, error) {
		if op == "load" && key == cellKey {
			loads.add("n")
		}
		return g.fault(ctx, op, key)
	})}).Feed(a.ID)
	before, err := reader.Head(t.Context(), 0)
	must(t, err)
	_, err = feedtest.Append(t.Context(), store, writer, a.ID, a.Publish("file/a@1"))
	must(t, err)
	size := before.Checkpoint.Size
	if same, err := reader.Head(t.Context(), size); err != nil || same.Checkpoint.Size != size {
		t.Errorf("who knows no more: %+v, %v; want what is at hand", same, err)
	}
	g.close("load")
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if h, err := reader.Head(t.Context(), size+1); err != nil || h.Checkpoint.Size != size+1 {
				t.Errorf("who knows more: %+v, %v", h, err)
			}
			if h, err := reader.Head(t.Context(), size+100); err != nil || h.Checkpoint.Size != size+1 {
				t.Errorf("who knows what is nowhere: %+v, %v", h, err)
			}
		})
	}
	g.waitUntilHeld()
	g.open()
	asking.Wait()
	if n := loads.of("n"); n > 1+1+20 {
		t.Errorf("%d reads", n)
	}
}

// TestOwner: who committed last is read as seldom as Fresh allows, also where others
// tell of each commit.
func TestOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, loads := storage.NewMem(), &counter{}
		writer, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1), Owner: "one"}))
		reader := process(t, log.Config{Key: feedtest.Key(1), Fresh: time.Second,
			Store: broken(store, func(_ context.Context, op, key string) (error, error) {
				if op == "load" && key == cellKey {
					loads.add("n")
				}
				return nil, nil
			})})
		for i := range 5 {
			accepted, err := feedtest.Append(t.Context(), store, writer, a.ID, a.Publish(fmt.Sprintf("file/a@%d", i)))
			must(t, err)
			reader.Grown(t.Context(), map[feed.ID]int64{a.ID: accepted.Checkpoint.Size})
			if owner, err := reader.Feed(a.ID).Owner(t.Context()); owner != "one" || err != nil {
				t.Errorf("committed by %q, %v", owner, err)
			}
		}
		if loads.of("n") != 1 {
			t.Errorf("%d reads for one second, want one", loads.of("n"))
		}
		time.Sleep(time.Second)
		other, err := feedtest.Append(t.Context(), store, process(t, log.Config{Store: store, Key: feedtest.Key(1), Owner: "two"}).Feed(a.ID), a.ID, a.Publish("file/b@1"))
		must(t, err)
		if owner, err := reader.Feed(a.ID).Owner(t.Context()); owner != "two" || err != nil {
			t.Errorf("after entry %d: committed by %q, %v", other.Checkpoint.Size, owner, err)
		}
	})
}
